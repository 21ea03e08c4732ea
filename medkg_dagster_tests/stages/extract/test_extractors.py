"""Extractors as a kind of plugin: what the stage asks of them, and several of them in one pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import ValidationError

from medkg_dagster.errors import StageContractError
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import (
    Claim,
    Document,
    DocumentContext,
    Entity,
    Extension,
    ExtensionKind,
    Extraction,
    NoParameters,
    claim_id,
)
from medkg_dagster.stage_api._extensions import GivenExtensions
from medkg_dagster.stages.extract import ExtractConfig, register
from medkg_dagster.stages.extract.dictionary import DICTIONARY
from medkg_dagster.stages.extract.extract_stage import ExtractStage
from medkg_dagster_tests.stages.extract.test_stage import document
from medkg_dagster_tests.stages.installed import INSTALLED
from medkg_dagster_tests.stages.real_payloads import context
from medkg_dagster_tests.stages.running import run

TEXT = "Nivolumab caused colitis."


@dataclass(frozen=True)
class Saying:
    """An extractor that says the same of each document, whatever stands there."""

    changes: dict[str, Any]
    version: str = "7"

    def extract(self, ctx: DocumentContext, found: Document) -> Extraction:
        del ctx
        ends = [
            Entity(
                document_id=found.id,
                curie=curie,
                name=surface,
                category="biolink:NamedThing",
                surface=surface,
                start=TEXT.index(surface),
                end=TEXT.index(surface) + len(surface),
                method="saying",
            )
            for curie, surface in (("X:1", "Nivolumab"), ("X:2", "colitis"))
        ]
        said = Claim(
            id=claim_id(
                found,
                extractor="saying",
                subject="X:1",
                predicate="biolink:causes",
                object_="X:2",
                negated=False,
                start=0,
                end=len(TEXT),
            ),
            document_id=found.id,
            document_hash=found.content_hash,
            subject="X:1",
            predicate="biolink:causes",
            object="X:2",
            sentence=TEXT,
            start=0,
            end=len(TEXT),
            method="saying",
            primary_knowledge_source="infores:medkg",
            knowledge_level="not_provided",
            agent_type="text_mining_agent",
        )
        return Extraction(ends, (said.model_copy(update=self.changes),))


def extracted(
    extractor: str = "saying", changes: dict[str, Any] | None = None, **inputs: Any
) -> tuple[Sequence[Entity], Sequence[Claim]]:
    """What the stage makes of a document with one of the extractors."""
    saying = Extension(
        ExtensionKind.EXTRACTOR, "saying", "Says.", NoParameters, lambda *_: Saying(changes or {})
    )
    ctx = replace(context("extract"), extensions=GivenExtensions([saying, DICTIONARY]))
    state = run(register, ctx, {"extractor": extractor}, document=(document(TEXT),), **inputs)
    return state["entities"], state["claims"]


def test_the_entry_point_names_the_dictionary() -> None:
    assert ExtensionRegistry().find(ExtensionKind.EXTRACTOR, "dictionary") is DICTIONARY


def test_claims_and_mentions_say_which_extractor_found_them() -> None:
    for name, signature in (("saying", "saying 7"), ("dictionary", "dictionary 1")):
        entities, claims = extracted(name)

        assert {entity.extractor for entity in entities} == {signature}
        assert [claim.extractor for claim in claims] == [signature]


def test_a_second_extractor_adds_to_what_the_first_one_found() -> None:
    first = extracted("dictionary")
    alone = extracted("saying")

    entities, claims = extracted("saying", entities=first[0], claims=first[1])

    assert list(entities) == [*first[0], *alone[0]]
    assert list(claims) == [*first[1], *alone[1]]
    assert len({claim.id for claim in claims}) == 2


def test_what_an_earlier_extractor_found_at_the_same_place_is_not_found_twice() -> None:
    first = extracted("saying")

    assert extracted("saying", entities=first[0], claims=first[1]) == first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sentence": "Nivolumab caused death."}, "a sentence that does not stand at 0 to 25"),
        ({"start": 1}, "does not stand at 1 to 25"),
        ({"end": 90}, "does not stand at 0 to 90"),
        ({"sentence": "", "end": 0}, "does not stand at 0 to 0"),
        ({"subject": "X:9"}, "is about X:9, of which there is no entity"),
        ({"document_id": "PMID:9"}, "is of the document PMID:9"),
        ({"document_hash": "0"}, "is of the document PMID:1"),
    ],
)
def test_an_extractor_that_says_what_does_not_stand_there_is_at_fault(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StageContractError, match=message):
        extracted(changes=changes)


def test_the_dictionary_takes_its_parameters_where_earlier_files_have_them() -> None:
    beside = ExtractConfig.model_validate({"vocabulary": "own.tsv", "params": {"negation": False}})

    assert beside == ExtractConfig(params={"vocabulary": "own.tsv", "negation": False})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"extractor": "dictionery"}, "unknown extractor 'dictionery'.*dictionary"),
        ({"params": {"vocabulry": "x"}}, "unknown parameter 'vocabulry'.*vocabulary"),
        ({"min_term_length": 0}, "greater than or equal to 1"),
        ({"extractor": "dictionary", "vocabulry": "x"}, "vocabulry"),
    ],
)
def test_a_wrong_configuration_is_a_problem_of_the_file(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ExtractConfig.model_validate(config, context=INSTALLED)


def test_results_depend_on_the_version_of_the_extractor() -> None:
    for version in ("7", "8"):
        saying = Extension(
            ExtensionKind.EXTRACTOR, "saying", "Says.", NoParameters, lambda *_, v=version: Saying({}, v)
        )
        stage = ExtractStage(ExtractConfig(extractor="saying"))
        ctx = replace(context("extract"), extensions=GivenExtensions([saying]))

        assert stage.fingerprints(ctx) == {"extractor": f"saying {version}"}
