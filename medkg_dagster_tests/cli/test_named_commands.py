"""A command that a message names is one that can be typed."""

from __future__ import annotations

import ast
import functools
import json
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import Result
from dagster._cli import create_dagster_cli

from medkg_dagster.cli.pipelines import find_pipeline, load_pipelines
from medkg_dagster.cli.root import main
from medkg_dagster.ledger import (
    GateApproach,
    JobKey,
    JobLedger,
    JobStatus,
    PhaseStatus,
    RunIdentity,
    RunStatus,
)
from medkg_dagster.runtime.ledger_job_record import gate_rule
from medkg_dagster.settings import Settings
from medkg_dagster_tests.cli.conftest import Medkg, ReviewedJob
from medkg_dagster_tests.cli.test_migrate import EARLIER
from medkg_dagster_tests.conftest import REPOSITORY
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

_NAMED = re.compile(r"`((?:medkg|dagster|make) [^`]+)`")
_VARIABLE = re.compile(r"\bMEDKG_[A-Z_]+\b")
_PLACEHOLDER = "1"  # a name, an id, a number


@functools.cache
def texts() -> tuple[tuple[str, str], ...]:
    """Return the place and the text of everything that the package and its scripts may say."""
    files = (*(REPOSITORY / "medkg_dagster").rglob("*.py"), *(REPOSITORY / "scripts").glob("*.py"))
    return tuple(
        (f"{file.relative_to(REPOSITORY)}:{node.lineno}", _text(node))
        for file in sorted(files)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant | ast.JoinedStr)
    )


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return _PLACEHOLDER


def named() -> list[tuple[str, str]]:
    """Return place and text of every command that is named."""
    return [
        (place, command.replace("\n", " ")) for place, text in texts() for command in _NAMED.findall(text)
    ]


def problem_of(line: str, root: click.Group) -> str | None:
    """Return why a line cannot be typed; a command alone, without arguments, speaks of the command."""
    _, *words = shlex.split(line)
    command: click.Command = root
    context = click.Context(root, info_name=line, **root.context_settings)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        if found is None:
            return f"there is no command {words[0]!r}"
        command, words = found, words[1:]
    if not words:
        return None
    try:
        with command.make_context(line, list(words), parent=context):
            return None
    except click.BadParameter as error:
        is_file = error.param is not None and isinstance(error.param.type, click.Path)
        # The name that stands for a file is that of none.
        return None if is_file and not isinstance(error, click.MissingParameter) else error.format_message()
    except click.UsageError as error:
        return error.format_message()


def test_commands_that_messages_name_are_found() -> None:
    lines = {line for _, line in named()}

    assert "medkg gate approve 1 1 --reason WHY --now" in lines
    assert "medkg ledger retry 1" in lines
    assert len(lines) > 20


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("medkg ledger rerun JOB", "no command 'rerun'"),
        ("medkg ledger cancel JOB", "Missing option '--reason'"),
        ("medkg ledger retry JOB --hard", "No such option"),
        ("medkg gate approve JOB --reason WHY", "Missing argument 'GATE'"),
        ("medkg ledger retry JOB OTHER", "unexpected extra argument"),
    ],
)
def test_one_that_cannot_be_typed_is_seen(line: str, said: str) -> None:
    assert said in str(problem_of(line, main))


def test_every_command_that_a_message_names_can_be_typed() -> None:
    roots = {"medkg": main, "dagster": create_dagster_cli()}
    wrong = {
        f"{place}: `{line}`": problem
        for place, line in named()
        if (root := roots.get(line.split()[0])) is not None
        if (problem := problem_of(line, root)) is not None
    }
    assert wrong == {}


def test_every_target_of_make_that_a_message_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    wrong = [
        f"{place}: `{line}`"
        for place, line in named()
        if line.startswith("make ") and line.split()[1] not in targets
    ]
    assert wrong == []


def test_every_variable_that_a_message_names_is_a_setting_that_is_documented() -> None:
    described = (Path("docs", "guides", "running.md"), Path("deploy", "docker", "env.example"))
    settings = {name for file in described for name in _VARIABLE.findall((REPOSITORY / file).read_text())}
    wrong = [
        f"{place}: {name}"
        for place, text in texts()
        for name in _VARIABLE.findall(text)
        if name not in settings
    ]
    assert wrong == []


class Shell:
    """Types the commands that messages name, as they stand there.

    Args:
        medkg: Runs the console.
    """

    def __init__(self, medkg: Medkg) -> None:
        self._medkg = medkg

    def way_out(self, output: str, beginning: str) -> Result:
        """Type the one command of an output that begins so."""
        (line,) = {line for line in _NAMED.findall(output) if line.startswith(beginning)}
        return self._medkg(*shlex.split(line)[1:])


@pytest.fixture
def shell(medkg: Medkg) -> Shell:
    return Shell(medkg)


@pytest.mark.parametrize(
    "error", ["the disk is full", "lost; `medkg ledger retry pdf-two-phase/papers` helps"]
)
def test_a_job_that_waits_for_work_that_failed_is_listed_with_why_and_goes_on_by_the_way_out(
    shell: Shell, medkg: Medkg, home: Path, error: str
) -> None:
    medkg("submit", "pdf-two-phase", "--param", "path=records.json", "--job-id", "papers")
    pipeline = find_pipeline(load_pipelines(Settings.from_environment()), "pdf-two-phase")
    (gate,) = pipeline.gates
    key = JobKey("pdf-two-phase", "papers")
    with JobLedger.open(home) as ledger:
        approach = GateApproach(gate_rule(gate), gate.upstream, ("pdf_conversion",))
        stages = [stage for stage in pipeline.stage_names if stage in gate.upstream]
        run = LedgerRun(ledger, key, stages, job_name=pipeline.phases[0].job_name, gates=[approach])
        run.start(pipeline.stage_names)
        ledger.phases.begin(key, run.job_name, run.identity)
        run.finish()
        work = RunIdentity("w1", 1, job_name="pdf_conversion")
        ledger.runs.end(key, work, RunStatus.FAILED, error)

        listed = medkg("gate", "list").output
        (row,) = json.loads(medkg("gate", "list", "--json").stdout)
        again = shell.way_out(listed, "medkg ledger retry pdf-two-phase/papers")

        assert f"pdf-two-phase/papers: what it waits for failed: {error}" in " ".join(listed.split())
        assert row["error"] == error
        assert again.exit_code == 0, again.output
        (due,) = (phase for phase in ledger.phases.of_job(key) if phase.phase == "pdf_conversion")
        assert (due.status, due.attempt) == (PhaseStatus.DUE, 2)
    assert "failed" not in medkg("gate", "list").output


def test_a_job_that_failed_is_shown_and_starts_again_by_the_ways_out(
    shell: Shell, gated_medkg: Medkg, reviewed: ReviewedJob
) -> None:
    reviewed.run_stages("ingest", "parse", fail=True)

    followed = gated_medkg("submit", "reviewed", "--job-id", "spring", "--wait")

    assert followed.exit_code == 1
    assert "reviewed/spring: failed" in shell.way_out(followed.output, "medkg ledger show").output
    assert shell.way_out(followed.output, "medkg ledger retry").exit_code == 0
    assert reviewed.job.status is JobStatus.SUBMITTED


def test_a_job_whose_pipeline_is_gone_ends_by_the_way_out_that_the_check_names(
    shell: Shell, gated_medkg: Medkg, reviewed: ReviewedJob, tmp_path: Path
) -> None:
    reviewed.wait_at_the_gate()
    (file,) = tmp_path.rglob("reviewed.yaml")
    file.unlink()

    checked = gated_medkg("check")

    assert shell.way_out(checked.output, "medkg ledger cancel").exit_code == 0
    assert reviewed.job.status is JobStatus.CANCELLED


def test_a_cancelled_job_whose_pipeline_is_gone_starts_again_by_the_way_out_once_it_is_back(
    shell: Shell, gated_medkg: Medkg, reviewed: ReviewedJob, tmp_path: Path
) -> None:
    reviewed.wait_at_the_gate()
    (file,) = tmp_path.rglob("reviewed.yaml")
    text = file.read_text()
    file.unlink()

    cancelled = gated_medkg("ledger", "cancel", "reviewed/spring", "--reason", "no need")
    refused = gated_medkg("ledger", "retry", "reviewed/spring")

    for result in (cancelled, refused):
        assert (
            "nothing that is loaded defines its pipeline 'reviewed': once its file is back" in result.output
        )
    assert refused.exit_code == 1
    file.write_text(text)
    assert shell.way_out(cancelled.output, "medkg ledger retry").exit_code == 0


def test_a_cancelled_job_whose_gate_is_gone_starts_again_by_the_way_out(
    shell: Shell, gated_medkg: Medkg, reviewed: ReviewedJob, tmp_path: Path
) -> None:
    reviewed.wait_at_the_gate()
    (file,) = tmp_path.rglob("reviewed.yaml")
    stages, _ = file.read_text().split("gates:")
    without = stages.replace("  - {name: gate_review, type: gate, depends_on: [parse]}\n", "")
    file.write_text(without.replace("[gate_review]", "[parse]"))

    cancelled = gated_medkg("ledger", "cancel", "reviewed/spring", "--reason", "no need")

    assert shell.way_out(cancelled.output, "medkg ledger retry").exit_code == 0
    assert reviewed.job.status is JobStatus.SUBMITTED


def test_a_pipeline_in_an_earlier_form_is_rewritten_by_the_way_out_that_the_check_names(
    shell: Shell, gated_medkg: Medkg, tmp_path: Path
) -> None:
    folder = tmp_path / "config" / "orchestration" / "pipelines"
    (folder / "my earlier one.yaml").write_text(EARLIER)

    checked = gated_medkg("check")

    assert shell.way_out(checked.output, "medkg migrate").exit_code == 0
    assert "medkg migrate" not in gated_medkg("check").output


def test_where_there_is_no_ledger_yet_a_job_is_submitted_by_the_way_out(gated_medkg: Medkg) -> None:
    refused = gated_medkg("ledger", "list")

    assert "`medkg submit`" in refused.output
    assert gated_medkg("submit", "reviewed").exit_code == 0
    assert gated_medkg("ledger", "list").exit_code == 0


@pytest.mark.usefixtures("graph_home", "indexed_home")
def test_a_node_that_is_not_there_is_searched_for_by_the_way_out(shell: Shell, medkg: Medkg) -> None:
    refused = medkg("graph", "stevens' rash")

    assert shell.way_out(refused.stderr, "medkg search").exit_code == 0
