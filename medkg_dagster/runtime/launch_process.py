"""The process behind `launch`: loads a module of definitions, and runs what standard input names."""

import json
import os
import sys
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Run the job that standard input names; without one, end and leave no log."""
    from dagster import DagsterInstance

    defs = import_module(sys.argv[1]).defs
    line = sys.stdin.readline()
    if not line:
        Path(sys.argv[2]).unlink(missing_ok=True)
        return
    asked = json.loads(line)
    # Without DAGSTER_HOME the run leaves no trace in Dagster, as with `dagster job execute`.
    opened = DagsterInstance.get() if os.environ.get("DAGSTER_HOME") else DagsterInstance.ephemeral()
    with opened as instance:
        job = defs.resolve_job_def(asked["job"])
        result = job.execute_in_process(instance=instance, tags=asked["tags"], raise_on_error=False)
    sys.exit(0 if result.success else 1)


if __name__ == "__main__":
    main()
