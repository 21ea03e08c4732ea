"""A pipeline's `plugins:` section against what is installed and let in."""

from __future__ import annotations

from typing import Any

import pytest

from medkg_dagster.plugins import OWN_DISTRIBUTION, Origin, PluginPolicy
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.plugins.origin import UNKNOWN
from medkg_dagster.registry import ExtensionRegistry, StageRegistry
from medkg_dagster.resolution.requirements import requested_plugins, unmet_requirements, why_not_registered
from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster.topology.structure import Finding
from medkg_dagster_tests.registry.given import GivenEntryPoints
from medkg_dagster_tests.registry.stage_types import registration

LAB = Origin("ocr", "lab.ocr:register", "Lab_OCR", "1.4.2")
PATH = Origin("", "our.stages:register", UNKNOWN, UNKNOWN)
BROKEN = Origin("tables", "lab.tables:register", "lab-tables", "0.1")


def topology(**plugins: list[dict[str, str]]) -> PipelineTopologyConfig:
    stages = [{"name": "a", "type": "ocr"}]
    return PipelineTopologyConfig.model_validate(
        {"name": "p", "version": "2026-01-01", "stages": stages, "plugins": plugins}
    )


def unmet(*demands: dict[str, str], kind: str = "stages", **policy: Any) -> list[Finding]:
    registry = StageRegistry(
        PluginPolicy(**policy), GivenEntryPoints([(LAB, "ocr"), (BROKEN, "lacks_torch")])
    )
    registry.load_plugins()
    registry.add(registration("tidy"), origin=PATH)
    registry.add(registration("coded"))
    return list(unmet_requirements(topology(**{kind: list(demands)}), registry, ExtensionRegistry()))


@pytest.mark.parametrize("source", ["lab-ocr", "LAB.ocr", "ocr"])
@pytest.mark.parametrize("version", [">=1.2", "~=1.4", "==1.4.*", ">=1,<2", "!=1.4.1"])
def test_a_demand_names_distribution_or_entry_point_and_versions(source: str, version: str) -> None:
    assert unmet({"type": "ocr", "from": source}) == []
    assert unmet({"type": "ocr", "from": source, "version": version}) == []


def test_a_demand_may_name_what_the_entry_point_names() -> None:
    assert unmet({"type": "ocr", "from": "lab.ocr:register"}, import_prefixes=("lab",)) == []


def test_another_version_says_what_is_installed_and_how_to_get_the_other() -> None:
    (finding,) = unmet({"type": "ocr", "from": "lab-ocr", "version": ">=2,<3"})

    assert finding.message == "'ocr' needs Lab_OCR >=2,<3; installed is 1.4.2"
    assert finding.hint == "pip install 'Lab_OCR>=2,<3'"
    assert finding.path == ("plugins", "stages", 0, "version")


def test_another_provider_says_who_it_is() -> None:
    (finding,) = unmet({"type": "ocr", "from": "other-ocr"})

    assert finding.message == f"'ocr' must come from 'other-ocr', but is from {LAB}"
    assert "install other-ocr and choose it in config/plugins.yaml" in str(finding.hint)
    assert finding.path == ("plugins", "stages", 0, "from")


def test_a_type_that_code_registered_comes_from_no_distribution() -> None:
    (finding,) = unmet({"type": "coded", "from": "lab-ocr"})

    assert finding.message.endswith("but is from code")


def test_what_is_not_installed_is_to_be_installed() -> None:
    (finding,) = unmet({"type": "figures", "from": "lab-figures"})

    assert finding.message == "needs the stage type 'figures' of 'lab-figures'"
    assert finding.hint == "install lab-figures"


def test_what_is_installed_and_broken_says_how() -> None:
    (finding,) = unmet({"type": "tables", "from": "LAB_tables"})

    assert finding.hint == f"{BROKEN} is rejected: cannot be loaded: ImportError: torch"


def test_an_import_path_needs_the_deployments_leave() -> None:
    demand = {"type": "tidy", "from": "our.stages:register"}

    (finding,) = unmet(demand)
    assert finding.message == "the import path 'our.stages:register' is not allowed"
    assert "add its package to `import_prefixes` in config/plugins.yaml" in str(finding.hint)
    assert unmet(demand, import_prefixes=("our",)) == []


def test_an_import_path_that_registers_something_else_is_to_be_checked() -> None:
    (finding,) = unmet({"type": "gone", "from": "our.stages:register"}, import_prefixes=("our",))

    assert finding.hint == "check that the import path names a function that registers it"


def test_every_unmet_demand_is_told_at_its_place() -> None:
    met = {"type": "ocr", "from": "lab-ocr"}

    findings = unmet({"type": "x", "from": "a"}, met, {"type": "y", "from": "b"})

    assert [finding.path for finding in findings] == [("plugins", "stages", 0), ("plugins", "stages", 2)]


def test_extensions_are_demanded_like_stage_types() -> None:
    assert unmet({"type": "files", "from": OWN_DISTRIBUTION, "version": ">=0"}, kind="sources") == []
    (finding,) = unmet({"type": "files", "from": "lab-files"}, kind="sources")
    assert "'files' must come from 'lab-files', but is from entry point 'files = " in finding.message
    (finding,) = unmet({"type": "flies", "from": "lab-files"}, kind="sources")
    assert "unknown source 'flies'; did you mean 'files'?" in finding.message
    assert finding.path == ("plugins", "sources", 0)


def test_pipelines_together_ask_for_what_each_names_for_stage_types() -> None:
    first = topology(stages=[{"type": "ocr", "from": "lab-ocr"}], sources=[{"type": "x", "from": "lab-x"}])
    second = topology(stages=[{"type": "a", "from": "our.stages:register"}, {"type": "b", "from": "lab-ocr"}])

    assert requested_plugins([first, second, topology()]) == {"lab-ocr", "our.stages:register"}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (PluginEvent(LAB, Outcome.BLOCKED, "", "f", "blocked by f"), f"{LAB} is blocked: blocked by f"),
        (PluginEvent(LAB, Outcome.NOT_REQUESTED, details="off"), f"{LAB} is not asked for: off"),
        (PluginEvent(BROKEN, Outcome.REJECTED, "ocr", details="taken"), f"{BROKEN} is rejected: taken"),
        (PluginEvent(BROKEN, Outcome.REJECTED, "other", details="taken"), None),
        (PluginEvent(LAB, Outcome.REGISTERED, "ocr"), None),
        (PluginEvent(LAB, Outcome.DISCOVERED), None),
    ],
)
def test_an_unknown_type_is_explained_by_what_became_of_the_plugin_of_its_name(
    event: PluginEvent, reason: str | None
) -> None:
    assert why_not_registered("ocr", "", [event]) == reason
