"""`medkg submit`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.follow import follow
from medkg_dagster.cli.ledger.changes import parse_assignments, user_name
from medkg_dagster.cli.output import echo_json
from medkg_dagster.cli.pipelines import find_pipeline
from medkg_dagster.domain.job_ids import check_job_id
from medkg_dagster.errors import ConfigError, did_you_mean
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.resolution.plan import PipelinePlan
    from medkg_dagster.stage_api import Extensions

Command = Callable[..., Any]


def source_options(command: Command) -> Command:
    """Give a command the options that say what a job works on."""
    for option in (
        click.option(
            "--set",
            "options",
            multiple=True,
            metavar="STAGE.OPTION=VALUE",
            help="An option of a stage, instead of the one in YAML.",
        ),
        click.option(
            "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the source."
        ),
        click.option("--adapter", help="The source to fetch from; the pipeline's own by default."),
        click.argument("pipeline"),
    ):
        command = option(command)
    return command


@click.command()
@source_options
@click.option("--job-id", help="The job's id, which is also its partition; made up by default.")
@click.option("--by", default=user_name, help="Who asks; the user's name by default.")
@click.option("--wait", is_flag=True, help="Follow the job until it has ended.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
@click.pass_context
def submit(  # noqa: PLR0917 - one parameter per option of the command
    ctx: click.Context,
    pipeline: str,
    adapter: str | None,
    params: tuple[str, ...],
    options: tuple[str, ...],
    job_id: str | None,
    by: str,
    wait: bool,
    as_json: bool,
) -> None:
    """Ask for a job of PIPELINE; the daemon starts it (`make dev`).

    Values are JSON where they can be, else text. Asking twice for the same job id and the same work is
    asking once.
    """
    from dataclasses import asdict

    from medkg_dagster.ledger import JobKey, JobLedger
    from medkg_dagster.resolution import load_deployment

    settings: Settings = ctx.obj
    deployment = load_deployment(settings)
    planned = find_pipeline(deployment.plan, pipeline)
    request = build_request(
        planned,
        deployment.extensions,
        adapter,
        locate_path(parse_assignments(params, "parameter")),
        parse_assignments(options, "option"),
    )
    job_id = check_job_id(job_id) if job_id is not None else new_job_id(planned.name)
    with JobLedger.of(settings) as book:
        job = book.phases.submit(JobKey(planned.name, job_id), planned.phases[0].job_name, request, actor=by)
        echo = partial(click.echo, err=as_json)  # standard output is for the JSON alone
        echo(f"submitted {job.key}")
        code = follow(book, planned, job.job_id, echo) if wait else 0
        if as_json:
            echo_json(asdict(book.jobs.get(job.key)))
    ctx.exit(code)


def locate_path(params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters whose `path` means the same to a daemon with another working directory."""
    path = params.get("path")
    if not isinstance(path, str) or not Path(path).expanduser().exists():
        return params
    return {**params, "path": str(Path(path).expanduser().absolute())}


def build_request(
    pipeline: PipelinePlan,
    extensions: Extensions,
    adapter: str | None,
    params: dict[str, Any],
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return what the ledger keeps of a submission, checked against the stages' models.

    Args:
        pipeline: The pipeline's plan.
        extensions: What the options may name.
        adapter: The source; None for the pipeline's own.
        params: The source's parameters.
        options: `stage.option` to value.

    Raises:
        ConfigError: A stage, option, adapter or parameter is wrong.
    """
    from medkg_dagster.resolution.requested_config import requested_config
    from medkg_dagster.runtime.requests import check_given

    request: dict[str, Any] = {}
    if adapter is not None:
        request["adapter"] = adapter
    if params:
        request["params"] = params
    by_stage: dict[str, dict[str, Any]] = {}
    for path, value in options.items():
        stage, dot, option = path.partition(".")
        if not dot or not option:
            raise ConfigError(f"option {path!r} names no stage; write STAGE.OPTION=VALUE")
        names = [item.name for item in pipeline.stages]
        if stage not in names:
            raise ConfigError(
                f"pipeline '{pipeline.name}' has no stage {stage!r}; {did_you_mean(stage, names)}"
            )
        if "." in option:
            raise ConfigError(_within(pipeline, stage, option, value))
        by_stage.setdefault(stage, {})[option] = value
    if by_stage:
        request["stages"] = by_stage
    given = {planned.name: requested_config(request, planned) for planned in pipeline.stages}
    check_given(pipeline, given, extensions)
    return request


def _within(pipeline: PipelinePlan, stage: str, option: str, value: object) -> str:
    """Return how to say what was said by the name of a part of an option."""
    whole, _, part = option.partition(".")
    planned = next(item for item in pipeline.stages if item.name == stage)
    if whole == "params" and not planned.wires and not planned.order_after:
        text = value if isinstance(value, str) else json.dumps(value)
        return f"'{stage}.{option}' is a parameter of the source; write --param {part}={text}"
    example = f"--set {stage}.{whole}='{json.dumps({part: value})}'"
    return f"'{stage}.{option}' is a part of an option; write the option whole: {example}"


def new_job_id(pipeline: str) -> str:
    """Return an id that no job has."""
    return f"{pipeline}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
