"""How a stage type reaches the registry, and what becomes of its output where it does not say so itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sized
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from medkg_dagster.domain import Config
from medkg_dagster.errors import StageContractError, StageRegistryError, counted
from medkg_dagster.stage_api._context import StageDefinitionView
from medkg_dagster.stage_api._stage_types.metadata import (
    API_VERSION,
    OutputCounter,
    OutputHandler,
    StageMetadata,
    SubprocessIsolation,
    qualified_name,
)
from medkg_dagster.stage_api._stage_types.outcome_checks import OutcomeCheck
from medkg_dagster.stage_api._stage_types.work_at_gates import WorkAtGate

ConfigT = TypeVar("ConfigT", bound=BaseModel)

_WRITES_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Stage(Protocol):
    """What a builder returns: an object whose `execute` does the work.

    `execute(ctx, **inputs)` gets a `StageContext` and one keyword argument per input, named by state key.
    """

    @property
    def execute(self) -> Callable[..., Any]:
        """The method that does the work."""


StageBuilder = Callable[..., Stage]
"""`(definition) -> Stage` or `(topology, definition) -> Stage`."""


class NoConfig(Config):
    """The configuration of a stage type that has none."""


@dataclass(frozen=True, slots=True)
class StageRegistration:
    """A stage type and the builder of its stages.

    Attributes:
        metadata: The type's description.
        builder: Called inside the step, never while definitions load.
    """

    metadata: StageMetadata
    builder: StageBuilder

    @classmethod
    def of(
        cls,
        stage_type: str,
        stage: Callable[[ConfigT], Stage],
        config_model: type[ConfigT],
        *,
        description: str,
        state_types: Mapping[str, Any] = _WRITES_NOTHING,
        output_handler: OutputHandler | None = None,
        output_counter: OutputCounter | None = None,
        dependencies: tuple[str, ...] = (),
        optional_dependencies: tuple[str, ...] = (),
        version: str = "1",
        api_version: int = API_VERSION,
        kinds: tuple[str, ...] = (),
        max_failure_ratio: float = 0.2,
        isolation: SubprocessIsolation | None = None,
        work_at_gates: tuple[WorkAtGate, ...] = (),
        per_document: bool = False,
        batch: int = 1,
        streams_documents: bool = False,
        checks: tuple[OutcomeCheck, ...] = (),
    ) -> StageRegistration:
        """Return the registration of a stage whose class takes its configuration.

        Args:
            stage_type: The name used in YAML.
            stage: The class, or a function that imports it first: it gets the validated configuration.
            config_model: The model of the configuration.
            description: One sentence for people.
            state_types: The keys the stage writes, and the type of each value: `execute` returns the value of
                the only key, or a tuple of values in the order of the keys.
            output_handler: Puts the output onto the state in another way.
            output_counter: Counts the output; by default the length of the (first) value, or 1.
            dependencies: Stage types whose state keys are inputs.
            optional_dependencies: The same, where the pipeline has a writer.
            version: The type's own version.
            api_version: The stage API it was written for.
            kinds: Up to three labels of the asset.
            max_failure_ratio: The share of documents that may fail.
            isolation: The limits of a child process of the stage's own.
            work_at_gates: Work to be done while a job waits at a gate behind the stage.
            per_document: Whether `execute` works on one document.
            batch: How many documents `execute` of such a type gets at once.
            streams_documents: Whether a batch stage gets its inputs by document.
            checks: What is judged of the outcome.

        Raises:
            StageRegistryError: A field is invalid, or the class does not take the configuration.
        """
        keys = tuple(state_types)
        metadata = StageMetadata(
            stage_type=stage_type,
            state_key=(keys if len(keys) > 1 else keys[0]) if keys else None,
            output_handler=output_handler or handler_of(keys),
            output_counter=output_counter or counter_of(keys),
            description=description,
            config_model=config_model,
            state_types=state_types,
            dependencies=dependencies,
            optional_dependencies=optional_dependencies,
            version=version,
            api_version=api_version,
            kinds=kinds,
            max_failure_ratio=max_failure_ratio,
            isolation=isolation,
            work_at_gates=work_at_gates,
            per_document=per_document,
            batch=batch,
            streams_documents=streams_documents,
            checks=checks,
        )
        return cls(metadata, _from_config(stage_type, stage, config_model))

    @classmethod
    def of_function(
        cls,
        stage_type: str,
        function: Callable[..., Any],
        config_model: type[BaseModel] = NoConfig,
        *,
        description: str,
        state_types: Mapping[str, Any],
        dependencies: tuple[str, ...],
        optional_dependencies: tuple[str, ...] = (),
        version: str = "1",
        kinds: tuple[str, ...] = (),
        max_failure_ratio: float = 0.2,
    ) -> StageRegistration:
        """Return the registration of a function from one document's inputs to what is made of it.

        Args:
            stage_type: The name used in YAML.
            function: Gets the inputs by state key, and `config` where it has such an argument.
            config_model: The model of the configuration.
            description: One sentence for people.
            state_types: The keys the stage writes, and the type of each value.
            dependencies: Stage types whose state keys are inputs; the first says on which documents.
            optional_dependencies: The same, where the pipeline has a writer.
            version: The type's own version: another one lets everything be made anew.
            kinds: Up to three labels of the asset.
            max_failure_ratio: The share of documents that may fail.

        Raises:
            StageRegistryError: A field is invalid.
        """
        takes_config = "config" in inspect.signature(function).parameters

        def stage(config: BaseModel) -> Stage:
            return _FunctionStage(function, {"config": config} if takes_config else {})

        stage.__module__, stage.__qualname__ = function.__module__, function.__qualname__
        return cls.of(
            stage_type,
            stage,
            config_model,
            description=description,
            state_types=state_types,
            dependencies=dependencies,
            optional_dependencies=optional_dependencies,
            version=version,
            kinds=kinds,
            max_failure_ratio=max_failure_ratio,
            per_document=True,
        )


@dataclass(frozen=True, slots=True)
class _FunctionStage:
    function: Callable[..., Any]
    more: Mapping[str, Any]

    def execute(self, _ctx: Any, **inputs: Any) -> Any:
        given = {**inputs, **self.more}
        signature = inspect.signature(self.function)
        try:
            signature.bind(**given)
        except TypeError as error:
            raise StageContractError(
                f"{qualified_name(self.function)}{signature} does not take its inputs: {error}; write "
                f"{self.function.__name__}({', '.join(given)})"
            ) from error
        return self.function(**given)


def _from_config(
    stage_type: str, stage: Callable[[ConfigT], Stage], config_model: type[ConfigT]
) -> StageBuilder:
    name = qualified_name(stage)
    try:
        inspect.signature(stage).bind(config_model)
    except (TypeError, ValueError) as error:
        raise StageRegistryError(
            f"stage type {stage_type!r}: {name} must take the configuration alone: {error}"
        ) from error

    def build(definition: StageDefinitionView) -> Stage:
        return stage(config_model.model_validate(definition.config))

    build.__module__, build.__qualname__ = name.rpartition(".")[::2]
    return build


class StagePlugin(Protocol):
    """What an entry point of the group `medical_kg.orchestration.stages` names."""

    def __call__(self) -> StageRegistration | Iterable[StageRegistration]:
        """Return one registration or several; cheap, without importing heavy libraries."""


def write_key(key: str) -> OutputHandler:
    """Return the output handler of a stage type with one state key: the output is the value.

    Args:
        key: The state key.

    Returns:
        A handler `(state, stage_name, output)`.
    """

    def write(state: MutableMapping[str, Any], stage_name: str, output: Any) -> None:
        del stage_name
        state[key] = output

    # `medkg stages` and the asset show it under the name it is imported by.
    write.__module__, write.__qualname__ = "medkg_dagster.stage_api", f"write_key({key!r})"
    return write


def handler_of(keys: tuple[str, ...]) -> OutputHandler:
    """Return the handler for state keys: one takes the output, several a tuple of values in their order."""
    if len(keys) == 1:
        return write_key(keys[0])

    def write(state: MutableMapping[str, Any], stage_name: str, output: Any) -> None:
        if not keys:
            return
        if not isinstance(output, tuple) or len(output) != len(keys):
            raise StageContractError(
                f"stage {stage_name!r} returned {type(output).__name__}; it must return a tuple of "
                f"{counted(len(keys), 'value')}: {', '.join(keys)}"
            )
        state.update(zip(keys, output, strict=True))

    write.__qualname__ = f"write_keys({', '.join(map(repr, keys))})"
    return write


def counter_of(keys: tuple[str, ...]) -> OutputCounter:
    """Return the counter for state keys: of several, the value of the first is counted."""
    return count_output if len(keys) < 2 else count_first


def count_output(output: Any) -> int:
    """Count an output: the length of a collection, nothing for None, 1 for any other value."""
    if output is None:
        return 0
    if not isinstance(output, Sized) or isinstance(output, str | bytes):
        return 1
    try:
        return len(output)
    except TypeError:
        # An array without dimensions has a length that it refuses to tell.
        return 1


def count_first(output: tuple[Any, ...]) -> int:
    """Count the first value of an output of several."""
    return count_output(output[0])
