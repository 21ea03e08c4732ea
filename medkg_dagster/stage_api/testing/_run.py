"""Running one stage by itself, without Dagster, ledger and pipeline."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from pydantic import ValidationError

from medkg_dagster.domain.payloads import FileRecord
from medkg_dagster.errors import ConfigError, StageConfigError, StageRegistryError, did_you_mean
from medkg_dagster.stage_api._context import Described, QuarantinedDocument, StageContext, TopologyView
from medkg_dagster.stage_api._documents import whole_value
from medkg_dagster.stage_api._extensions import CONTEXT_KEY, Extension, Extensions
from medkg_dagster.stage_api._invocation import invoke
from medkg_dagster.stage_api._job_record import InMemoryJobRecord
from medkg_dagster.stage_api._stage_types.metadata import qualified_name
from medkg_dagster.stage_api._stage_types.registration import (
    Stage,
    StagePlugin,
    StageRegistration,
)
from medkg_dagster.stage_api._stage_types.rules import (
    check_registration,
    offered_registrations,
    takes_topology,
)
from medkg_dagster.stage_api.testing._examples import example_topology

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StageRun:
    """What one run of a stage gave.

    Attributes:
        state: State key to value.
        output_count: What the type's counter says.
        succeeded: Documents processed without error.
        quarantined: Documents refused, in order.
        described: What the stage showed with `ctx.describe`.
        fields: The ledger job's fields afterwards.
        files: What the stage remembered of files, by document id.
        seconds: Wall time of executing the stage.
    """

    state: Mapping[str, Any]
    output_count: int
    succeeded: int
    quarantined: tuple[QuarantinedDocument, ...]
    described: Mapping[str, Described]
    fields: Mapping[str, Any]
    files: Mapping[str, FileRecord]
    seconds: float


class StageRunner(Protocol):
    """How the pytest fixtures `run_stage` and `check_stage` are called."""

    def __call__(
        self,
        registration: StageRegistration | StagePlugin,
        inputs: Mapping[str, Any] = NOTHING,
        *,
        config: Mapping[str, Any] = NOTHING,
        stage_type: str | None = None,
        name: str | None = None,
        home: Path | None = ...,
        fields: Mapping[str, Any] = NOTHING,
        topology: TopologyView | None = None,
        extensions: Iterable[Extension] = (),
    ) -> StageRun:
        """Run a stage; see the functions of the same names."""


def run_stage(
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
    """Run one stage in this process, as a step would, with a ledger job and stores of its own.

    Args:
        registration: The stage type, or the function that registers it.
        inputs: State key to value; the stage gets copies.
        config: The stage's `config` as YAML has it.
        stage_type: Which one, where the function registers several.
        name: The stage's name; the stage type's by default.
        home: The folder for all data; a temporary one, removed afterwards, by default.
        fields: The ledger job's fields, nested objects.
        topology: The pipeline, for a builder that takes it; see `example_topology`.
        extensions: Sources, embedders and stores that the stage finds besides the installed ones, and before
            them.

    Returns:
        What the run gave.

    Raises:
        StageRegistryError: The registration is invalid.
        StageConfigError: The configuration does not fit the type's model.
        StageContractError: The stage broke its contract.
        BatchFailedError: Too many documents failed.
    """
    bench = Bench(
        registration=choose(registrations_of(registration), stage_type),
        inputs=inputs,
        config=config,
        given_name=name,
        fields=fields,
        topology=topology or example_topology(),
        extensions=installed_extensions(extensions),
    )
    bench.check_config()
    if home is not None:
        return _run(bench, home)
    with tempfile.TemporaryDirectory(prefix="medkg-", ignore_cleanup_errors=True) as folder:
        return _run(bench, Path(folder))


def _run(bench: Bench, home: Path) -> StageRun:
    ctx = bench.context(home)
    outcome = invoke(bench.registration.metadata, bench.build(), ctx, bench.copy_inputs())
    return finished_run(ctx, outcome.state, outcome.output_count, outcome.seconds)


def installed_extensions(given: Iterable[Extension] = ()) -> Extensions:
    """Return the extensions that are installed.

    Args:
        given: Extensions that are found besides them, and before them.

    Raises:
        ConfigError: A given extension breaks a rule.
    """
    from medkg_dagster.registry import ExtensionRegistry

    found = ExtensionRegistry()
    for extension in given:
        found.add(extension, replace=True)
    return found


@dataclass(frozen=True, slots=True)
class _Definition:
    name: str
    type: str
    config: dict[str, Any]

    @property
    def stage_type(self) -> str:
        return self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything one stage is run with, but the folder.

    Attributes:
        registration: The stage type.
        inputs: State key to value.
        config: The stage's configuration.
        given_name: The stage's name, where the test chose one.
        fields: The ledger job's fields.
        topology: The pipeline.
        extensions: What the stage finds.
    """

    registration: StageRegistration
    inputs: Mapping[str, Any]
    config: Mapping[str, Any]
    given_name: str | None
    fields: Mapping[str, Any]
    topology: TopologyView
    extensions: Extensions

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.given_name or self.registration.metadata.stage_type

    def check_config(self) -> None:
        """Validate the configuration as loading a pipeline does; raises `StageConfigError`."""
        model = self.registration.metadata.config_model
        if model is None:
            return
        try:
            model.model_validate(dict(self.config), context={CONTEXT_KEY: self.extensions})
        except ValidationError as error:
            reasons = "; ".join(
                ": ".join(filter(None, (".".join(str(part) for part in item["loc"]), item["msg"])))
                for item in error.errors(include_url=False, include_input=False)
            )
            raise StageConfigError(
                f"the configuration of stage '{self.name}' does not fit: {reasons}"
            ) from error

    def build(self) -> Stage:
        """Build the stage as its builder wants to be called."""
        config = copy.deepcopy(dict(self.config))
        definition = _Definition(self.name, self.registration.metadata.stage_type, config)
        builder = self.registration.builder
        return builder(self.topology, definition) if takes_topology(builder) else builder(definition)

    def context(self, home: Path) -> StageContext:
        """Return fresh surroundings with a ledger job of their own."""
        return StageContext(
            pipeline=self.topology.name,
            stage=self.name,
            job_id="test",
            home=home,
            job=InMemoryJobRecord(copy.deepcopy(dict(self.fields))),
            extensions=self.extensions,
        )

    def copy_inputs(self) -> dict[str, Any]:
        """Return copies of the inputs; raises `ConfigError` where one cannot be copied."""
        copies = {}
        for key, value in self.inputs.items():
            try:
                copies[key] = copy.deepcopy(value)
            except Exception as error:
                # Copying runs the value's own code, which may raise anything; the message names the input.
                raise ConfigError(
                    f"input {key!r} cannot be copied: {type(error).__name__}: {error}; give a plain value"
                ) from error
        return copies


def finished_run(ctx: StageContext, state: Mapping[str, Any], count: int, seconds: float) -> StageRun:
    """Return what a run gave, from its surroundings and its outcome."""
    return StageRun(
        state={key: whole_value(value) for key, value in state.items()},
        output_count=count,
        succeeded=ctx.succeeded,
        quarantined=tuple(ctx.quarantined),
        described=dict(ctx.described),
        fields=ctx.job.fields(),
        files=ctx.job.files(),
        seconds=seconds,
    )


def registrations_of(registration: StageRegistration | StagePlugin) -> list[StageRegistration]:
    """Return what is registered, one or several.

    Args:
        registration: A registration, or the function that an entry point names.

    Raises:
        StageRegistryError: The function breaks a rule of entry points, or a registration is invalid.
    """
    if isinstance(registration, StageRegistration):
        return [check_registration(registration)]
    found = [check_registration(item) for item in offered_registrations(registration)]
    if not found:
        raise StageRegistryError(f"{qualified_name(registration)} registers no stage types")
    types = [item.metadata.stage_type for item in found]
    if len(set(types)) != len(types):
        raise StageRegistryError(
            f"{qualified_name(registration)} registers a stage type twice: {', '.join(types)}"
        )
    return found


def choose(found: Sequence[StageRegistration], stage_type: str | None) -> StageRegistration:
    """Return the registration to test.

    Args:
        found: What is registered.
        stage_type: Which one, where there are several.

    Raises:
        ConfigError: There is none of that stage type, or there are several and none is named.
    """
    types = [item.metadata.stage_type for item in found]
    if stage_type is None and len(found) > 1:
        raise ConfigError(
            f"there are the stage types {', '.join(types)}; say which to test with stage_type='{types[0]}'"
        )
    for item in found:
        if stage_type in {None, item.metadata.stage_type}:
            return item
    raise ConfigError(
        f"there is no stage type {stage_type!r} to test; {did_you_mean(stage_type or '', types)}"
    )
