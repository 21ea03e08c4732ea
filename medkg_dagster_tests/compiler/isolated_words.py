"""Stage types that a child process can find: a reader, and one that counts in a process of its own."""

import os
from collections.abc import MutableMapping
from typing import Any

from medkg_dagster.stage_api import (
    StageContext,
    StageDefinitionView,
    StageMetadata,
    StageRegistration,
    SubprocessIsolation,
    write_key,
)


class Read:
    """Gives a few words and tells its process."""

    def execute(self, ctx: StageContext) -> tuple[str, ...]:
        """Return words."""
        ctx.describe("process", os.getpid())
        return ("a", "b", "c")


class Count:
    """Counts words and tells its process."""

    def execute(self, ctx: StageContext, words: tuple[str, ...]) -> int:
        """Return how many words there are."""
        ctx.describe("process", os.getpid())
        ctx.job.set_fields({"counted": len(words)})
        return len(words)


def build_read(_definition: StageDefinitionView) -> Read:
    """Build the reader."""
    return Read()


def build_count(_definition: StageDefinitionView) -> Count:
    """Build the counter."""
    return Count()


def write_total(state: MutableMapping[str, Any], _stage: str, output: int) -> None:
    """Write the total."""
    state["total"] = output


def register() -> list[StageRegistration]:
    """Return both stage types."""
    read = StageMetadata(
        "read-words", "words", write_key("words"), len, "Reads.", state_types={"words": tuple[str, ...]}
    )
    count = StageMetadata(
        "count-words",
        "total",
        write_total,
        int,
        "Counts.",
        dependencies=("read-words",),
        state_types={"total": int},
        isolation=SubprocessIsolation(memory_mb=512, timeout_seconds=60),
    )
    return [StageRegistration(read, build_read), StageRegistration(count, build_count)]
