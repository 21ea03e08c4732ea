"""What a deployment says differently of its assets, and what holds whatever it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from dagster import AssetKey, AssetSpec, AutomationCondition, DagsterInstance, MetadataValue

from medkg_dagster import PipelineTranslator, __version__
from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.compiler.translator import load_translator
from medkg_dagster.errors import ConfigError, TopologyError
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.resolution import load_deployment
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage
from medkg_dagster.settings import Settings

GATED = """\
name: gated-notes
version: "2026-01-01"
metadata: {owner: text-team, tags: [biomedical]}
stages:
  - {name: ingest, type: ingest, config: {adapter: files}}
  - {name: parse, type: parse, depends_on: [ingest]}
  - {name: gate_review, type: gate, depends_on: [parse]}
  - {name: ir_validation, type: ir-validation, depends_on: [gate_review]}
gates:
  - {name: review, condition: {field: reviewed, equals: true}}
"""
HERE = "medkg_dagster_tests.compiler.test_translator"


class Oncology(PipelineTranslator):
    """Puts every asset under a prefix, and says whose it is."""

    def get_asset_spec(self, pipeline: PipelinePlan, stage: PlannedStage) -> AssetSpec:
        spec = super().get_asset_spec(pipeline, stage)
        return spec.replace_attributes(
            key=spec.key.with_prefix("oncology"),
            group_name="first" if stage.name == "ingest" else "others",
            owners=["team:oncology"],
            tags={**spec.tags, "domain": "oncology"},
            description=f"{spec.description} For oncology.",
            automation_condition=AutomationCondition.on_missing(),
        )


class Nameless(PipelineTranslator):
    """Gives a key that nothing would find again."""

    def get_asset_spec(self, pipeline: PipelinePlan, stage: PlannedStage) -> AssetSpec:
        return super().get_asset_spec(pipeline, stage).replace_attributes(key=AssetKey(["x", stage.name]))


@pytest.fixture
def settings(tmp_path: Path, repository: Path) -> Settings:
    """A deployment of one pipeline."""
    folder = tmp_path / "config" / "orchestration"
    (folder / "pipelines").mkdir(parents=True)
    (folder / "pipelines" / "gated-notes.yaml").write_text(GATED)
    shipped = repository / "config" / "orchestration" / "resilience.yaml"
    (folder / "resilience.yaml").write_bytes(shipped.read_bytes())
    (tmp_path / "note.txt").write_text("Dabrafenib improved survival in patients with melanoma. " * 8)
    return Settings(tmp_path / "home", folder.parent)


def test_an_asset_names_the_distribution_and_version_that_provide_its_stage_type(settings: Settings) -> None:
    deployment = load_deployment(settings)
    definitions = compile_plan(deployment.plan, deployment.factory, settings)

    spec = definitions.get_assets_def(AssetKey(["gated_notes", "parse"])).get_asset_spec(
        AssetKey(["gated_notes", "parse"])
    )

    assert (spec.metadata["distribution"], spec.metadata["version"]) == ("medkg-dagster", __version__)
    assert (spec.tags["medkg/distribution"], spec.tags["medkg/version"]) == ("medkg-dagster", __version__)
    assert (spec.group_name, list(spec.owners)) == ("gated_notes", ["team:text-team"])


def test_assets_of_stores_link_to_the_page_and_no_others(repository: Path, tmp_path: Path) -> None:
    shipped = Settings(tmp_path / "home", repository / "config")
    deployment = load_deployment(shipped)
    specs = compile_plan(deployment.plan, deployment.factory, shipped).resolve_all_asset_specs()
    page = MetadataValue.url("http://127.0.0.1:8710/")

    linked = {spec.key.path[-1] for spec in specs if page in spec.metadata.values()}

    assert linked == {"index", "kg"}


def test_what_a_translator_says_of_an_asset_is_what_dagster_has(settings: Settings) -> None:
    deployment = load_deployment(settings)
    named = replace(settings, translator=f"{HERE}:Oncology")
    definitions = compile_plan(deployment.plan, deployment.factory, named)

    key = AssetKey(["oncology", "gated_notes", "parse"])
    assets = definitions.get_assets_def(key)
    spec = assets.get_asset_spec(key)

    assert assets.get_asset_spec(AssetKey(["oncology", "gated_notes", "ingest"])).group_name == "first"
    assert (spec.group_name, list(spec.owners)) == ("others", ["team:oncology"])
    assert spec.tags["domain"] == "oncology"
    assert (spec.description or "").endswith("For oncology.")
    assert spec.automation_condition == AutomationCondition.on_missing()
    assert [dep.asset_key for dep in spec.deps] == [AssetKey(["oncology", "gated_notes", "ingest"])]


def test_a_pipeline_under_a_prefix_runs_through_its_gate(settings: Settings, tmp_path: Path) -> None:
    deployment = load_deployment(settings)
    definitions = compile_plan(deployment.plan, deployment.factory, settings, translator=Oncology())
    with JobLedger.of(settings) as ledger:
        request = {"params": {"path": str(tmp_path / "note.txt")}}
        ledger.jobs.ensure(JobKey("gated-notes", "default"), request, actor="test")

    with DagsterInstance.ephemeral() as instance:
        first = definitions.resolve_job_def("gated_notes").execute_in_process(instance=instance)
        with JobLedger.of(settings) as ledger:
            waiting = ledger.jobs.get(JobKey("gated-notes", "default")).status
            ledger.jobs.set_fields(JobKey("gated-notes", "default"), {"reviewed": True}, actor="test")
        second = definitions.resolve_job_def("gated_notes__after_review").execute_in_process(
            instance=instance
        )

    with JobLedger.of(settings) as ledger:
        ended = ledger.jobs.get(JobKey("gated-notes", "default")).status
    assert (first.success, waiting, second.success, ended) == (True, "waiting", True, "succeeded")
    assert list((settings.home / "state" / "oncology" / "gated_notes" / "parse").iterdir())


def test_a_key_that_does_not_end_with_pipeline_and_stage_is_a_problem_of_the_pipeline(
    settings: Settings,
) -> None:
    deployment = load_deployment(settings)

    with pytest.raises(TopologyError, match=r"does not end with gated_notes/ingest"):
        compile_plan(
            deployment.plan, deployment.factory, replace(settings, strict=True), translator=Nameless()
        )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:Translator", "cannot be imported"),
        (f"{HERE}:Oncologie", "cannot be imported"),
        ("Oncology", "cannot be imported"),
        (f"{HERE}:HERE", "no subclass of PipelineTranslator"),
    ],
)
def test_a_translator_that_there_is_none_of_is_refused(target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_translator(target)


def test_the_environment_names_the_translator() -> None:
    assert Settings.from_environment({"MEDKG_TRANSLATOR": "a:B"}).translator == "a:B"
    assert Settings.from_environment({}).translator is None
