"""A stage that puts its secret into every text the stage API takes, found by looking at the API itself."""

from __future__ import annotations

import collections.abc
import enum
import inspect
import logging
import sys
import types
import typing
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.stage_api import (
    Config,
    Extensions,
    ExternalCalls,
    JobRecord,
    QuarantinedDocument,
    Secret,
    StageContext,
    StageRegistration,
    SubprocessIsolation,
)

TARGET = f"{__name__}:register"
LOG_METHODS = ("debug", "info", "warning", "error", "exception", "critical", "log")
GIVEN = {"pipeline", "stage", "job_id", "fingerprints", "home", "engine_of"}
"""What a stage is told and has no reason to change."""


class TellConfig(Config):
    """Whose secret is told, and whether the stage ends with an error that tells it too."""

    token: Secret = Secret(env="MEDKG_TEST_TOKEN")
    fails: bool = False


class TellStage:
    """Tells its secret wherever the stage API takes a text."""

    def __init__(self, config: TellConfig) -> None:
        self._config = config

    def execute(self, ctx: StageContext) -> tuple[str, ...]:
        """Return the calls that were made, and fail afterwards where that is asked for."""
        secret = self._config.token.reveal()
        made: list[str] = []
        errors: list[Exception] = []
        for name, call in calls(ctx, secret):
            made.append(name)
            try:
                call()
            except Exception as error:  # noqa: BLE001 - whatever a call refuses, its error is told as well
                errors.append(error)
        for refused in errors:
            ctx.log.error("refused", exc_info=refused)
            ctx.quarantine(f"refused {secret}", ValueError(str(refused)))
        told = f"by hand {secret}"
        ctx.quarantined.append(QuarantinedDocument(told, told, told, told, told))
        ctx.described[f"by hand {secret}"] = f"by hand {secret}"
        ctx.succeeded += 1000
        if self._config.fails:
            raise ExceptionGroup(f"all of them {secret}", errors)
        return tuple(dict.fromkeys(made))


def calls(ctx: StageContext, secret: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield every call of the stage API with the secret in each of its texts."""
    surfaces: list[tuple[str, Any, type]] = [
        ("ctx", ctx, StageContext),
        ("ctx.job", ctx.job, JobRecord),
        ("ctx.calls", ctx.calls, ExternalCalls),
        ("ctx.extensions", ctx.extensions, Extensions),
    ]
    for place, holder, kind in surfaces:
        for name, function in inspect.getmembers(kind, inspect.isfunction):
            if not name.startswith("_"):
                yield from variants(f"{place}.{name}", getattr(holder, name), function, secret)
    yield "ctx.report_progress", partial(ctx.report_progress, 1, 1, secret)
    yield "ctx.recall", partial(ctx.recall, secret)
    yield "print", lambda: print(f"told {secret}", secret)
    yield "sys.stderr", lambda: sys.stderr.writelines([f"told {secret}", secret])
    extra = {"note": secret}
    for name in LOG_METHODS:
        log = getattr(ctx.log, name)
        level = (logging.ERROR,) if name == "log" else ()
        yield f"ctx.log.{name}", partial(log, *level, f"of {secret} %s", secret, extra=extra)


def variants(
    name: str, bound: Callable[..., Any], function: Callable[..., Any], secret: str
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the calls of one method: the secret in one argument after the other, in each form it may have."""
    hints = typing.get_type_hints(function)
    names = [item for item in inspect.signature(function).parameters if item != "self"]
    harmless = {item: next(values(hints[item], "nothing")) for item in names}
    for item in names or [""]:
        for value in values(hints[item], secret) if item else [None]:
            yield name, partial(bound, **(harmless | ({item: value} if item else {})))


def values(kind: Any, secret: str) -> Iterator[Any]:
    """Yield values of a type with the secret in each text of them."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, typing.TypeVar) or kind in {str, Any, object}:
        yield f"told {secret}"
    elif kind in {bool, int, float}:
        yield kind(1)
    elif kind is type(None):
        yield None
    elif kind is GateCondition:
        clause = {"field": "account", "operator": "not_equals", "value": secret}
        yield GateCondition.model_validate({"mode": "all", "clauses": [clause]})
    elif origin in {typing.Union, types.UnionType}:
        for part in parts:
            yield from values(part, secret)
    elif origin is typing.Annotated:
        yield from values(parts[0], secret)
    elif origin in {collections.abc.Mapping, dict}:
        yield {next(values(parts[0], secret)): next(values(parts[1], secret))}
    elif origin is tuple and Ellipsis not in parts:
        yield tuple(next(values(part, secret)) for part in parts)
    elif origin in {collections.abc.Sequence, collections.abc.Iterable, list, tuple}:
        yield list(values(parts[0], secret))
    elif origin is collections.abc.Callable:
        # Also the id of a document, which `for_each` asks for.
        yield lambda *_: f"told {secret}"
        yield partial(raise_with, secret)
    elif isinstance(kind, type) and issubclass(kind, BaseException):
        yield ValueError(f"told {secret}")
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        yield next(iter(kind))
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind(
            **{name: next(values(field.annotation, secret)) for name, field in kind.model_fields.items()}
        )
    elif kind is Path:
        yield Path(secret)
    else:
        raise AssertionError(f"say here how {kind!r} tells a secret")


def raise_with(secret: str, *_: object) -> None:
    """Raise an error that tells the secret."""
    raise KeyError(secret)


def fields_told() -> set[str]:
    """Return the attributes of the surroundings that the stage above makes use of."""
    called = {"log", "report_progress", "recall", "calls", "job", "extensions"}
    return GIVEN | called | {"succeeded", "quarantined", "described"}


def register() -> list[StageRegistration]:
    """Register the stage type twice: in the step's process, and in one of its own."""
    return [
        StageRegistration.of(
            name,
            TellStage,
            TellConfig,
            description="Tells its secret.",
            state_types={"words": tuple[str, ...]},
            max_failure_ratio=1.0,
            isolation=isolation,
        )
        for name, isolation in (
            ("tell", None),
            ("tell-isolated", SubprocessIsolation(memory_mb=1024, timeout_seconds=120)),
        )
    ]
