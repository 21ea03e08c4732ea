"""From a stage's definition to the stage."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from pydantic import ValidationError

from medkg_dagster.errors import (
    Problem,
    StageConfigError,
    StageContractError,
    StageResolutionError,
    did_you_mean,
)
from medkg_dagster.plugins import InstalledEntryPoints, PluginPolicy
from medkg_dagster.plugins.events import PluginEvent
from medkg_dagster.registry._extension_registry import ExtensionRegistry
from medkg_dagster.registry._stage_registry import StageRegistry
from medkg_dagster.stage_api import Stage, StageBuilder, StageDefinitionView, StageMetadata, StageRegistration


class PipelineView(Protocol):
    """What a builder that takes the topology can count on."""

    @property
    def name(self) -> str:
        """The pipeline's name."""


class LoadPlugins(Protocol):
    """How `load_plugins` is called, of `StageFactory` or of one factory."""

    def __call__(self, policy: PluginPolicy | None = None, requested: Collection[str] = ()) -> StageFactory:
        """Load what is installed and let in; the factory's `problems` say what went wrong.

        Args:
            policy: What is let in; by default everything, or what a factory that is there lets in already.
            requested: Distributions, entry points and import paths that pipelines name in `plugins:`.

        Returns:
            The factory; a new one where it is called of `StageFactory`.
        """


class _LoadPlugins:
    """Lets `StageFactory.load_plugins()` make a factory, and `factory.load_plugins()` fill that very one."""

    def __get__(self, factory: StageFactory | None, owner: type[StageFactory]) -> LoadPlugins:
        def load_plugins(policy: PluginPolicy | None = None, requested: Collection[str] = ()) -> StageFactory:
            filled = factory
            if filled is None:
                installed = InstalledEntryPoints()
                filled = owner(StageRegistry(policy, installed), ExtensionRegistry(policy, installed))
            elif policy is not None:
                filled.registry.policy = policy
                filled.extensions = ExtensionRegistry(policy)
            filled.registry.load_plugins(requested)
            return filled

        return load_plugins


class StageFactory:
    """Builds stages.

    Args:
        registry: The stage types; all that are installed by default.
        extensions: What stages may name: sources, embedders, stores; all that are installed by default.
    """

    load_plugins = _LoadPlugins()

    def __init__(
        self, registry: StageRegistry | None = None, extensions: ExtensionRegistry | None = None
    ) -> None:
        self.registry = StageRegistry() if registry is None else registry
        self.extensions = extensions or ExtensionRegistry()
        self._find = self.registry.find
        self.registry.put_in_use()
        if registry is None:
            self.registry.load_plugins()

    @property
    def events(self) -> tuple[PluginEvent, ...]:
        """What became of each entry point, stage type and extension."""
        return (*self.registry.events, *self.extensions.events)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What went wrong when plugins were loaded, names that collide, dependencies nobody registered."""
        distributions = {event.origin.distribution for event in self.events}
        found = (
            *self.registry.problems,
            *self.extensions.problems,
            *self.registry.policy.misspelt_blocks(distributions),
            *self.registry.check_complete(),
        )
        return tuple(dict.fromkeys(found))

    def resolve(self, pipeline: PipelineView, stage: StageDefinitionView) -> Stage:
        """Build a stage.

        Args:
            pipeline: The topology the stage belongs to.
            stage: Its definition.

        Returns:
            What the type's builder returned.

        Raises:
            StageResolutionError: The stage's type is unknown.
            StageConfigError: The builder refused the configuration.
            StageContractError: The builder tried to end the process.
        """
        entry = self._find(stage.type)
        if entry is None:
            raise self._unknown(pipeline, stage)
        try:
            if entry.takes_topology:
                return entry.builder(pipeline, stage)
            return entry.builder(stage)
        except ValidationError as error:
            raise _refused(pipeline, stage, error) from error
        except SystemExit as error:
            raise StageContractError(
                f"the builder of stage type {stage.type!r} called sys.exit({error.code!r}); "
                "raise an error instead"
            ) from error

    def get_metadata(self, stage_type: str) -> StageMetadata:
        """Return a stage type's metadata; raises `StageRegistryError` where it is unknown."""
        return self.registry.get_metadata(stage_type)

    def register_stage(
        self, *, metadata: StageMetadata, builder: StageBuilder, replace: bool = False
    ) -> None:
        """Add a stage type; raises `StageRegistryError` where it is invalid or its name is taken."""
        self.registry.add(StageRegistration(metadata, builder), replace=replace)

    def _unknown(self, pipeline: PipelineView, stage: StageDefinitionView) -> StageResolutionError:
        hint = did_you_mean(stage.type, self.registry.stage_types)
        return StageResolutionError(
            f"stage '{stage.name}' of pipeline '{pipeline.name}' has the unknown type '{stage.type}'; {hint}"
        )


def _refused(pipeline: PipelineView, stage: StageDefinitionView, error: ValidationError) -> StageConfigError:
    reasons = "; ".join(
        f"'{'.'.join(str(part) for part in item['loc'])}': {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)
    )
    return StageConfigError(
        f"the configuration of stage '{stage.name}' ({stage.type}) of pipeline '{pipeline.name}' "
        f"does not fit: {reasons}"
    )
