"""`medkg doctor`: whether what a deployment needs is there, a line each with the way out."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain

import click

from medkg_dagster.cli.output import echo_json, one_line
from medkg_dagster.errors import counted
from medkg_dagster.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look at versions, storage, daemon, sensors, disk, clock, plugins, alerts and permissions: a line each.

    What is wrong is shown with the way out, and the exit code is 1. A note is no fault: what is not there
    yet, or not needed. Nothing is made, and a home that cannot be written to is looked at too.
    """
    from medkg_dagster.cli.doctor.alerts import look_at_alerts
    from medkg_dagster.cli.doctor.deployment import look_at_plugins, look_at_versions
    from medkg_dagster.cli.doctor.finding import Status
    from medkg_dagster.cli.doctor.instance import look_at_dagster
    from medkg_dagster.cli.doctor.machine import look_at_clock, look_at_disk, look_at_permissions
    from medkg_dagster.cli.doctor.storage import look_at_ledger, look_at_stores

    settings: Settings = ctx.obj
    ledger, known = look_at_ledger(settings)
    found = list(
        chain(
            look_at_versions(),
            [ledger],
            look_at_stores(settings),
            look_at_dagster(settings, known),
            look_at_disk(settings.home),
            look_at_clock(known),
            look_at_plugins(settings),
            look_at_alerts(settings),
            look_at_permissions(settings.home),
        )
    )
    wrong = sum(finding.status is Status.WRONG for finding in found)
    if as_json:
        echo_json({"ok": not wrong, "checks": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            way_out = f"; {finding.way_out}" if finding.way_out else ""
            shown = click.style(f"{finding.status:5}", fg="red" if finding.status is Status.WRONG else None)
            click.echo(f"{shown}  {finding.name:11}  {one_line(finding.found + way_out)}")
    if wrong:
        click.echo(f"medkg: {counted(wrong, 'thing is', 'things are')} wrong", err=True)
        ctx.exit(1)
