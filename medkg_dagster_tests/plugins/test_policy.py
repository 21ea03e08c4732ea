"""Which plugins a deployment lets in, decided by names alone."""

from __future__ import annotations

import pytest

from medkg_dagster.plugins import Origin, PluginPolicy, Replacement, is_from
from medkg_dagster.plugins.origin import OWN_DISTRIBUTION, UNKNOWN, normalized

OCR = Origin("ocr", "lab.ocr:register", "Lab_OCR", "1.0")
OWN = Origin("parse", "medkg_dagster.stages.parse:register", OWN_DISTRIBUTION, "0.1.0")
NAMELESS = Origin("ocr", "lab.ocr:register", UNKNOWN, UNKNOWN)
PATH = Origin("", "lab.stages.ocr:register", UNKNOWN, UNKNOWN)


def policy(**says: object) -> PluginPolicy:
    return PluginPolicy(written="plugins.yaml", **says)  # type: ignore[arg-type] # given by the tables below


@pytest.mark.parametrize(
    ("says", "refusal"),
    [
        ({}, None),
        ({"block": ("other",)}, None),
        ({"block": ("lab-ocr",)}, "blocked by plugins.yaml"),
        ({"block": ("LAB.ocr",)}, "blocked by plugins.yaml"),
        ({"block": ("lab-ocr:ocr",)}, "blocked by plugins.yaml"),
        ({"block": ("lab-ocr:other",)}, None),
        ({"allow": ("lab--ocr",)}, None),
        ({"allow": ("lab-ocr:ocr",)}, None),
        ({"allow": ("lab-ocr:other",)}, "not among what plugins.yaml allows"),
        ({"allow": ("other",)}, "not among what plugins.yaml allows"),
        ({"allow": ("lab-ocr",), "block": ("lab-ocr",)}, "blocked by plugins.yaml"),
        ({"closed": "MEDKG_PLUGINS=off lets built-ins in only"}, "MEDKG_PLUGINS=off lets built-ins in only"),
    ],
)
def test_a_distribution_is_let_in_by_its_name_however_it_is_written(
    says: dict[str, object], refusal: str | None
) -> None:
    assert policy(**says).refusal(OCR) == refusal


@pytest.mark.parametrize("says", [{"block": (OWN_DISTRIBUTION,)}, {"allow": ("other",)}, {"closed": "off"}])
def test_this_projects_own_is_always_let_in(says: dict[str, object]) -> None:
    assert policy(**says).refusal(OWN) is None


def test_a_distribution_without_a_name_is_let_in_only_where_nothing_is_kept_out() -> None:
    assert policy().refusal(NAMELESS) is None
    assert "without a name" in str(policy(block=("lab-ocr",)).refusal(NAMELESS))
    assert policy(allow=("lab-ocr",)).refusal(NAMELESS) == "not among what plugins.yaml allows"


@pytest.mark.parametrize(
    ("prefixes", "path", "is_allowed"),
    [
        ((), "lab.stages:register", False),
        (("lab",), "lab:register", True),
        (("lab",), "lab.stages.ocr:register", True),
        (("lab.stages",), "lab:register", False),
        (("lab",), "laboratory:register", False),
        (("lab", "our"), "our.stages:register", True),
    ],
)
def test_an_import_path_is_allowed_by_whole_packages(
    prefixes: tuple[str, ...], path: str, is_allowed: bool
) -> None:
    assert policy(import_prefixes=prefixes).allows_import(path) is is_allowed


def test_an_import_path_goes_by_its_package_and_by_no_distribution() -> None:
    says = {"allow": ("other",), "block": ("lab-ocr",)}

    assert policy(import_prefixes=("lab",), **says).refusal(PATH) is None
    assert policy(**says).refusal(PATH) == "not among what plugins.yaml imports"
    assert policy(import_prefixes=("lab",), closed="off").refusal(PATH) == "off"
    assert not policy(import_prefixes=("lab",), closed="off").allows_import(PATH.target)


def test_a_closed_deployment_chooses_nobody() -> None:
    chosen = Replacement("stages", "parse", "lab-ocr", "plugins.yaml:3")
    replaces = {("stages", "parse"): chosen}

    assert policy(replaces=replaces).chosen("stages", "parse") == chosen
    assert policy(replaces=replaces).chosen("sources", "parse") is None
    assert policy(replaces=replaces, closed="off").chosen("stages", "parse") is None


@pytest.mark.parametrize("entry", ["lab-ocrr", "lab-ocrr:ocr", "labocr"])
def test_what_looks_like_a_misspelt_block_is_a_problem(entry: str) -> None:
    (problem,) = policy(block=(entry,)).misspelt_blocks(["Lab_OCR", "other"])

    assert problem.message == f"`block` names '{entry}', which is not installed; 'Lab_OCR' is"
    assert problem.subject == "plugins.yaml"


@pytest.mark.parametrize("entry", ["LAB-OCR", "lab_ocr:ocr", "something-else"])
def test_blocking_what_is_there_or_not_there_at_all_is_none(entry: str) -> None:
    assert list(policy(block=(entry,)).misspelt_blocks(["Lab_OCR"])) == []


def test_names_of_distributions_are_compared_as_indexes_do() -> None:
    assert normalized("Lab__OCR.plug-in") == "lab-ocr-plug-in"
    assert is_from(OCR, "lab.ocr")
    assert not is_from(OCR, "lab-ocr-2")
