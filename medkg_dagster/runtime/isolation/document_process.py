"""A process that works on documents, of one stage after the other, seen from the step."""

import logging
import os
from contextlib import suppress
from dataclasses import dataclass

from medkg_dagster.runtime.isolation.stage_process import RunningChild
from medkg_dagster.stage_api import SubprocessIsolation

WORKER = "medkg_dagster.runtime.isolation.document_worker"
_READ_BYTES = 1 << 16


@dataclass(slots=True, eq=False)
class DocumentProcess:
    """The process; closing it ends it and all that it started.

    Attributes:
        child: The process.
        is_used: Whether a stage has left it.
        is_spent: Whether no other stage is to go on with it: it holds much memory or was at what does damage.
    """

    child: RunningChild
    _begun: int
    is_used: bool = False
    is_spent: bool = False

    @classmethod
    def start(cls, log: logging.Logger, limits: SubprocessIsolation) -> "DocumentProcess":
        """Start one; see `RunningChild.start`."""
        begun, tell = os.pipe()
        os.set_blocking(begun, False)
        try:
            child = RunningChild.start(WORKER, log, limits, (tell,))
        except BaseException:
            os.close(begun)
            raise
        finally:
            os.close(tell)
        return cls(child, begun)

    def begun(self) -> int:
        """Return how many units of documents it has begun since it was asked last.

        It says so in a pipe as it goes, so that of one that has crashed it is known what it was at.
        """
        number = 0
        with suppress(BlockingIOError):
            while some := os.read(self._begun, _READ_BYTES):
                number += len(some)
        return number

    def close(self) -> None:
        """End it."""
        self.child.close()
        os.close(self._begun)
