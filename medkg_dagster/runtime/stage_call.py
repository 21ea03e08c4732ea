"""One execution of a planned stage: in this process, or in a child process of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from medkg_dagster.errors import StageResolutionError
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage, Wire
from medkg_dagster.resolution.stage_config import stored_names
from medkg_dagster.stage_api import StageContext, SubprocessIsolation
from medkg_dagster.stage_api._invocation import StageOutcome, invoke
from medkg_dagster.stage_api._redaction import redacted_document
from medkg_dagster.topology.models import StageDefinition

if TYPE_CHECKING:
    from medkg_dagster.runtime.isolation.invoke_isolated import InputSource


@dataclass(frozen=True, slots=True, eq=False)
class StageCall:
    """How a planned stage is executed.

    Attributes:
        pipeline: The pipeline's plan.
        planned: The stage's plan.
        factory: Builds the stage.
    """

    pipeline: PipelinePlan
    planned: PlannedStage
    factory: StageFactory

    def run(self, definition: StageDefinition, ctx: StageContext, inputs: Mapping[str, Any]) -> StageOutcome:
        """Build and execute the stage.

        Args:
            definition: The stage with the configuration of this run.
            ctx: The context to give it.
            inputs: By argument of `execute`: the value.

        Returns:
            The outcome, its state under the names this stage stores it under.

        Raises:
            Exception: Whatever the stage raises; see `invoke` and `invoke_isolated`.
        """
        planned = self.planned
        wired = {wire.argument: inputs[wire.argument] for wire in planned.wires}
        try:
            if planned.isolation is None:
                stage = self.factory.resolve(self.pipeline.topology, definition)
                outcome = invoke(planned.contract, stage, ctx, wired)
            else:
                outcome = self._run_isolated(definition, ctx, wired, planned.isolation)
        finally:
            ctx.quarantined = [redacted_document(item) for item in ctx.quarantined]
        names = stored_names(planned.contract, planned.metadata)
        return replace(outcome, state={stored: outcome.state[key] for key, stored in names.items()})

    def _run_isolated(
        self,
        definition: StageDefinition,
        ctx: StageContext,
        inputs: Mapping[str, Any],
        limits: SubprocessIsolation,
    ) -> StageOutcome:
        from medkg_dagster.runtime.isolation.invoke_isolated import invoke_isolated

        planned = self.planned
        if planned.origin is None:
            raise StageResolutionError(
                f"stage {planned.name!r} cannot run in a child process: code registered its type, which no "
                "other process knows; register it by an entry point, or remove `isolation`"
            )
        writers = {stage.name: stage for stage in self.pipeline.stages}
        sources = {wire.argument: _input_source(wire, writers[wire.source]) for wire in planned.wires}
        return invoke_isolated(
            target=planned.origin.target,
            metadata=planned.contract,
            input_sources={argument: source for argument, source in sources.items() if source is not None},
            topology=self.pipeline.topology,
            definition=definition,
            ctx=ctx,
            inputs=inputs,
            limits=limits,
            policy=self.factory.registry.policy,
        )


def _input_source(wire: Wire, writer: PlannedStage) -> "InputSource | None":
    from medkg_dagster.runtime.isolation.invoke_isolated import InputSource

    if writer.origin is None:
        return None
    names = stored_names(writer.contract, writer.metadata)
    own = next(key for key, stored in names.items() if stored == wire.state_key)
    return InputSource(writer.origin.target, writer.contract, own)
