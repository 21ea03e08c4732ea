"""What is judged of a stage's outcome each time it has run, as a stage type declares it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.stage_api._context import Described

WAITING_CHECK = "no_job_waits"
"""The check that every gate's stage has of itself."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class CheckVerdict:
    """Whether an outcome is as it should be.

    Attributes:
        passed: Whether it is.
        described: Figures, texts and tables to be shown with it, as `StageContext.describe` takes them.
    """

    passed: bool
    described: Mapping[str, Described] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutcomeCheck:
    """A check that warns on the asset of each stage of the declaring type; it fails no step.

    Attributes:
        name: Its name on the asset: letters, digits and underscores.
        description: One sentence for people: what holds where it passes.
        judge: Judges what the stage described (`StageContext.describe`), of computed and reused documents
            alike; pure, for the UI may ask again without a run.

    Raises:
        StageRegistryError: A field is invalid.
    """

    name: str
    description: str
    judge: Callable[[Mapping[str, Described]], CheckVerdict]

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or self.name == WAITING_CHECK:
            problems.append(
                "name must be letters, digits and underscores, beginning with a letter, and not "
                f"{WAITING_CHECK!r}, got {self.name!r}"
            )
        if not isinstance(self.description, str) or not self.description.strip():
            problems.append("description must not be empty; one sentence for people")
        if not callable(self.judge):
            problems.append(f"judge must be callable, got {self.judge!r}")
        if problems:
            raise StageRegistryError(f"check {self.name!r}: {'; '.join(problems)}")
