"""`medkg check`."""

from __future__ import annotations

import click

from medkg_dagster.settings import Settings


@click.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Load every pipeline and plugin, and print each problem with its file and line.

    The exit code is 1 where there is any problem, so a build can rely on it. An earlier form of a pipeline
    file is none: it is printed with what to write instead.
    """
    from medkg_dagster.ledger import JobLedger
    from medkg_dagster.resolution import load_deployment
    from medkg_dagster.resolution.plugin_audit import audit_plugins

    settings: Settings = ctx.obj
    deployment = load_deployment(settings)
    plan, factory = deployment.plan, deployment.factory
    if JobLedger.exists(settings):
        with JobLedger.of(settings) as ledger:
            audit_plugins(plan.report.events, ledger)
    for item in (*plan.problems, *plan.deprecations):
        click.echo(str(item))
    found = f"{len(plan.pipelines)} pipelines, {len(factory.registry.stage_types)} stage types"
    if plan.problems:
        click.echo(f"medkg: {found}, {len(plan.problems)} problems", err=True)
        ctx.exit(1)
    earlier = f", {len(plan.deprecations)} earlier forms" if plan.deprecations else ""
    click.echo(f"{found}, no problems{earlier}")
