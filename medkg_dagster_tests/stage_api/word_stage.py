"""A sound stage type that tests break where they want to."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from medkg_dagster.stage_api import (
    Document,
    StageContext,
    StageMetadata,
    StageRegistration,
    write_key,
)
from medkg_dagster.stage_api.testing import (
    StageCheckError,
    check_stage,
    example_document,
)


class CountConfig(BaseModel):
    """What is counted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least: int = Field(default=1, ge=1, description="Words that are rarer are left out.")


class Work:
    """A stage whose `execute` is the given function."""

    def __init__(self, execute: Callable[..., Any]) -> None:
        self.execute = execute


def count_words(ctx: StageContext, *, document: tuple[Document, ...]) -> tuple[str, ...]:
    texts = ctx.for_each(document, lambda one: one.text, document_id=lambda one: one.id)
    ctx.job.set_fields({"words.counted": len(texts)})
    return tuple(sorted(Counter(" ".join(texts).split())))


METADATA = StageMetadata(
    stage_type="words",
    state_key="words",
    output_handler=write_key("words"),
    output_counter=len,
    description="Lists the words of documents.",
    dependencies=("parse",),
    config_model=CountConfig,
    state_types={"words": tuple[str, ...]},
)


def stage_type(execute: Callable[..., Any] = count_words, **changes: Any) -> StageRegistration:
    """Return a sound stage type, changed where a test says so."""
    return StageRegistration(dataclasses.replace(METADATA, **changes), lambda _definition: Work(execute))


DOCUMENTS = {"document": (example_document("One two.", "Two three."),)}


def broken_rules(registration: Any, inputs: Any = DOCUMENTS, **arguments: Any) -> list[str]:
    with pytest.raises(StageCheckError) as caught:
        check_stage(registration, inputs, **arguments)
    return [str(problem) for problem in caught.value.problems]
