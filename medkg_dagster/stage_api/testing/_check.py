"""Checking one stage against everything its contract says, every broken rule in one error."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from medkg_dagster.errors import MedkgError, Problem, counted
from medkg_dagster.stage_api._context import TopologyView
from medkg_dagster.stage_api._extensions import Extension
from medkg_dagster.stage_api._secrets import secret_fields
from medkg_dagster.stage_api._stage_types.metadata import StageMetadata, qualified_name
from medkg_dagster.stage_api._stage_types.registration import StagePlugin, StageRegistration
from medkg_dagster.stage_api._stage_types.rules import takes_topology
from medkg_dagster.stage_api.testing._attempt import Attempt, Findings, attempt
from medkg_dagster.stage_api.testing._differences import find_difference
from medkg_dagster.stage_api.testing._examples import example_topology
from medkg_dagster.stage_api.testing._run import (
    NOTHING,
    Bench,
    StageRun,
    choose,
    installed_extensions,
    registrations_of,
)


class StageCheckError(MedkgError, AssertionError):
    """A stage type breaks rules of its contract.

    Attributes:
        stage_type: The stage type, or what registers it.
        problems: Every broken rule; `details` keeps the traceback where something was raised.
    """

    def __init__(self, stage_type: str, problems: Sequence[Problem]) -> None:
        self.stage_type = stage_type
        self.problems: tuple[Problem, ...] = tuple(problems)
        count = counted(len(problems), "rule")
        listed = "".join(f"\n- {problem}" for problem in problems)
        super().__init__(f"{stage_type} breaks {count} of the stage contract:{listed}")


def check_stage(
    registration: StageRegistration | StagePlugin,
    inputs: Mapping[str, Any] = NOTHING,
    *,
    config: Mapping[str, Any] = NOTHING,
    stage_type: str | None = None,
    name: str | None = None,
    home: Path | None = None,
    fields: Mapping[str, Any] = NOTHING,
    topology: TopologyView | None = None,
    extensions: Iterable[Extension] = (),
) -> StageRun:
    """Check that a stage holds to its contract: what it registers, and what two runs of it do.

    The rules:

    - the function that registers takes no arguments and returns valid registrations of different stage types;
    - the builder takes `(definition)` or `(topology, definition)`;
    - the config model, and every model in it, forbids unknown keys and describes every field; its defaults
      are plain, it has a JSON schema, it holds no secret in plain, and it accepts `config`;
    - every state key has its type in `state_types`;
    - `execute` takes the inputs and leaves them as they are;
    - the handler writes the type's own keys, all of them, and leaves the output as it is;
    - the counter returns a whole number; where the only state key holds a list, a tuple or a set, its length;
    - every value is of its declared type and comes back equal from storage;
    - two runs on the same inputs and the same folder give the same state, count and quarantined documents.

    Args:
        registration: The stage type, or the function that registers it.
        inputs: State key to value, good enough for a run that does not fail.
        config: The stage's `config` as YAML has it.
        stage_type: Which one, where the function registers several.
        name: The stage's name; the stage type's by default.
        home: The folder for all data of the first run; the second gets a copy of it as it was before. By
            default both are temporary and empty.
        fields: The ledger job's fields, nested objects.
        topology: The pipeline, for a builder that takes it; see `example_topology`.
        extensions: Sources, embedders and stores that the stage finds besides the installed ones, and before
            them.

    Returns:
        What the first run gave.

    Raises:
        StageCheckError: Rules are broken; the message lists all of them.
        ConfigError: An input cannot be copied, or the function does not register `stage_type`.
    """
    findings = Findings()
    found: list[StageRegistration] = []
    with findings.noting(_named(registration)):
        found += registrations_of(registration)
    if not found:
        raise StageCheckError(_named(registration), findings.problems) from findings.cause
    bench = Bench(
        registration=choose(found, stage_type),
        inputs=inputs,
        config=config,
        given_name=name,
        fields=fields,
        topology=topology or example_topology(),
        extensions=installed_extensions(extensions),
    )
    run = _check(bench, home, findings)
    if run is None or findings.problems:
        what = f"stage type {bench.registration.metadata.stage_type!r}"
        raise StageCheckError(what, findings.problems) from findings.cause
    return run


def _check(bench: Bench, home: Path | None, findings: Findings) -> StageRun | None:
    metadata = bench.registration.metadata
    bench.copy_inputs()
    _check_types(metadata, findings)
    if metadata.config_model is not None:
        findings.problems += config_problems(metadata.config_model)
    before = len(findings.problems)
    with findings.noting("the config model"):
        bench.check_config()
    with findings.noting("its builder"):
        takes_topology(bench.registration.builder)
    if len(findings.problems) > before:
        # Nothing can be built of it.
        return None
    return _run_twice(bench, home, findings)


def _check_types(metadata: StageMetadata, findings: Findings) -> None:
    for key in metadata.state_keys:
        if key not in metadata.state_types:
            findings.add(
                f"state key {key!r} has no type, so that its value cannot be stored between steps",
                f"add it to the metadata: state_types={{{key!r}: ...}}",
            )


def _run_twice(bench: Bench, home: Path | None, findings: Findings) -> StageRun | None:
    with tempfile.TemporaryDirectory(prefix="medkg-", ignore_cleanup_errors=True) as scratch:
        first_home, second_home = home or Path(scratch, "first"), Path(scratch, "second")
        first_home.mkdir(parents=True, exist_ok=True)
        shutil.copytree(first_home, second_home)
        first = attempt(bench, first_home)
        findings.problems += first.findings.problems
        findings.cause = findings.cause or first.findings.cause
        if first.run is None:
            return None
        second = attempt(bench, second_home)
        known = {problem.message for problem in first.findings.problems}
        findings.problems += [
            dataclasses.replace(item, message=f"in a second run: {item.message}")
            for item in second.findings.problems
            if item.message not in known
        ]
        findings.cause = findings.cause or second.findings.cause
        _compare(first, second, (str(first_home), str(second_home)), findings)
        return first.run


def _compare(first: Attempt, second: Attempt, homes: tuple[str, str], findings: Findings) -> None:
    if first.run is None or second.run is None:
        return
    pairs: list[tuple[str, Any, Any]] = [
        (f"state key {key!r}", value, second.stored[key])
        for key, value in first.stored.items()
        if key in second.stored
    ]
    pairs.append(("the output count", first.run.output_count, second.run.output_count))
    pairs.append(
        (
            "the list of quarantined documents",
            [item.document_id for item in first.run.quarantined],
            [item.document_id for item in second.run.quarantined],
        )
    )
    for what, before, after in pairs:
        difference = find_difference(before, after, homes)
        if difference is not None:
            findings.add(
                f"{what} differs between two runs on the same inputs: {difference}",
                "let it depend on nothing but inputs and config: no clock, no chance, no order of a set",
            )


def _named(registration: object) -> str:
    if isinstance(registration, StageRegistration):
        return "the registration"
    return qualified_name(registration)


def config_problems(model: type[BaseModel]) -> Iterator[Problem]:
    """Yield what is wrong with a config model and the models inside it."""
    name = f"config model {qualified_name(model)}"
    for path, nested in _models(model, "", frozenset()):
        place = f"{name}, field {path!r}" if path else name
        if nested.model_config.get("extra") != "forbid":
            yield Problem(
                f"{place}: unknown keys are let in, so that a misspelt one is lost in silence",
                hint=f"write `model_config = ConfigDict(extra='forbid')` in {nested.__qualname__}",
            )
        for field, info in nested.model_fields.items():
            inner = f"{name}, field {_join(path, field)!r}"
            if not (info.description or "").strip():
                yield Problem(
                    f"{inner}: it has no description", hint="write `Field(description='...')`, for people"
                )
            yield from _default_problems(inner, info)
    for path in secret_fields(model):
        yield Problem(
            f"{name}, field {path!r}: it holds a secret in plain",
            hint="use `Secret` of medkg_dagster.stage_api",
        )
    yield from _schema_problems(name, model)


def _default_problems(place: str, info: FieldInfo) -> Iterator[Problem]:
    hint = "use text, numbers, lists and mappings, an enum, or None as the default"
    try:
        default = info.get_default(call_default_factory=True, validated_data={})
        if default is not PydanticUndefined:
            to_jsonable_python(default)
    except Exception as error:  # noqa: BLE001 - a default factory is the author's code and may raise anything
        yield Problem(f"{place}: its default is not plain: {type(error).__name__}: {error}", hint=hint)


def _schema_problems(name: str, model: type[BaseModel]) -> Iterator[Problem]:
    try:
        model.model_json_schema()
    except Exception as error:  # noqa: BLE001 - the types of fields bring their own code, which may raise anything
        yield Problem(
            f"{name}: it has no JSON schema: {type(error).__name__}: {error}",
            hint="use types that JSON has, or give the type a `__get_pydantic_json_schema__`",
        )


def _models(annotation: Any, path: str, within: frozenset[Any]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield a model and the models its fields hold, by dotted path, each once per path."""
    for argument in typing.get_args(annotation):
        yield from _models(argument, path, within)
    if typing.get_origin(annotation) is not None or not isinstance(annotation, type):
        return
    if annotation in within or not issubclass(annotation, BaseModel):
        return
    yield path, annotation
    for field, info in annotation.model_fields.items():
        yield from _models(info.annotation, _join(path, field), within | {annotation})


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
