"""Folders of pipelines as components of a Dagster project of somebody's own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    build_sensor_context,
)
from dagster.components.component_scaffolding import scaffold_object
from dagster.components.core.package_entry import get_package_objects_in_module
from pydantic import ValidationError

import medkg_dagster
from medkg_dagster import StagePipelineComponent
from medkg_dagster.compiler import ended_runs
from medkg_dagster.errors import ConfigError, TopologyError
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus
from medkg_dagster_tests.compiler.deployment import instance_in_memory
from medkg_dagster_tests.component_project import COMPONENT, RESILIENCE, Project
from medkg_dagster_tests.conftest import REPOSITORY
from medkg_dagster_tests.docs.documented import with_heading
from medkg_dagster_tests.docs.markdown import code_blocks, sections

GUIDE = "docs/guides/dagster-components.md"
SHARED = {"load_report", "ended_runs"}

# Dagster itself uses what it and pydantic warn of, for every project.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Parameter `execution_type`"),
    pytest.mark.filterwarnings("ignore:`parse_obj_as`"),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with assets, an IO manager and an executor of its own."""
    for name in ("MEDKG_HOME", "MEDKG_CONFIG", "MEDKG_STRICT", "MEDKG_EXECUTOR", "MEDKG_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    name = f"lab_{abs(hash(tmp_path))}"
    made = Project(tmp_path, name)
    monkeypatch.syspath_prepend(tmp_path / "src")
    yield made
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with instance_in_memory() as made:
        yield made


def jobs(definitions: Definitions) -> set[str]:
    return {job.name for job in definitions.jobs or ()}


def sensors(definitions: Definitions) -> set[str]:
    return {sensor.name for sensor in definitions.sensors or ()}


def assets(definitions: Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}


def cause(error: BaseException, wanted: type[Exception]) -> str:
    """Return the message of the error behind what Dagster says of a component that cannot be loaded."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, wanted):
        found = found.__cause__
    assert found is not None, repr(error)
    return str(found)


def failure(project: Project, wanted: type[Exception]) -> str:
    with pytest.raises(Exception, match=r"(?s).*") as raised:
        project.load()
    return cause(raised.value, wanted)


def test_a_project_shows_the_pipelines_of_its_component_beside_its_own_definitions(project: Project) -> None:
    project.add("notes", {"pipelines/notes.yaml": project.notes()})

    definitions = project.load()

    assert assets(definitions) == {
        "notes/ingest",
        "notes/parse",
        "notes/chunk",
        "medkg/load_report",
        "greeting",
        "shouted",
    }
    assert jobs(definitions) == {"notes", "own_job"}
    assert sensors(definitions) == {"notes__submissions", *SHARED}
    assert set(definitions.resources or {}) == {"io_manager", "medkg_state", "medkg_ledger_job"}
    Definitions.validate_loadable(definitions)


def test_pipelines_and_the_projects_own_assets_each_use_their_own_storage(
    project: Project, instance: DagsterInstance
) -> None:
    project.add("notes", {"pipelines/notes.yaml": project.notes()})
    definitions = project.load()

    assert project.run(definitions, "notes", instance).success
    stored_by_pipeline = sorted(file.name for file in project.own.iterdir())
    assert project.run(definitions, "own_job", instance).success

    assert stored_by_pipeline == []
    assert (project.own / "shouted.txt").read_text() == "HELLO"
    assert {file.parent.name for file in (project.home / "state").rglob("*.state.zip")} == {
        "ingest",
        "parse",
        "chunk",
    }
    with JobLedger.open(project.home) as ledger:
        assert ledger.jobs.get(JobKey("notes", "default")).status is JobStatus.SUCCEEDED
        counts = {run.stage: run.output_count for run in ledger.stage_runs.of_job(JobKey("notes", "default"))}
    assert counts["parse"] == 3


def test_some_assets_of_a_pipeline_can_be_materialized_without_the_others(
    project: Project, instance: DagsterInstance
) -> None:
    project.add("notes", {"pipelines/notes.yaml": project.notes()})
    definitions = project.load()
    project.run(definitions, "notes", instance)
    chunk = AssetKey(["notes", "chunk"])
    job = definitions.resolve_implicit_job_def_def_for_assets([chunk])
    assert job is not None

    result = job.execute_in_process(
        instance=instance, asset_selection=[chunk], tags={"dagster/partition": "default"}
    )

    assert [event.asset_key for event in result.get_asset_materialization_events()] == [chunk]
    assert list(project.own.iterdir()) == []


def test_our_jobs_have_their_executor_and_the_project_keeps_its_own(project: Project) -> None:
    project.add("notes", {"pipelines/notes.yaml": project.notes()})

    definitions = project.load()

    assert definitions.resolve_job_def("notes").executor_def.name == "in_process"
    assert definitions.resolve_job_def("own_job").executor_def.name == "multiprocess"


def test_the_executor_of_our_jobs_is_an_attribute(project: Project) -> None:
    project.add("notes", {"pipelines/notes.yaml": project.notes()}, {"executor": "multiprocess"})

    assert project.load().resolve_job_def("notes").executor_def.name == "multiprocess"


def test_paths_start_from_the_folder_of_the_component(project: Project, instance: DagsterInstance) -> None:
    files = {"../../flows/notes.yaml": project.notes(), "resilience.yaml": RESILIENCE}
    attributes = {"pipelines": "../../flows", "resilience": "resilience.yaml", "home": "../data"}
    project.add("notes", files, attributes)

    project.run(project.load(), "notes", instance)

    assert (project.defs / "data" / "ledger.sqlite").exists()


def test_attributes_may_be_templates(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWS", "flows")
    project.add("notes", {"flows/notes.yaml": project.notes()}, {"pipelines": "{{ env.FLOWS }}"})

    assert "notes" in jobs(project.load())


def test_pipelines_may_lie_beside_the_files_of_the_component(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDKG_STRICT", "1")
    files = {"notes.yaml": project.notes(), "resilience.yaml": RESILIENCE}
    project.add("notes", files, {"pipelines": ".", "resilience": "resilience.yaml"})

    assert "notes" in jobs(project.load())


IN_PYTHON = """\
import dagster as dg

from medkg_dagster import StagePipelineComponent


@dg.component_instance
def load(context: dg.ComponentLoadContext) -> StagePipelineComponent:
    return StagePipelineComponent(pipelines="pipelines")
"""
UNKNOWN_TYPE = """\
name: broken
version: "2026-01-01"
stages:
  - {name: guess, type: guesswork}
"""


def test_a_pipeline_that_cannot_be_resolved_leaves_the_others_and_shows_in_the_load_report(
    project: Project, instance: DagsterInstance
) -> None:
    project.add("notes", {"pipelines/notes.yaml": project.notes(), "pipelines/broken.yaml": UNKNOWN_TYPE})

    definitions = project.load()

    assert jobs(definitions) == {"notes", "own_job"}
    context = build_sensor_context(instance=instance, definitions=definitions)
    events = definitions.resolve_sensor_def("load_report").evaluate_tick(context).asset_events
    failed = [item for item in events if isinstance(item, AssetCheckEvaluation) and not item.passed]
    assert any("guesswork" in str(item.metadata) for item in failed)
    assert project.run(definitions, "notes", instance).success


def test_in_strict_mode_a_problem_fails_the_load(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDKG_STRICT", "1")
    project.add("notes", {"pipelines/notes.yaml": project.notes(), "pipelines/broken.yaml": UNKNOWN_TYPE})

    message = failure(project, TopologyError)

    assert "broken.yaml" in message
    assert "guesswork" in message


def test_an_unknown_attribute_gets_dagsters_own_error(project: Project) -> None:
    project.add("notes", {"pipelines/notes.yaml": project.notes()}, {"pipeline": "pipelines"})

    message = failure(project, ValidationError)

    assert "defs.yaml" in message
    assert "pipeline" in message
    assert "not permitted" in message


def test_an_unknown_executor_is_an_error(project: Project) -> None:
    project.add("notes", {"pipelines/notes.yaml": project.notes()}, {"executor": "cluster"})

    assert "multiprocess" in failure(project, ValidationError)


@pytest.mark.parametrize(
    ("attributes", "missing"),
    [
        ({}, "'pipelines' names .*/notes/pipelines, which is not a folder"),
        ({"pipelines": "defs.yaml"}, "'pipelines' names .*/notes/defs.yaml, which is not a folder"),
        (
            {"pipelines": ".", "resilience": "calm.yaml"},
            "'resilience' names .*calm.yaml, which is not a file",
        ),
        ({"pipelines": ".", "plugins": "."}, "'plugins' names .*/notes, which is not a file"),
    ],
)
def test_a_path_that_names_nothing_is_an_error_with_the_file_and_the_attribute(
    project: Project, attributes: dict[str, str], missing: str
) -> None:
    folder = project.add("notes", {}, attributes)

    message = failure(project, ConfigError)

    assert message.startswith(f"{folder / 'defs.yaml'}: the attribute ")
    assert re.search(missing, message)


def two_components(project: Project, **second: object) -> None:
    project.add("first", {"pipelines/notes.yaml": project.notes()})
    project.add("second", {"pipelines/letters.yaml": project.notes("letters")}, second)


def test_several_components_are_one_deployment_and_share_what_there_is_once(
    project: Project, instance: DagsterInstance
) -> None:
    two_components(project)

    definitions = project.load()

    assert jobs(definitions) == {"notes", "letters", "own_job"}
    names = [sensor.name for sensor in definitions.sensors or ()]
    assert sorted(names) == sorted(["notes__submissions", "letters__submissions", *SHARED])
    Definitions.validate_loadable(definitions)
    assert project.run(definitions, "notes", instance).success
    assert project.run(definitions, "letters", instance).success
    with JobLedger.open(project.home) as ledger:
        assert ledger.jobs.get(JobKey("notes", "default")).status is JobStatus.SUCCEEDED
        assert ledger.jobs.get(JobKey("letters", "default")).status is JobStatus.SUCCEEDED


def test_triggers_belong_to_the_component_of_their_pipeline(project: Project) -> None:
    trigger = (
        "triggers:\n  - {name: nightly, schedule: {cron: '@daily'}}\n  - {name: new, files: {path: /data}}\n"
    )
    for folder in ("one", "two"):
        project.add(folder, {f"pipelines/{folder}.yaml": project.notes(folder) + trigger})

    whole, part = project.load(), project.load_part("two")

    assert {schedule.name for schedule in whole.schedules or ()} == {
        "one__trigger_nightly",
        "two__trigger_nightly",
    }
    assert {schedule.name for schedule in part.schedules or ()} == {"two__trigger_nightly"}
    assert "two__trigger_new" in sensors(part)
    assert "one__trigger_new" not in sensors(part)


def test_two_components_may_stand_in_one_file(project: Project) -> None:
    folder = project.add(
        "both", {"a/notes.yaml": project.notes(), "b/letters.yaml": project.notes("letters")}
    )
    declared = f"type: {COMPONENT}\nattributes: {{pipelines: %s}}\n"
    (folder / "defs.yaml").write_text("---\n".join(declared % name for name in "ab"))

    assert jobs(project.load()) == {"notes", "letters", "own_job"}


def test_one_of_several_components_can_be_loaded_alone(project: Project, instance: DagsterInstance) -> None:
    two_components(project)

    for folder, job in (("first", "notes"), ("second", "letters")):
        part = project.load_part(folder)

        assert jobs(part) == {job}
        assert project.run(part, job, instance).success


def test_post_processing_reaches_the_assets_of_its_component_only(project: Project) -> None:
    project.add("first", {"pipelines/notes.yaml": project.notes()})
    tagged = {"assets": [{"target": "*", "attributes": {"tags": {"team": "letters"}}}]}
    files = {"pipelines/letters.yaml": project.notes("letters")}
    project.add("second", files, post_processing=tagged)

    graph = project.load().resolve_asset_graph()

    tagged_assets = {key.path[0] for key in graph.get_all_asset_keys() if "team" in graph.get(key).tags}
    assert tagged_assets == {"letters"}


def test_components_that_contradict_each_other_are_an_error_that_names_both(project: Project) -> None:
    project.add("first", {"pipelines/notes.yaml": project.notes()}, {"home": "../data"})
    project.add("second", {"pipelines/letters.yaml": project.notes("letters")}, {"home": "data"})

    message = failure(project, ConfigError)

    assert "first/defs.yaml" in message
    assert "second/defs.yaml" in message
    assert "'home'" in message


def test_the_same_path_written_differently_is_no_contradiction(project: Project) -> None:
    project.add("first", {"pipelines/notes.yaml": project.notes()}, {"home": "data"})
    files = {"pipelines/letters.yaml": project.notes("letters")}
    project.add("second", files, {"home": "../first/data"})

    assert {"notes", "letters"} <= jobs(project.load())


def test_two_components_with_one_folder_are_an_error(project: Project) -> None:
    project.add("first", {"pipelines/notes.yaml": project.notes()})
    project.add("second", {}, {"pipelines": "../first/pipelines"})

    message = failure(project, ConfigError)

    assert "first/defs.yaml" in message
    assert "second/defs.yaml" in message


def test_pipelines_of_one_name_in_two_components_clash_and_one_stays(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.add("first", {"pipelines/notes.yaml": project.notes()})
    project.add("second", {"pipelines/again.yaml": project.notes()})

    assert jobs(project.load()) == {"notes", "own_job"}
    assert "pipeline 'notes' and pipeline 'notes' of" in caplog.text


def test_the_runs_of_others_are_never_called_lost(
    project: Project, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs, "NAMING_SECONDS", -1.0)
    project.add("notes", {"pipelines/notes.yaml": project.notes()})
    definitions = project.load()
    others = {"dagster/partition": "2026-01-01"}
    ours = {**others, "medkg/pipeline": "notes"}
    started = {
        (job, bool(tags is ours)): instance.create_run_for_job(
            definitions.resolve_job_def(job), tags=tags, status=DagsterRunStatus.STARTED
        ).run_id
        for job, tags in (("notes", ours), ("notes", others), ("own_job", others))
    }

    lost = ended_runs.lost_runs(instance, frozenset({"notes"}))

    assert [run.run_id for run in lost] == [started["notes", True]]


def test_a_component_may_be_declared_in_python(project: Project) -> None:
    place = project.add("notes", {"pipelines/notes.yaml": project.notes(), "component.py": IN_PYTHON})
    (place / "defs.yaml").unlink()
    project.add("second", {"pipelines/letters.yaml": project.notes("letters")})

    definitions = project.load()

    assert jobs(definitions) == {"notes", "letters", "own_job"}
    Definitions.validate_loadable(definitions)


def test_the_files_of_the_guide_load(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDKG_STRICT", "1")
    shown = {block.title: block.text for block in code_blocks("yaml") if block.page == GUIDE and block.title}
    pipeline = shown["oncology/pipelines/oncology.yaml"]
    project.add("oncology", {"defs.yaml": shown["oncology/defs.yaml"], "pipelines/oncology.yaml": pipeline})
    assert "oncology" in jobs(project.load())


def test_the_guide_names_every_attribute() -> None:
    section = with_heading(sections(REPOSITORY / GUIDE), "Attributes")

    assert section is not None
    assert set(section.rows()) == set(StagePipelineComponent.model().model_fields)


def test_what_dg_scaffolds_loads_as_it_is(project: Project) -> None:
    scaffold_object(
        path=project.defs / "trials",
        typename=COMPONENT,
        json_params=None,
        scaffold_format="yaml",
        project_root=project.folder,
    )

    assert "trials" in jobs(project.load())


def test_every_attribute_is_described_for_editors_and_the_ui() -> None:
    properties = StagePipelineComponent.model().model_json_schema()["properties"]

    known = {"pipelines", "resilience", "plugins", "alerts", "home", "executor", "translator"}
    assert set(properties) == known
    assert all(item["description"] and item["examples"] for item in properties.values())
    assert StagePipelineComponent.get_description()


def test_dg_finds_the_component_among_the_names_of_the_package() -> None:
    assert [name for name, _ in get_package_objects_in_module(medkg_dagster)] == ["StagePipelineComponent"]


def test_importing_the_package_does_not_import_dagster() -> None:
    code = "import sys, medkg_dagster; assert medkg_dagster.__version__; sys.exit('dagster' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Pipelines'"):
        medkg_dagster.Pipelines  # type: ignore[attr-defined]  # noqa: B018


def test_a_home_that_is_a_file_is_refused_with_the_attribute_s_name(project: Project) -> None:
    project.add("first", {"pipelines/notes.yaml": project.notes(), "file": ""}, {"home": "file"})

    assert re.search(
        r"first/defs\.yaml: the attribute 'home' names .*is not a folder", failure(project, ConfigError)
    )


def test_an_empty_home_is_as_if_not_given(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDKG_HOME", "")
    project.add("first", {"pipelines/notes.yaml": project.notes()}, {"home": "{{ env.MEDKG_HOME }}"})

    with DagsterInstance.ephemeral() as instance:
        project.run(project.load(), "notes", instance)

    assert (project.home / "ledger.sqlite").is_file()
