"""A stage can be run by itself, and a sound one passes its check."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from medkg_dagster.errors import (
    BatchFailedError,
    ConfigError,
    RejectedDocumentError,
    StageConfigError,
)
from medkg_dagster.stage_api import (
    Document,
    Extension,
    ExtensionKind,
    NoParameters,
    Payload,
    StageContext,
    StageDefinitionView,
    StageRegistration,
    TopologyView,
)
from medkg_dagster.stage_api.testing import (
    check_stage,
    example_document,
    example_payload,
    example_topology,
    run_stage,
)
from medkg_dagster_tests.stage_api.word_stage import (
    DOCUMENTS,
    METADATA,
    Work,
    stage_type,
)


def test_a_stage_runs_by_itself_and_its_ledger_job_can_be_looked_at() -> None:
    run = run_stage(stage_type(), DOCUMENTS, fields={"words": {"language": "en"}})

    assert run.state == {"words": ("One", "Two", "three.", "two.")}
    assert run.output_count == 4
    assert run.succeeded == 1
    assert run.fields == {"words": {"language": "en", "counted": 1}}


def test_a_stage_gets_copies_of_its_inputs() -> None:
    inputs = {"numbers": [1, 2, 3]}

    run = run_stage(stage_type(lambda _ctx, numbers: tuple(numbers.pop() for _ in range(3))), inputs)

    assert run.output_count == 3
    assert inputs == {"numbers": [1, 2, 3]}


def test_data_goes_to_the_given_home_or_is_removed_afterwards(tmp_path: Path) -> None:
    def write(ctx: StageContext) -> tuple[str, ...]:
        (ctx.home / "store.txt").write_text("kept")
        return (str(ctx.home),)

    run_stage(stage_type(write), home=tmp_path)
    temporary = run_stage(stage_type(write)).state["words"][0]

    assert (tmp_path / "store.txt").read_text() == "kept"
    assert not Path(temporary).exists()


def test_quarantined_documents_and_descriptions_are_shown() -> None:
    def refuse(ctx: StageContext, document: tuple[Document, ...]) -> tuple[str, ...]:
        def work(one: Document) -> str:
            if one.id == "PMID:1":
                raise RejectedDocumentError("it is empty")
            return one.id

        ctx.describe("share", 0.5)
        return tuple(ctx.for_each(document, work, document_id=lambda one: one.id))

    documents = tuple(example_document(document_id=f"PMID:{number}") for number in range(5))
    run = run_stage(stage_type(refuse), {"document": documents})

    assert [(item.document_id, item.message) for item in run.quarantined] == [("PMID:1", "it is empty")]
    assert run.described == {"share": 0.5}
    assert run.succeeded == 4
    with pytest.raises(BatchFailedError, match="1 of 1"):
        run_stage(stage_type(refuse), {"document": documents[1:2]})


def test_a_configuration_that_does_not_fit_is_refused_before_anything_is_built() -> None:
    with pytest.raises(StageConfigError, match=r"'words' does not fit: least: .*greater than.*; most: Extra"):
        run_stage(stage_type(), DOCUMENTS, config={"least": 0, "most": 1})


def test_a_builder_may_take_the_pipeline_too() -> None:
    def build(topology: TopologyView, definition: StageDefinitionView) -> Work:
        said = (topology.name, definition.name, definition.type, str(definition.config))
        return Work(lambda _ctx: said)

    run = run_stage(
        StageRegistration(METADATA, build),
        config={"least": 2},
        name="rare",
        topology=example_topology("melanoma"),
    )

    assert run.state["words"] == ("melanoma", "rare", "words", "{'least': 2}")


def test_a_stage_finds_the_extensions_that_a_test_gives_it_before_the_installed_ones() -> None:
    def fetch(ctx: StageContext) -> tuple[str, ...]:
        source = ctx.extensions.find(ExtensionKind.SOURCE, "files").open({}, ctx.home)
        return tuple(payload.id for payload in source.fetch(ctx))

    class OneText:
        def fetch(self, _ctx: StageContext) -> Iterator[Payload]:
            yield example_payload("A text.", payload_id="mine")

    given = Extension(
        ExtensionKind.SOURCE, "files", "One text.", NoParameters, lambda _parameters, _home: OneText()
    )

    assert check_stage(stage_type(fetch), extensions=[given]).state["words"] == ("mine",)


def test_the_function_that_registers_is_accepted_and_one_of_several_can_be_chosen() -> None:
    def register() -> list[StageRegistration]:
        return [stage_type(), stage_type(stage_type="other-words")]

    assert check_stage(register, DOCUMENTS, stage_type="other-words").output_count == 4
    with pytest.raises(
        ConfigError, match="the stage types words, other-words; say which to test with stage_type='words'"
    ):
        check_stage(register, DOCUMENTS)
    with pytest.raises(ConfigError, match="no stage type 'wrods' to test; did you mean 'words'"):
        run_stage(register, DOCUMENTS, stage_type="wrods")


def test_a_sound_stage_passes_and_gives_its_run() -> None:
    assert check_stage(stage_type(), DOCUMENTS, config={"least": 2}).output_count == 4
