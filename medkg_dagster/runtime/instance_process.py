"""The process behind `instance_look`: tells what Dagster knows of its daemon, sensors and schedules."""

import json
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster import DagsterInstance

_SENSOR_DAEMON = "SENSOR"
# The daemon says every 30 seconds that it is there.
_HEARTBEAT_SECONDS = 45.0


def daemon_heartbeat(instance: "DagsterInstance") -> float | None:
    """Return when the daemon that calls sensors said last that it is there, in seconds since 1970."""
    heartbeat = instance.get_daemon_heartbeats().get(_SENSOR_DAEMON)
    return None if heartbeat is None else heartbeat.timestamp


def is_recent(heartbeat: float | None) -> bool:
    """Say whether a daemon that was there then runs still."""
    return heartbeat is not None and time.time() - heartbeat < _HEARTBEAT_SECONDS


def main() -> None:
    """Tell of the instance that `DAGSTER_HOME` names."""
    import dagster

    repository = import_module(sys.argv[1]).defs.get_repository_def()
    with dagster.DagsterInstance.get() as instance:
        heartbeat = daemon_heartbeat(instance)
        said = {state.instigator_name: state.is_running for state in instance.all_instigator_state()}
    told = {
        "dagster": dagster.__version__,
        "heartbeat": heartbeat and datetime.fromtimestamp(heartbeat, UTC).isoformat(),
        "is_alive": is_recent(heartbeat),
        "sensors": {one.name: said.get(one.name, _is_on(one)) for one in repository.sensor_defs},
        "schedules": {one.name: said.get(one.name, _is_on(one)) for one in repository.schedule_defs},
    }
    print(json.dumps(told))


def _is_on(definition: Any) -> bool:
    return bool(definition.default_status.value == "RUNNING")


if __name__ == "__main__":
    main()
