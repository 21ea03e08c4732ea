"""What was looked with, as a stage describes it and a summary tells it."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.errors import counted

SAMPLE, INSTALLED, OF_ONES_OWN = "concepts_of_sample", "concepts_installed", "concepts_of_file"
"""The figures that a stage describes, one of them: how many concepts were looked for, and whose they are."""

_WHOSE = {
    SAMPLE: "oncology sample); `medkg vocab install open` adds some 600,000",
    INSTALLED: "installed)",
    OF_ONES_OWN: "of your own)",
}


def looked_with(figures: Mapping[str, object]) -> str | None:
    """Say what a stage looked with.

    Args:
        figures: What it described, or the ledger counted of it.

    Returns:
        One line; None where it did not look with a vocabulary.
    """
    for name, whose in _WHOSE.items():
        if isinstance(number := figures.get(name), int):
            return f"{counted(number, 'concept')} ({whose}"
    return None
