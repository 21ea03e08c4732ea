"""Broken rules, collected while the check goes on."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

from medkg_dagster.errors import (
    BatchFailedError,
    Problem,
    StageConfigError,
    StageContractError,
    StageRegistryError,
    StateError,
)

_SAY_IT_ALL = (BatchFailedError, StageConfigError, StageContractError, StageRegistryError, StateError)


class Findings:
    """The broken rules of one stage type.

    Attributes:
        problems: What was found, in order.
        cause: The first exception that was noted.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.cause: BaseException | None = None

    def add(self, message: str, hint: str) -> None:
        """Note a broken rule."""
        self.problems.append(Problem(message, hint=hint))

    @contextlib.contextmanager
    def noting(self, what: str, hint: str | None = None) -> Iterator[None]:
        """Note what is raised inside, and go on behind it.

        Args:
            what: Who raises it, for errors that do not say so themselves.
            hint: What to do about it.
        """
        try:
            yield
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stage may raise anything; it is one broken rule of several
            self.cause = self.cause or error
            message = str(error) if isinstance(error, _SAY_IT_ALL) else f"{what} raised {_described(error)}"
            details = "".join(traceback.format_exception(error))
            self.problems.append(Problem(message, hint=hint, details=details))


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
