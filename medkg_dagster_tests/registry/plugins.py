"""Plugins, good and bad, as entry points name them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from medkg_dagster.stage_api import StageRegistration
from medkg_dagster_tests.registry.stage_types import FakeStage, metadata, registration

NOT_CALLABLE = 5


def one() -> StageRegistration:
    return registration("one")


def one_again() -> StageRegistration:
    return registration("one", "other")


def several() -> list[StageRegistration]:
    return [registration("two"), registration("three")]


def twice() -> list[StageRegistration]:
    return [registration("four"), registration("four")]


def ocr() -> StageRegistration:
    return registration("ocr")


def lacks_torch() -> StageRegistration:
    raise ImportError("torch")


def bare_metadata() -> Any:
    return metadata("bare")


def bare_metadata_of_several() -> Any:
    return [registration("five"), metadata("bare")]


def breaks() -> StageRegistration:
    raise RuntimeError("no model here")


def exits() -> StageRegistration:
    sys.exit(3)


def breaks_late() -> Iterator[StageRegistration]:
    yield registration("early")
    raise KeyError("late")


def returns_none() -> Any:
    return None


def returns_text() -> Any:
    return "one"


def returns_mixed() -> Any:
    return [registration("good"), "bad"]


def wrong_arity() -> StageRegistration:
    def build(a: Any, b: Any, c: Any) -> FakeStage:
        raise NotImplementedError

    return StageRegistration(metadata("wrong"), build)


def invalid_metadata() -> StageRegistration:
    return registration("bad name!")


def reserved_key() -> StageRegistration:
    return registration("reserved", "context")


def wants_argument(argument: int) -> Any:
    return argument


def dangling() -> StageRegistration:
    return registration("dangling", "x", ("tow",))
