"""Work that goes on while a ledger job waits at a gate, as a stage type declares it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.stage_api._context import StageContext, StageDefinitionView

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A ledger job that waits at a gate, as the work on it sees it.

    Attributes:
        stage: The stage whose type declares the work.
        stages: All stages of the job's pipeline.
        options: The work's `options_model` with what the launchpad says; None without a model.
        attempt: Which attempt this is, from 1 on: work that is started again may try what failed before.
    """

    stage: StageDefinitionView
    stages: Sequence[StageDefinitionView]
    options: Any
    attempt: int


@dataclass(frozen=True, slots=True)
class WorkAtGate:
    """Work that this deployment does while a job waits at a gate, so that the gate opens.

    It is done for each job that comes to a gate whose condition asks for the field, where a stage of the
    declaring type is upstream of the gate; of several such stages the nearest one's is done.

    Attributes:
        name: The name of its Dagster job and sensor: letters, digits, single underscores.
        sets: The field of the ledger job that it sets when it is done, as a gate's condition names it.
        execute: Does the work and returns the fields to set, `sets` among them, by dotted path. The context
            is that of a stage of the work's name: files and fields of the job, log, progress, quarantine.
        description: One sentence for people.
        options_model: Pydantic model of what the launchpad may say, every field with a default.
        op_name: The name of the job's only op, in run configurations; by default `do_<name>`.

    Raises:
        StageRegistryError: A field is invalid.
    """

    name: str
    sets: str
    execute: Callable[[StageContext, WaitingJob], Mapping[str, Any]]
    description: str
    options_model: type[BaseModel] | None = None
    op_name: str = ""

    def __post_init__(self) -> None:
        if not self.op_name:
            object.__setattr__(self, "op_name", f"do_{self.name}")
        problems = [
            f"{label} must be letters, digits and single underscores, beginning with a letter, got {value!r}"
            for label, value in (("name", self.name), ("op_name", self.op_name))
            if not isinstance(value, str) or not _NAME.fullmatch(value)
        ]
        if self.op_name == self.name:
            problems.append("op_name must differ from name, for Dagster wants jobs and ops to")
        if not isinstance(self.sets, str) or not all(self.sets.split(".")):
            problems.append(
                f"sets must be a field of the ledger job, for example 'ocr.ready', got {self.sets!r}"
            )
        if not callable(self.execute):
            problems.append(f"execute must be callable, got {self.execute!r}")
        if not isinstance(self.description, str) or not self.description.strip():
            problems.append("description must not be empty; one sentence for people")
        problems += _invalid_options(self.options_model)
        if problems:
            raise StageRegistryError(f"work at gates {self.name!r}: {'; '.join(problems)}")


def _invalid_options(model: Any) -> list[str]:
    if model is None:
        return []
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return [f"options_model must be a pydantic model class, got {model!r}"]
    # The run reads its job from these.
    taken = sorted({"pipeline", "job_id"} & set(model.model_fields))
    required = sorted(name for name, info in model.model_fields.items() if info.is_required())
    return [f"options_model must not have the field {name!r}" for name in taken] + [
        f"options_model must have a default for {name!r}" for name in required
    ]
