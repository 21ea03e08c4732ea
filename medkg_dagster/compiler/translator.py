"""How a stage shows in Dagster: what a deployment may say differently of its assets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from dagster import AssetKey, AssetSpec, MetadataValue

from medkg_dagster.domain.chunks import IndexReceipt
from medkg_dagster.domain.knowledge import GraphReceipt
from medkg_dagster.errors import ConfigError
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage
from medkg_dagster.settings import SERVE_PORT
from medkg_dagster.topology.names import asset_path, group_name

_LONGEST_TAG = 63


class PipelineTranslator:
    """Translates a stage to the asset it materializes; override it to say something else.

    Example, with `MEDKG_TRANSLATOR=our_lab.assets:OurTranslator`:

        class OurTranslator(PipelineTranslator):
            def get_asset_spec(self, pipeline, stage):
                spec = super().get_asset_spec(pipeline, stage)
                key = spec.key.with_prefix("oncology")
                return spec.replace_attributes(key=key, group_name="oncology", owners=["team:oncology"])
    """

    def get_asset_spec(self, pipeline: PipelinePlan, stage: PlannedStage) -> AssetSpec:
        """Return key, group, owners, tags, description, metadata and kinds of a stage's asset.

        The last two parts of the key stay `pipeline` and `stage`, because jobs, the ledger and stored state
        know the asset by them; what stands before them is free. What the asset depends on, its partitions
        and its code version come from the pipeline whatever is said here; all else, such as an automation
        condition, is the asset's.

        Args:
            pipeline: The pipeline's plan.
            stage: The stage's plan.
        """
        metadata = stage.metadata
        return AssetSpec(
            AssetKey(asset_path(pipeline.name, stage.name)),
            description=metadata.description,
            group_name=group_name(pipeline.name),
            owners=_owners(pipeline),
            metadata={
                "stage_type": metadata.stage_type,
                "state_key": ", ".join(metadata.state_keys) or "none",
                "wires": {wire.state_key: wire.source for wire in stage.wires},
                "policy": stage.definition.policy,
                **_provider(stage),
                **_page(stage),
            },
            tags={**pipeline.topology.metadata.tags, **provider_tags(stage)},
            kinds=set(metadata.kinds),
        )


@dataclass(frozen=True, slots=True)
class PipelineAssets:
    """The assets of a pipeline, as they are translated.

    Attributes:
        pipeline: The pipeline's plan.
        specs: By the name of each stage, its asset.
    """

    pipeline: PipelinePlan
    specs: Mapping[str, AssetSpec]

    @classmethod
    def translate(cls, pipeline: PipelinePlan, translator: PipelineTranslator) -> "PipelineAssets":
        """Translate every stage of a pipeline.

        Raises:
            ConfigError: The translator gives a key that does not end with pipeline and stage.
        """
        specs = {stage.name: translator.get_asset_spec(pipeline, stage) for stage in pipeline.stages}
        for name, spec in specs.items():
            path = asset_path(pipeline.name, name)
            if tuple(spec.key.path[-2:]) != path:
                raise ConfigError(
                    f"{type(translator).__name__} gives the stage '{name}' of pipeline '{pipeline.name}' "
                    f"the key {spec.key.to_user_string()}, which does not end with {'/'.join(path)}; "
                    "change what stands before: spec.key.with_prefix(...)"
                )
        return cls(pipeline, specs)

    def key(self, stage: str) -> AssetKey:
        """Return the asset that a stage materializes."""
        return self.specs[stage].key


def load_translator(target: str | None) -> PipelineTranslator:
    """Return the deployment's translator.

    Args:
        target: `module:Class`; None for the project's own.

    Raises:
        ConfigError: There is no such class, or it is no translator.
    """
    if target is None:
        return PipelineTranslator()
    module, _, name = target.partition(":")
    what = f"the translator {target!r} (MEDKG_TRANSLATOR, or a component's attribute)"
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{what} cannot be imported: {error}; write module:Class") from error
    if not isinstance(found, type) or not issubclass(found, PipelineTranslator):
        raise ConfigError(f"{what} is no subclass of PipelineTranslator; make it one")
    return found()


def provider_tags(stage: PlannedStage) -> dict[str, str]:
    """Return tags that name the distribution, and its version, that provides a stage's type."""
    return {
        f"medkg/{name}": re.sub(r"[^A-Za-z0-9_.-]", "_", value)[:_LONGEST_TAG]
        for name, value in _provider(stage).items()
    }


def _provider(stage: PlannedStage) -> dict[str, str]:
    origin = stage.origin
    return {} if origin is None else {"distribution": origin.distribution, "version": origin.version}


def _page(stage: PlannedStage) -> dict[str, MetadataValue]:
    """Return where people look at what a stage wrote, of one that writes a store."""
    written = set(stage.metadata.state_types.values())
    if written.isdisjoint((IndexReceipt, GraphReceipt)):
        return {}
    return {"look (while `medkg serve` runs)": MetadataValue.url(f"http://127.0.0.1:{SERVE_PORT}/")}


def _owners(pipeline: PipelinePlan) -> list[str]:
    owner = pipeline.topology.metadata.owner
    if not owner:
        return []
    return [owner if "@" in owner or owner.startswith("team:") else f"team:{owner}"]
