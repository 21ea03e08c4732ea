"""Every broken rule of the stage contract is named."""

from __future__ import annotations

import dataclasses
import itertools
import random
import re
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field

from medkg_dagster.errors import (
    ConfigError,
    StageContractError,
    StageRegistryError,
)
from medkg_dagster.stage_api import (
    EmbeddingBatch,
    StageContext,
    StageDefinitionView,
    StageRegistration,
    write_key,
)
from medkg_dagster.stage_api.testing import (
    StageCheckError,
    check_stage,
    run_stage,
)
from medkg_dagster_tests.stage_api.word_stage import (
    DOCUMENTS,
    METADATA,
    CountConfig,
    Work,
    broken_rules,
    count_words,
    stage_type,
)


def test_every_broken_rule_is_told_at_once() -> None:
    class Careless(BaseModel):
        least: int = 1

    def build(_definition: StageDefinitionView) -> Work:
        def execute(_ctx: StageContext, document: list[dict[str, Any]]) -> list[float]:
            document[0]["text"] = "replaced"
            return [random.random()]

        return Work(execute)

    broken = dataclasses.replace(
        METADATA,
        state_key=("words", "rest"),
        config_model=Careless,
        output_handler=write_key("words"),
        output_counter=lambda _output: -1,
    )
    with pytest.raises(StageCheckError) as caught:
        check_stage(StageRegistration(broken, build), {"document": [{"text": "One."}]})

    assert isinstance(caught.value, AssertionError)
    expected = [
        "stage type 'words' breaks 6 rules of the stage contract:",
        "state key 'rest' has no type",
        "unknown keys are let in",
        "field 'least': it has no description",
        "execute changed its input 'document': [0]['text'] was 'One.', then 'replaced'",
        "did not write 'rest'",
        "returned -1; it must return a whole number",
    ]
    lines = str(caught.value).splitlines()
    assert len(lines) == len(expected)
    for line, part in zip(lines, expected, strict=True):
        assert part in line


def fail() -> list[CountConfig]:
    raise ZeroDivisionError("division by zero")


class Meddler(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: list[CountConfig] = Field(default_factory=fail, description="Raises.")


class Loose(BaseModel):
    deep: int = 1


class Nested(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: dict[str, Loose | None] = Field(default={}, description="Models in a mapping.")


class Unplain(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    module: Any = Field(default=sys, description="No text, number, list or mapping.")
    call: Callable[[], None] | None = Field(default=None, description="No JSON.")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Meddler, [r"field 'inner': its default is not plain: ZeroDivisionError"]),
        (
            Nested,
            [r"Nested, field 'inner': unknown keys are let in.*in Loose", r"'inner.deep': it has no desc"],
        ),
        (Unplain, [r"field 'module': its default is not plain", r"Unplain: it has no JSON schema"]),
    ],
)
def test_a_careless_config_model_is_named_with_its_field(model: type[BaseModel], expected: list[str]) -> None:
    rules = [rule for rule in broken_rules(stage_type(config_model=model)) if "config model medkg" in rule]

    assert len(rules) == len(expected)
    for rule, pattern in zip(rules, expected, strict=True):
        assert re.search(pattern, rule), rule


def write_elsewhere(state: MutableMapping[str, Any], _stage: str, output: Any) -> None:
    state["words"] = tuple(output)
    state["document"] = output


def write_emptied(state: MutableMapping[str, Any], _stage: str, output: list[str]) -> None:
    state["words"] = tuple(output)
    output.clear()


def raise_on_counting(_output: Any) -> int:
    raise KeyError("words")


def end_process(_ctx: StageContext, **_inputs: Any) -> None:
    sys.exit(3)


def build_badly(definition: StageDefinitionView) -> Work:
    return Work(definition.config["least"])


async def later(_ctx: StageContext) -> tuple[str, ...]:
    return ()


class Unequal:
    """Comes back from storage with other numbers."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = numbers

    def to_arrays(self) -> dict[str, Any]:
        return {"numbers": self.numbers}

    @classmethod
    def from_arrays(cls, arrays: Any) -> Unequal:
        return cls(arrays["numbers"] + 1)


@pytest.mark.parametrize(
    ("registration", "expected"),
    [
        (
            stage_type(lambda _ctx: ("a",)),
            "_ctx. of stage type 'words' does not take its inputs.*write execute.self, ctx, .*document",
        ),
        (stage_type(end_process), r"'words' called sys.exit.3."),
        (stage_type(later), "is asynchronous; write a plain method"),
        (stage_type(lambda _ctx, **_inputs: 1 / 0), "execute raised ZeroDivisionError: division by zero"),
        (stage_type(output_handler=write_elsewhere), "write_elsewhere.* wrote the key 'document'"),
        (
            stage_type(
                lambda _ctx, **_inputs: ["a"], output_handler=write_emptied, output_counter=lambda _: 1
            ),
            r"write_emptied changed the output it was given: \[0\] is only in the first",
        ),
        (stage_type(output_counter=lambda _output: 3), "counter .* returned 3, but 'words' holds 4"),
        (stage_type(output_counter=raise_on_counting), "raise_on_counting.* raised KeyError"),
        (
            stage_type(output_counter=lambda output: float(len(output))),
            "returned 4.0; it must return a whole",
        ),
        (stage_type(lambda _ctx, **_inputs: itertools.count(), output_counter=lambda _: 1), "may never end"),
        (stage_type(state_types={}), r"'words' has no type.*state_types=\{'words': ...\}"),
        (stage_type(lambda _ctx, **_inputs: ["a"]), "'words': the value is not a tuple"),
        (
            stage_type(lambda _ctx, **_inputs: (1, "a"), state_types={"words": Any}),
            "a stored typing.Any came back different",
        ),
        (
            stage_type(
                lambda _ctx, **_inputs: Unequal(np.zeros(2)),
                state_types={"words": Unequal},
                output_counter=lambda _: 2,
            ),
            r"Unequal came back different: .numbers was array\(\[0., 0.\]\), then array\(\[1., 1.\]\)",
        ),
        (
            StageRegistration(METADATA, lambda: Work(count_words)),
            r"lambda.*\(\) cannot be called; a builder takes",
        ),
        (StageRegistration(METADATA, lambda _definition: 7), "returned int, which has no method execute"),  # type: ignore[arg-type,return-value] # the mistake under test
        (StageRegistration(METADATA, build_badly), "the builder .*build_badly raised KeyError: 'least'"),
    ],
)
def test_a_broken_rule_is_named(registration: StageRegistration, expected: str) -> None:
    (rule,) = broken_rules(registration)

    assert re.search(expected, rule), rule


def test_two_rules_of_one_run_are_both_named() -> None:
    rules = broken_rules(stage_type(output_handler=write_elsewhere, output_counter=raise_on_counting))

    assert [rule.split(" of stage type")[0].rpartition(".")[2] for rule in rules] == [
        "write_elsewhere",
        "raise_on_counting",
    ]


@pytest.mark.parametrize(
    ("different", "expected"),
    [
        (
            lambda turn, _ctx: (f"word {turn}",),
            r"'words' differs between two runs.* \[0\] was 'word 0', then",
        ),
        (lambda turn, _ctx: ("a",) * (turn + 1), r"'words' differs.* \[1\] is only in the second"),
        (lambda turn, ctx: ctx.quarantine(f"PMID:{turn}", ValueError("x")), "quarantined documents differs"),
    ],
)
def test_a_stage_whose_second_run_gives_something_else_is_named(
    different: Callable[[int, StageContext], Any], expected: str
) -> None:
    turns = itertools.count()

    def execute(ctx: StageContext) -> tuple[str, ...]:
        ctx.succeeded += 10
        return different(next(turns), ctx) or ()

    rules = broken_rules(stage_type(execute), {})

    assert re.search(expected, rules[0]), rules


def test_a_stage_that_only_works_once_is_named() -> None:
    turns = iter(["once"])

    rules = broken_rules(stage_type(lambda _ctx: (next(turns),)), {})

    assert rules == ["in a second run: execute raised StopIteration"]


def test_both_runs_begin_with_the_same_folder_and_may_name_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("a model")

    def execute(ctx: StageContext) -> tuple[str, ...]:
        written = ctx.home / "written.txt"
        before = sorted(path.name for path in ctx.home.iterdir())
        written.write_text("here")
        return (*before, str(written))

    run = check_stage(stage_type(execute), home=tmp_path)

    assert run.state["words"] == ("model.txt", str(tmp_path / "written.txt"))
    assert (tmp_path / "written.txt").read_text() == "here"


def test_values_of_arrays_are_compared_by_content() -> None:
    def execute(_ctx: StageContext, embedding_batch: EmbeddingBatch) -> EmbeddingBatch:
        return dataclasses.replace(embedding_batch, vectors=embedding_batch.vectors * 2)

    def spoil(_ctx: StageContext, embedding_batch: EmbeddingBatch) -> EmbeddingBatch:
        embedding_batch.vectors[0, 0] = np.nan
        return embedding_batch

    batch = EmbeddingBatch(("a", "b"), np.ones((2, 3), dtype=np.float32), "hashing:{}", True)
    double = stage_type(execute, state_types={"words": EmbeddingBatch}, output_counter=lambda _: 2)
    spoiling = stage_type(spoil, state_types={"words": EmbeddingBatch}, output_counter=lambda _: 2)

    assert check_stage(double, {"embedding_batch": batch}).output_count == 2
    (rule,) = broken_rules(spoiling, {"embedding_batch": batch})
    assert "execute changed its input 'embedding_batch': .vectors was array" in rule


def test_an_input_that_cannot_be_copied_is_named() -> None:
    with pytest.raises(
        ConfigError, match="input 'numbers' cannot be copied: TypeError: cannot pickle 'generator'"
    ):
        check_stage(stage_type(), {"numbers": (number for number in range(3))})


async def register_later() -> StageRegistration:
    return stage_type()


def register_nothing() -> StageRegistration | None:
    return None


@pytest.mark.parametrize(
    ("register", "expected"),
    [
        (lambda _topology: stage_type(), r"wants arguments \(missing a required argument: '_topology'\)"),
        (register_later, "register_later, which is asynchronous"),
        (register_nothing, "register_nothing returned NoneType"),
        (list, "registers no stage types"),
        (lambda: itertools.repeat(stage_type()), "registers more than 10,000 stage types"),
        (lambda: [stage_type(), stage_type()], "registers a stage type twice: words, words"),
        (lambda: [stage_type(), METADATA], "expected a StageRegistration, got StageMetadata"),
        (lambda: stage_type(state_key="context", state_types={}), "state_key 'context' cannot be used"),
        (
            lambda: stage_type(state_key="two words", state_types={}),
            "state_key 'two words' must be a valid Python identifier",
        ),
        (lambda: stage_type(kinds=("a b",)), "kind 'a b' must be"),
        (lambda: stage_type(output_counter=lambda: 1), "output_counter .* must take"),
        ("medkg_stage:register", "names str 'medkg_stage:register'; it must name a function"),
        (lambda: 1 / 0, "raised ZeroDivisionError"),
    ],
)
def test_a_function_that_breaks_a_rule_of_entry_points_is_named(register: Any, expected: str) -> None:
    (rule,) = broken_rules(register)

    assert re.search(expected, rule), rule
    with pytest.raises((StageRegistryError, ZeroDivisionError)):
        run_stage(register, DOCUMENTS)


def test_an_error_while_a_stage_runs_by_itself_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        run_stage(stage_type(lambda _ctx: 1 / 0))
    with pytest.raises(StageContractError, match="wrote the key 'document'"):
        run_stage(stage_type(lambda _ctx: (), output_handler=write_elsewhere))


def test_a_check_keeps_the_traceback_of_what_a_stage_raised() -> None:
    with pytest.raises(StageCheckError) as caught:
        check_stage(stage_type(lambda _ctx: 1 / 0))

    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "lambda _ctx: 1 / 0" in (caught.value.problems[0].details or "")
