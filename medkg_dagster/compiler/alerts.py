"""The sensor that tells people outside of what happened."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dagster import DefaultSensorStatus, SensorDefinition, SensorEvaluationContext, SkipReason, sensor

from medkg_dagster.alerts.delivery import send_due
from medkg_dagster.alerts.looks import look_for_alerts
from medkg_dagster.errors import counted
from medkg_dagster.ledger import JobLedger
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.runtime.ticks import TICK_SECONDS
from medkg_dagster.settings import Settings
from medkg_dagster.topology.alerts_file import AlertsFile
from medkg_dagster.topology.names import ALERTS_SENSOR


def alert_sensors(
    content: AlertsFile, pipelines: Sequence[PipelinePlan], settings: Settings, loaded_at: str
) -> list[SensorDefinition]:
    """Return the sensor that records and sends alerts; none where nobody is to be told.

    Dagster's own sensors of run failures move on where their function fails, and the ledger may be away at
    that moment. So this one looks for what failed in the ledger, which hears of every run that ended.

    Args:
        content: Who is told of what.
        pipelines: The pipelines that there are.
        settings: Where the ledger is.
        loaded_at: When all of it was loaded, in ISO 8601; empty for now.
    """
    if not content.alerts:
        return []
    since = datetime.fromisoformat(loaded_at) if loaded_at else datetime.now(UTC)
    receivers = ", ".join(webhook.name for webhook in content.alerts)

    @sensor(
        name=ALERTS_SENSOR,
        description=f"Tells of what happened: {receivers}.",
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=TICK_SECONDS,
    )
    def alerts(context: SensorEvaluationContext) -> SkipReason:
        if not JobLedger.exists(settings):
            return SkipReason("There is no ledger yet.")
        with JobLedger.of(settings) as ledger:
            found = look_for_alerts(ledger, pipelines, content, since)
            delivered = send_due(ledger, content.alerts)
        for problem in delivered.problems:
            context.log.warning("%s", problem)
        said = [f"{counted(found, 'new alert')}, {delivered.sent} sent.", *delivered.problems]
        return SkipReason(" ".join(said))

    return [alerts]
