"""Stages that take long in many ways, for tests that cancel them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_serializer

from medkg_dagster.errors import SourceError
from medkg_dagster.stage_api import StageContext, StageDefinitionView, StageMetadata, StageRegistration

SECONDS = 600.0


class Made(BaseModel):
    """What the stages make; slow to store where it is told to be."""

    slow: str = ""

    @model_serializer
    def store(self) -> dict[str, str]:
        """Return the fields, late."""
        if self.slow:
            Path(self.slow).touch()
            time.sleep(SECONDS)
        return {"slow": self.slow}


class ActConfig(BaseModel):
    """What to do."""

    model_config = ConfigDict(extra="forbid")

    act: str = "nothing"


def nothing(_mark: Path) -> Made:
    return Made()


def compute(mark: Path) -> Made:
    mark.touch()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        sum(range(1000))
    return Made()


def sleep(mark: Path) -> Made:
    mark.touch()
    time.sleep(SECONDS)
    return Made()


def hang_once(mark: Path) -> Made:
    """Never come to an end at the first attempt."""
    if not mark.exists():
        mark.with_suffix(".new").write_text(str(os.getpid()))
        mark.with_suffix(".new").rename(mark)
        time.sleep(SECONDS)
    return Made()


def start(mark: Path) -> Made:
    """Wait for a process, which starts one more."""
    script = (
        "import os, pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "mark = pathlib.Path(sys.argv[1])\n"
        "mark.with_suffix('.new').write_text(f'{os.getpid()} {child.pid}')\n"
        "mark.with_suffix('.new').rename(mark)\n"
        "time.sleep(600)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(mark)], check=True)
    return Made()


def fail(mark: Path) -> Made:
    mark.touch()
    raise SourceError("the service is away")


def die(mark: Path) -> Made:
    mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return Made()


def store(mark: Path) -> Made:
    return Made(slow=str(mark))


ACTS: dict[str, Callable[[Path], Made]] = {
    act.__name__.replace("_", "-"): act
    for act in (hang_once, nothing, compute, sleep, start, fail, die, store)
}


class Act:
    """Does what its options say."""

    def __init__(self, act: str) -> None:
        self._act = ACTS[act]

    def execute(self, ctx: StageContext, **_inputs: Any) -> Made:
        """Take long."""
        return self._act(ctx.home / f"{ctx.stage}.mark")


def build(definition: StageDefinitionView) -> Act:
    return Act(definition.config.get("act", "nothing"))


def _metadata(key: str, dependencies: tuple[str, ...] = ()) -> StageMetadata:
    def write(state: MutableMapping[str, Any], _stage: str, output: Made) -> None:
        state[key] = output

    return StageMetadata(
        f"{key}-act",
        key,
        write,
        lambda _output: 1,
        "Takes long.",
        dependencies=dependencies,
        state_types={key: Made},
        config_model=ActConfig,
    )


def register() -> list[StageRegistration]:
    """Return the stage types of the first and the second stage."""
    return [
        StageRegistration(_metadata("first"), build),
        StageRegistration(_metadata("second", ("first-act",)), build),
    ]
