"""Progress of long work: log lines in a run, a bar in a terminal."""

import logging
import sys
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm

LOG_INTERVAL_SECONDS = 5.0


class RunProgress:
    """Reports progress of one stage; short work, under `LOG_INTERVAL_SECONDS`, stays quiet."""

    def __init__(self, stage: str, log: logging.Logger) -> None:
        self._stage = stage
        self._log = log
        self._next_line = time.monotonic() + LOG_INTERVAL_SECONDS
        self._bar: tqdm[NoReturn] | None = None
        self._terminal = sys.stderr.isatty()

    def __call__(self, done: int, total: int | None, unit: str) -> None:
        """Report `done` of `total` units."""
        if self._terminal:
            self._draw(done, total, unit)
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + LOG_INTERVAL_SECONDS
            of = f" of {total} ({done / total:.0%})" if total else ""
            self._log.info("%s: %d%s %s", self._stage, done, of, unit)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, done: int, total: int | None, unit: str) -> None:
        from tqdm import tqdm

        if self._bar is None or self._bar.total != total:
            self.close()
            self._bar = tqdm(desc=self._stage, total=total, unit=f" {unit}", leave=False, delay=1.0)
        self._bar.update(done - self._bar.n)
