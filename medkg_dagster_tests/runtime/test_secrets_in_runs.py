"""Stages that are careless with their secret: afterwards its value stands in no file of the deployment."""

import dataclasses
import io
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from dagster import DagsterEventType, DagsterInstance, ExecuteInProcessResult, TableMetadataValue
from pydantic import BaseModel, ConfigDict

from medkg_dagster.compiler.config_schema import config_schema
from medkg_dagster.errors import RejectedDocumentError
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.plugins import Origin
from medkg_dagster.stage_api import (
    FileRecord,
    FileStatus,
    GateCondition,
    InMemoryJobRecord,
    JobRecord,
    Secret,
    StageContext,
)
from medkg_dagster.stage_api import _redaction as memory
from medkg_dagster_tests.compiler.deployment import POLICIES, Deployment
from medkg_dagster_tests.end_to_end.running import copy_instance
from medkg_dagster_tests.runtime import telling_stage

CORE = "hunter2Correct4711"
"""A part that looks the same however the value is escaped."""
VALUE = f'{CORE}/"é" 100%\\'
MARK = "[secret MEDKG_TEST_TOKEN]"
PIPELINE = """\
name: careless
version: "2026-01-01"
stages:
  - {name: read, type: read, config: {token: {env: MEDKG_TEST_TOKEN}}}
"""


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: Secret
    limit: int = 10


def reveal(config: dict[str, Any]) -> str:
    return Config.model_validate(config).token.reveal()


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A deployment whose Dagster instance keeps everything in files."""
    monkeypatch.setattr(memory, "_revealed", {})
    monkeypatch.setattr(memory, "_known", None)
    monkeypatch.setenv("MEDKG_TEST_TOKEN", VALUE)
    with DagsterInstance.from_config(str(copy_instance(tmp_path / "dagster"))) as instance:
        yield Deployment(tmp_path, instance)


def run(deployment: Deployment, execute: Any, **kwargs: Any) -> ExecuteInProcessResult:
    deployment.register("read", "words", execute, config_model=Config)
    return deployment.run("careless", pipeline=PIPELINE, check=False, **kwargs)


def places_with(text: str, folder: Path) -> list[str]:
    """Return the files below a folder that hold a text, compressed ones opened."""
    wanted = [text.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-32-le")]
    return [
        f"{path.relative_to(folder)}: {name}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for name, content in opened(path)
        if any(form in content for form in wanted)
    ]


def opened(path: Path) -> Iterator[tuple[str, bytes]]:
    content = path.read_bytes()
    yield "", content
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                member = archive.read(name)
                yield name, zstandard.decompress(member) if name.endswith(".zst") else member


def assert_hidden(deployment: Deployment, folder: Path) -> None:
    """Fail where a file of the deployment or what Dagster and the ledger say holds the value."""
    assert places_with("careless", folder / "dagster"), "the search finds nothing at all"
    assert places_with(CORE, folder) == []
    for record in deployment.instance.get_run_records():
        entries = deployment.instance.all_logs(record.dagster_run.run_id)
        assert CORE not in repr([entries, record.dagster_run])


def test_what_a_stage_logs_is_stored_without_its_secret(
    deployment: Deployment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def execute(ctx: StageContext, config: dict[str, Any]) -> tuple[str, ...]:
        token = reveal(config)
        ctx.log.info("logging in with %s", token)
        ctx.log.debug(f"the header is {{'Authorization': {token!r}}}")
        logging.getLogger("medkg.stage").warning("also here: %s", token)
        logging.getLogger("some.client").warning("GET /?key=%s", token)
        try:
            raise PermissionError(token)
        except PermissionError:
            ctx.log.exception("could not log in")
        return ("a",)

    with caplog.at_level(logging.DEBUG):
        result = run(deployment, execute)

    assert result.success
    messages = [entry.user_message for entry in deployment.instance.all_logs(result.run_id)]
    assert f"logging in with {MARK}" in messages
    assert CORE not in caplog.text
    assert_hidden(deployment, tmp_path)


def test_an_error_that_quotes_a_secret_is_stored_without_it(deployment: Deployment, tmp_path: Path) -> None:
    attempts = []

    def execute(_ctx: StageContext, config: dict[str, Any]) -> tuple[str, ...]:
        attempts.append(1)
        try:
            raise ConnectionError(f"https://host/?key={reveal(config)} does not answer")
        except ConnectionError as error:
            raise RuntimeError(f"refused: {error}") from error

    result = run(deployment, execute)

    assert not result.success
    assert len(attempts) == 3
    failure = result.failure_data_for_node("careless__stages.read")
    assert failure is not None
    assert failure.error is not None
    assert f"ConnectionError: https://host/?key={MARK} does not answer" in failure.error.to_string()
    with JobLedger.open(deployment.home) as ledger:
        assert f"refused: https://host/?key={MARK}" in str(
            ledger.jobs.get(JobKey("careless", "default")).error
        )
    assert_hidden(deployment, tmp_path)


@pytest.mark.parametrize("fatal", [False, True])
def test_a_document_quarantined_with_a_secret_is_stored_without_it(
    deployment: Deployment, tmp_path: Path, fatal: bool
) -> None:
    def execute(ctx: StageContext, config: dict[str, Any]) -> tuple[str, ...]:
        token = reveal(config)

        def work(name: str) -> str:
            if name == "on-purpose":
                raise RejectedDocumentError(f"it quotes {token}")
            if name == "by-accident" or fatal:
                raise KeyError(token)
            return name

        names = ["on-purpose", "by-accident", *(f"document-{number}" for number in range(20))]
        return tuple(ctx.for_each(names, work, document_id=lambda name: f"{name}?key={token}"))

    result = run(deployment, execute)

    assert result.success is not fatal
    with JobLedger.open(deployment.home) as ledger:
        outcomes = ledger.stage_runs.outcomes(JobKey("careless", "default"))
    assert outcomes[0].document_id == f"on-purpose?key={MARK}"
    assert outcomes[0].message == f"it quotes {MARK}"
    assert f"KeyError: '{MARK}'" in outcomes[1].details
    assert_hidden(deployment, tmp_path)


def test_what_a_stage_describes_is_stored_without_its_secret(deployment: Deployment, tmp_path: Path) -> None:
    def execute(ctx: StageContext, config: dict[str, Any]) -> tuple[str, ...]:
        token = reveal(config)
        ctx.describe("account", f"key {token}")
        ctx.describe("calls", [{"address": "x" * 270 + token, "count": 1}])
        ctx.describe(f"of {token}", 1)
        return ("a",)

    result = run(deployment, execute)

    shown = result.asset_materializations_for_node("careless__stages.read")[0].metadata
    assert shown["account"].value == f"key {MARK}"
    assert f"of {MARK}" in shown
    assert isinstance(shown["calls"], TableMetadataValue)
    assert_hidden(deployment, tmp_path)


@pytest.mark.parametrize("is_long", [False, True])
def test_a_secret_in_a_stages_output_fails_the_step_and_is_not_stored(
    deployment: Deployment, tmp_path: Path, is_long: bool
) -> None:
    def execute(_ctx: StageContext, config: dict[str, Any]) -> tuple[str, ...]:
        return (("x" * 270 if is_long else "") + reveal(config), "b")

    result = run(deployment, execute)

    assert not result.success
    failures = [entry for entry in result.all_events if entry.event_type is DagsterEventType.STEP_FAILURE]
    assert "state key 'words'" in str(failures[0].step_failure_data.error)
    assert "MEDKG_TEST_TOKEN; remove it" in str(failures[0].step_failure_data.error)
    assert_hidden(deployment, tmp_path)


def test_the_launchpad_may_name_another_variable(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_TOKEN", f"other-{CORE}")
    seen: list[str] = []

    def execute(ctx: StageContext, config: dict[str, Any]) -> tuple[str, ...]:
        seen.append(reveal(config))
        ctx.log.info("the key is %s", seen)
        return ("a",)

    launchpad = {
        "ops": {"careless__stages": {"ops": {"read": {"config": {"token": {"env": "OTHER_TOKEN"}}}}}}
    }
    result = run(deployment, execute, run_config=launchpad)

    assert seen == [f"other-{CORE}"]
    stored = deployment.instance.get_run_by_id(result.run_id)
    assert stored is not None
    assert stored.run_config == launchpad
    assert_hidden(deployment, tmp_path)


def test_the_launchpad_shows_the_reference_of_yaml_as_default() -> None:
    class Optional(Config):
        spare: Secret | None = Secret(env="SPARE_TOKEN")
        none: Secret | None = None
        many: tuple[Secret, ...] = ()

    fields = config_schema(Optional, {"token": {"env": "MEDKG_TEST_TOKEN"}}).fields

    assert fields["token"].default_value == {"env": "MEDKG_TEST_TOKEN"}
    assert set(fields["token"].config_type.fields) == {"env"}
    assert fields["spare"].default_value == {"env": "SPARE_TOKEN"}
    assert fields["none"].default_value is None
    assert set(fields["many"].config_type.inner_type.fields) == {"env"}


def test_a_secret_written_in_plain_into_a_request_is_refused_and_reaches_nothing_of_dagster(
    deployment: Deployment, tmp_path: Path
) -> None:
    with JobLedger.open(deployment.home) as ledger:
        request = {"token": CORE, "limit": "many"}
        ledger.jobs.ensure(JobKey("careless", "default"), request=request, actor="test")

    def execute(_ctx: StageContext, config: dict[str, Any]) -> tuple[str, ...]:
        reveal(config)
        raise AssertionError("a secret in plain was accepted")

    assert not run(deployment, execute).success
    assert places_with("write `{env: NAME}`", tmp_path / "dagster") != []
    assert places_with(CORE, tmp_path / "dagster") == []


TELLING = """\
name: careless
version: "2026-01-01"
stages:
  - {name: read, type: TYPE, config: {fails: FAILS}}
"""
PACED = POLICIES + "    rate_limit: {rate_limit_per_second: 1000.0}\n"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("stage_type", ["tell", "tell-isolated"])
def test_a_secret_in_any_text_that_the_stage_api_takes_reaches_nothing_that_is_stored(
    deployment: Deployment,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    stage_type: str,
    fails: bool,
) -> None:
    origin = Origin("tell", telling_stage.TARGET, "lab-tell", "1.0")
    for registration in telling_stage.register():
        deployment.registry.add(registration, origin=origin)
    (deployment.config / "orchestration" / "resilience.yaml").write_text(PACED)
    pipeline = TELLING.replace("TYPE", stage_type).replace("FAILS", str(fails).lower())

    with caplog.at_level(logging.DEBUG):
        result = deployment.run("careless", pipeline=pipeline, check=False)

    assert result.success is not fails
    assert CORE not in caplog.text
    printed = "".join(capfd.readouterr())
    assert CORE not in printed
    assert f"told {MARK} {MARK}" in printed
    assert_hidden(deployment, tmp_path)
    assert places_with(MARK, deployment.home)


def test_every_part_of_a_stages_surroundings_is_told_its_secret() -> None:
    surroundings = StageContext("p", "s", "j", Path("unused"))
    made = {name for name, _ in telling_stage.calls(surroundings, "a secret")}

    assert {field.name for field in dataclasses.fields(StageContext)} == telling_stage.fields_told()
    assert {"ctx.quarantine", "ctx.describe", "ctx.for_each", "ctx.job.set_fields", "ctx.calls.admit"} <= made
    assert {name.partition(".")[2] for name in made if name.startswith("ctx.job.")} == {
        f"job.{name}" for name in vars(JobRecord) if not name.startswith("_")
    }


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """A revealed secret."""
    monkeypatch.setattr(memory, "_revealed", {})
    monkeypatch.setattr(memory, "_known", None)
    monkeypatch.setenv("MEDKG_TEST_TOKEN", VALUE)
    return Secret(env="MEDKG_TEST_TOKEN").reveal()


def test_progress_is_shown_without_the_secret(secret: str) -> None:
    seen: list[str] = []
    ctx = StageContext(
        "p", "s", "j", Path("unused"), report_progress=lambda _done, _total, unit: seen.append(unit)
    )

    ctx.report_progress(1, 2, f"calls with {secret}")
    ctx.for_each([1], str, document_id=str, unit=secret)

    assert seen == [f"calls with {MARK}", MARK]


def test_a_gate_is_passed_without_the_secret_that_its_condition_names(secret: str) -> None:
    ctx = StageContext("p", "s", "j", Path("unused"))
    clause = {"field": "account", "operator": "not_equals", "value": secret}
    ctx.job.set_fields({"account": "another"})

    passage = ctx.job.pass_gate("ready", GateCondition.model_validate({"mode": "all", "clauses": [clause]}))

    assert CORE not in passage.because


def test_a_stored_file_is_found_under_the_address_with_the_secret(secret: str) -> None:
    url = f"https://example.org/?key={secret}"
    kept = InMemoryJobRecord()
    ctx = StageContext("p", "s", "j", Path("unused"), job=kept)

    ctx.job.record_files([FileRecord(document_id="a", status=FileStatus.STORED, url=url)])

    assert kept.records["a"].url == f"https://example.org/?key={MARK}"
    assert set(ctx.job.stored_files([url, "https://example.org/other"])) == {url}
