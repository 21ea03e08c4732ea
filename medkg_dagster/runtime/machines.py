"""Whether a run's steps are carried out on other machines, which see no folder and no SQLite of this one."""

import re

from dagster import OpExecutionContext

from medkg_dagster.errors import ConfigError
from medkg_dagster.runtime.dagster_internals import launcher_names
from medkg_dagster.settings import Settings

_OF_SEVERAL_MACHINES = re.compile(r"celery|k8s|kubernetes", re.IGNORECASE)


def only_local(settings: Settings) -> tuple[str, ...]:
    """Return what of a deployment only this machine sees, and what to set instead.

    Args:
        settings: Where the ledger and all data are.
    """
    found = []
    if not settings.shared_home:
        found.append(
            f"MEDKG_HOME, {settings.home}, is taken for a folder of one machine (mount one that all share, "
            "and set MEDKG_SHARED_HOME=1)"
        )
    if settings.ledger_url is None or settings.ledger_url.startswith("sqlite"):
        found.append("the ledger is in SQLite (set MEDKG_LEDGER_URL to a PostgreSQL)")
    return tuple(found)


def refuse_other_machines(context: OpExecutionContext, local: tuple[str, ...]) -> ConfigError | None:
    """Return what is wrong with a run whose steps, or which itself, is carried out elsewhere.

    Args:
        context: A step of the run.
        local: What only one machine sees.
    """
    executor = context.job_def.executor_def
    creation = executor.executor_creation_fn
    named = {
        f"executor {executor.name!r}": (executor.name, creation.__module__ if creation else ""),
        "run launcher": launcher_names(context.instance),
    }
    for what, names in named.items():
        by = next(filter(_OF_SEVERAL_MACHINES.search, names), None)
        if by is not None and local:
            which = what if what.startswith("executor") else f"{what} {by!r}"
            return ConfigError(
                f"the {which} carries out runs on several machines, but {' and '.join(local)}; or let "
                "MEDKG_EXECUTOR carry them out on one"
            )
    return None
