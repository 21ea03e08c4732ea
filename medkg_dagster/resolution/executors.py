"""Which executors can be used here: some come with an extra."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

_MODULES = {"celery": "dagster_celery", "k8s": "dagster_k8s"}


@dataclass(frozen=True, slots=True)
class MissingExtra:
    """What an executor needs and is not installed.

    Attributes:
        needs: What it needs.
        hint: What to type.
    """

    needs: str
    hint: str


def missing_extra(executor: str) -> MissingExtra | None:
    """Return what is not installed of what an executor needs; None where it can be used.

    Args:
        executor: Its name; the extra is called the same.
    """
    module = _MODULES.get(executor)
    if module is None or find_spec(module) is not None:
        return None
    distribution = module.replace("_", "-")
    return MissingExtra(
        f"{distribution}, which is not installed", f"`pip install 'medkg-dagster[{executor}]'`"
    )
