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
from medkg_dagster.registry.discovery import Discovery, discover_stages
from medkg_dagster.registry.stage_registry import StageRegistry
from medkg_dagster.stage_api.extension_catalogue import ExtensionCatalogue
from medkg_dagster.stage_api.stage_types.metadata import StageMetadata
from medkg_dagster.stage_api.stage_types.registration import (
    Stage,
    StageBuilder,
    StageDefinitionView,
    StageRegistration,
)


class PipelineView(Protocol):
    """What a builder that takes the topology can count on."""

    @property
    def name(self) -> str:
        """The pipeline's name."""


class StageFactory:
    """Builds stages.

    Args:
        registry: The stage types.
        extensions: What stages may name: sources, embedders, stores; all that are installed by default.
    """

    __slots__ = ("_find", "extensions", "registry")

    def __init__(self, registry: StageRegistry, extensions: ExtensionCatalogue | None = None) -> None:
        self.registry = registry
        self.extensions = extensions or ExtensionCatalogue()
        self._find = registry.find
        registry.put_in_use()

    @classmethod
    def load_plugins(
        cls,
        policy: PluginPolicy | None = None,
        asked_for: Collection[str] = (),
    ) -> StageFactory:
        """Return a factory over what is installed and let in; `problems` says what went wrong.

        Args:
            policy: What is let in; everything by default.
            asked_for: Distributions, entry points and import paths that pipelines name in `plugins:`.
        """
        installed = InstalledEntryPoints()

        def discover() -> Discovery:
            return discover_stages(policy, asked_for, installed=installed)

        registry = StageRegistry(discover)
        registry.load_plugins()
        return cls(registry, ExtensionCatalogue(policy, installed))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What went wrong when plugins were loaded, names that collide, dependencies nobody registered."""
        return (*self.registry.problems, *self.extensions.problems(), *self.registry.check_complete())

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
