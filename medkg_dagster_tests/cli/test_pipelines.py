import json
from pathlib import Path

import pytest

from medkg_dagster.ledger import JobLedger
from medkg_dagster_tests.cli.conftest import Medkg

PIPELINE = """\
name: small-one
version: "2026-01-01"
metadata:
  owner: team:demo
  description: Ingest and parse.
stages:
  - {name: fetch, type: ingest}
  - {name: read, type: parse, depends_on: [fetch], policy: patient}
"""
POLICIES = """\
policies:
  default: {}
  patient: {max_attempts: 7, timeout_seconds: 90}
"""


@pytest.fixture
def config(medkg: Medkg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "config" / "orchestration"
    (folder / "pipelines").mkdir(parents=True)
    (folder / "pipelines" / "small.yaml").write_text(PIPELINE)
    (folder / "resilience.yaml").write_text(POLICIES)
    monkeypatch.setenv("MEDKG_CONFIG", str(tmp_path / "config"))
    del medkg
    return folder


def test_check_counts_what_it_loaded(medkg: Medkg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDKG_PLUGINS", "off")
    result = medkg("check")
    assert result.exit_code == 0, result.output
    assert result.output == "4 pipelines, 10 stage types, no problems\n"


def test_check_prints_every_problem_with_file_and_line(medkg: Medkg, config: Path) -> None:
    (config / "pipelines" / "bad.yaml").write_text(
        PIPELINE.replace("small-one", "bad").replace("ingest", "injest")
    )
    result = medkg("check")
    assert result.exit_code == 1
    assert f"{config}/pipelines/bad.yaml:7: " in result.stdout
    assert "did you mean 'ingest'" in result.stdout
    assert "1 pipeline, " in result.stderr


@pytest.mark.filterwarnings("ignore:an earlier form:DeprecationWarning")
def test_check_prints_earlier_forms_which_are_no_problems(
    medkg: Medkg, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDKG_PLUGINS", "off")
    gate = "  - {name: gate_ok, type: gate, depends_on: [read]}\ngates:\n  - name: ok\n"
    condition = "    condition: {field: ok, equals: true}\n    timeout_seconds: 60\n"
    (config / "pipelines" / "small.yaml").write_text(PIPELINE + gate + condition)
    result = medkg("check")
    assert result.exit_code == 0, result.output
    note, count = result.stdout.splitlines()
    assert note.startswith(f"{config}/pipelines/small.yaml:13: an earlier form, accepted until ")
    assert count == "1 pipeline, 10 stage types, no problems, 1 earlier form"


def test_plan_shows_stages_wires_policies_and_jobs(medkg: Medkg, config: Path) -> None:
    assert config.is_dir()
    result = medkg("plan", "small-one")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[0] == ["small-one,", "version", "2026-01-01"]
    assert ["read", "parse", "document", "payloads", "<-", "fetch", "-", "patient", "7", "90", "s"] in lines
    assert ["small_one", "-", "fetch,", "read"] in lines
    assert medkg("plan", "small_one").output == result.output


def test_plan_as_json_holds_the_same(medkg: Medkg, config: Path) -> None:
    assert config.is_dir()
    plan = json.loads(medkg("plan", "small-one", "--json").stdout)
    assert plan["stages"][1]["wires"] == {"payloads": "fetch"}
    assert plan["stages"][1]["policy"]["max_attempts"] == 7
    assert plan["phases"] == [{"job": "small_one", "after_gate": None, "stages": ["fetch", "read"]}]


def test_plan_shows_where_stages_differ_from_their_types_and_what_opens_gates(
    medkg: Medkg, config: Path
) -> None:
    (config / "pipelines" / "small.yaml").write_text(
        PIPELINE.replace(
            "policy: patient", "metadata_overrides: {state_key: paper}, isolation: {memory_mb: 512}"
        )
        + "  - {name: wait, type: gate, gate: ok, depends_on: [read]}\n"
        + "gates: [{name: ok, condition: {field: ready, equals: true, timeout_seconds: 60}}]\n"
    )
    lines = [line.split() for line in medkg("plan", "small-one").output.splitlines()]
    assert ["ok", "ready", "equals", "True", "fail", "after", "60", "s"] in lines
    assert ["read", "state_key:", "paper", "512", "MB,", "600", "s"] in lines
    plan = json.loads(medkg("plan", "small-one", "--json").stdout)
    assert plan["stages"][1]["metadata_overrides"] == {"state_key": "paper"}
    assert plan["stages"][1]["isolation"] == {"memory_mb": 512, "timeout_seconds": 600.0}
    assert plan["gates"][0]["job"] == "small_one__after_ok"


@pytest.mark.parametrize(("content", "exit_code"), [("", 0), ("# nothing yet\n", 0), ("blok: [lab]\n", 1)])
def test_a_plugins_file_that_is_not_valid_is_a_problem_and_an_empty_one_is_not(
    medkg: Medkg, config: Path, content: str, exit_code: int
) -> None:
    (config.parent / "plugins.yaml").write_text(content)
    result = medkg("check")
    assert result.exit_code == exit_code
    assert ("did you mean 'block'?" in result.stdout) is (exit_code == 1)


def test_stages_of_a_job_are_in_the_audit_with_who_configured_them(
    medkg: Medkg, config: Path, home: Path
) -> None:
    JobLedger.open(home).close()
    small = config / "pipelines" / "small.yaml"
    small.write_text(PIPELINE.replace("policy: patient", "metadata_overrides: {kinds: [s3]}"))

    entries = json.loads(medkg("stages", "--audit", "small-one.read", "--json").stdout)

    assert [(entry["outcome"], entry["details"]) for entry in entries] == [("overridden", "kinds")]
    assert entries[0]["configured_by"] == f"{small}:8"
    small.write_text(PIPELINE)
    entries = json.loads(medkg("stages", "--audit", "small-one.read", "--json").stdout)
    assert [entry["outcome"] for entry in entries] == ["removed", "overridden"]


def test_looking_makes_no_ledger_and_the_audit_of_this_load_is_shown_without_one(
    medkg: Medkg, config: Path, home: Path
) -> None:
    assert config.is_dir()
    medkg("check")
    shown = medkg("stages", "--audit")
    assert "TIME" in shown.stdout
    assert "there is no ledger yet" in shown.stderr
    assert medkg("stages", "--audit", "no-such-package").stdout == "no such records\n"
    assert not home.exists()


def test_an_unknown_pipeline_names_the_closest_one(medkg: Medkg, config: Path) -> None:
    assert config.is_dir()
    result = medkg("plan", "smal-one")
    assert result.exit_code == 1
    assert result.stderr.startswith("medkg: unknown pipeline 'smal-one'; did you mean 'small-one'?")


def test_stages_lists_the_built_in_types_and_where_they_come_from(medkg: Medkg) -> None:
    types = {item["stage_type"]: item for item in json.loads(medkg("stages", "--json").stdout)}
    assert set(types) >= {"ingest", "parse", "ir-validation", "chunk", "embed", "index"}
    assert types["chunk"]["origin"] == {
        "distribution": "medkg-dagster",
        "version": "0.1.0",
        "entry_point": "chunk = medkg_dagster.stages.chunk:register",
    }
    assert types["index"]["dependencies"] == ["chunk", "embed"]


def test_one_stage_type_shows_every_config_field(medkg: Medkg) -> None:
    result = medkg("stages", "chunk")
    assert result.exit_code == 0
    assert "writes:            chunks: tuple[" in result.output
    described = json.loads(medkg("stages", "chunk", "--json").stdout)
    assert described["config"]
    for field in described["config"]:
        assert field["description"], field["name"]
        assert field["type"] != "any", field["name"]
        assert field["name"] in result.output


def test_every_config_field_of_every_type_is_described(medkg: Medkg) -> None:
    for item in json.loads(medkg("stages", "--json").stdout):
        for field in item["config"]:
            assert field["description"], f"{item['stage_type']}.{field['name']}"


def test_an_unknown_stage_type_names_the_closest_one(medkg: Medkg) -> None:
    result = medkg("stages", "chunks")
    assert result.exit_code == 1
    assert "unknown stage type 'chunks'; did you mean 'chunk'?" in result.stderr
