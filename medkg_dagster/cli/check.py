"""`medkg check`."""

from __future__ import annotations

import click

from medkg_dagster.settings import Settings


@click.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Load every pipeline and plugin, and print each problem with its file and line.

    The exit code is 1 where there is any problem, so a build can rely on it.
    """
    from medkg_dagster.registry import build_default_stage_factory
    from medkg_dagster.resolution import load_plan

    settings: Settings = ctx.obj
    factory = build_default_stage_factory()
    plan = load_plan(settings.config, factory)
    for problem in plan.problems:
        click.echo(str(problem))
    found = f"{len(plan.pipelines)} pipelines, {len(factory.registry.stage_types)} stage types"
    if plan.problems:
        click.echo(f"medkg: {found}, {len(plan.problems)} problems", err=True)
        ctx.exit(1)
    click.echo(f"{found}, no problems")
