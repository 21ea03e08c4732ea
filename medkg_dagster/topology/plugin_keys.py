"""The keys of a pipeline file that are about plugins, validated."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from medkg_dagster.domain import StrictModel, empty_list_for_none
from medkg_dagster.stage_api import StageMetadata, SubprocessIsolation

_METADATA_FIELDS = frozenset(field.name for field in dataclasses.fields(StageMetadata))

_DEFAULTS = SubprocessIsolation()


def check_not_a_callable(value: Any) -> Any:
    """Refuse what a stage type says that is not for YAML to change."""
    own = set(MetadataOverrides.model_fields)
    for key in value if isinstance(value, dict) else ():
        if key in _METADATA_FIELDS - own:
            raise PydanticCustomError(
                "override",
                "'{key}' comes from the plugin and cannot be overridden; what can: {known}",
                {"key": key, "known": ", ".join(MetadataOverrides.model_fields)},
            )
    return value


class MetadataOverrides(StrictModel):
    """What one stage says differently from its stage type. What is not written stays as the type has it.

    Attributes:
        state_key: The key, or keys, the output is stored under; every stage that reads them follows.
        description: What the asset shows.
        dependencies: Stage types whose state keys are the stage's inputs.
        optional_dependencies: Stage types whose state keys are inputs where the pipeline has a writer.
        kinds: Up to three labels shown on the asset.
        max_failure_ratio: The share of documents, 0 to 1, that may fail before the step does; one of several
            always may, unless it is 0.
    """

    state_key: str | tuple[str, ...] | None = None
    description: str | None = None
    dependencies: tuple[str, ...] | None = None
    optional_dependencies: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    max_failure_ratio: float | None = Field(default=None, ge=0, le=1)

    def changes(self) -> dict[str, Any]:
        """Return what is overridden, by the name of the metadata's field."""
        return self.model_dump(exclude_none=True)


class IsolationLimits(StrictModel):
    """The limits of the child process that a stage runs in. `subprocess` is short for the defaults.

    Attributes:
        memory_mb: The memory the stage may take, in mebibytes, beyond what the child needs to start.
        timeout_seconds: The longest time of one execution, in seconds.
    """

    memory_mb: int = Field(default=_DEFAULTS.memory_mb, gt=0)
    timeout_seconds: float = Field(default=_DEFAULTS.timeout_seconds, gt=0)


def expand_isolation(value: Any) -> Any:
    """Take `subprocess` for the default limits."""
    if isinstance(value, str):
        if value != "subprocess":
            raise PydanticCustomError(
                "isolation", "isolation is 'subprocess', or a mapping with memory_mb and timeout_seconds"
            )
        return {}
    return value


def _check_specifier(version: str | None) -> str | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(version or "")
    except InvalidSpecifier as error:
        raise PydanticCustomError("version", "a version is written like '>=1.2' or '==1.4.*'") from error
    return version


class PluginRequirement(StrictModel):
    """A stage type or extension that a pipeline counts on.

    Attributes:
        type: The stage type, or the extension's name.
        source: Who must provide it, written `from`: a distribution, an entry point's name, or, for a stage
            type, an import path `module:attribute` that `config/plugins.yaml` allows.
        version: The versions of the distribution that will do, for example `>=1.2`; None for any.
    """

    type: str = Field(min_length=1)
    source: str = Field(alias="from", min_length=1)
    version: Annotated[str | None, AfterValidator(_check_specifier)] = None

    @model_validator(mode="after")
    def _check_import_path(self) -> Self:
        if ":" in self.source and self.version is not None:
            raise PydanticCustomError(
                "version", "an import path has no version; remove the key, or name a distribution"
            )
        return self


Requirements = Annotated[tuple[PluginRequirement, ...], BeforeValidator(empty_list_for_none)]


class PluginRequirements(StrictModel):
    """The plugins a pipeline counts on, and pins.

    Attributes:
        stages: Stage types.
        sources: Sources of `ingest` stages.
        embedders: Embedders of `embed` stages.
        extractors: Extractors of `extract` stages.
        rerankers: Rerankers of search.
        index_stores: Stores of `index` stages.
        graph_stores: Stores of `knowledge-graph` stages.
        gate_conditions: Custom conditions of gates.
    """

    stages: Requirements = ()
    sources: Requirements = ()
    embedders: Requirements = ()
    extractors: Requirements = ()
    rerankers: Requirements = ()
    index_stores: Requirements = ()
    graph_stores: Requirements = ()
    gate_conditions: Requirements = ()
