"""One op per stage."""

from typing import Any

from dagster import DagsterType, In, Nothing, OpDefinition, Out, RetryPolicy

from medkg_dagster.compiler.config_schema import ConfigSchemas
from medkg_dagster.compiler.translator import provider_tags
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage
from medkg_dagster.runtime.state_storage import STATE_KEY, StateType
from medkg_dagster.runtime.step import RESULT, StepRunner
from medkg_dagster.stage_api._stage_types.metadata import qualified_name
from medkg_dagster.topology.names import LEDGER_JOB_RESOURCE, STATE_RESOURCE, op_name, order_input_name


class SharedTypes:
    """Dagster types by name and value type; one object each, because Dagster refuses two of one name.

    Attributes:
        config_schemas: The config schemas that stages share.
    """

    def __init__(self) -> None:
        self.config_schemas = ConfigSchemas()
        self._known: dict[tuple[str, str], DagsterType] = {}
        self._names: dict[str, int] = {}

    def get(self, key: str, value_type: Any) -> DagsterType:
        """Return the Dagster type of a state key whose value has this type."""
        described = qualified_name(value_type)
        known = self._known.get((key, described))
        if known is None:
            self._names[key] = count = self._names.get(key, 0) + 1
            known = StateType(
                # The value is checked against its type where it is stored.
                type_check_fn=lambda _context, _value: True,
                name=key if count == 1 else f"{key}_{count}",
                description=f"State key {key!r}: {described}",
            )
            self._known[(key, described)] = known
        return known


def build_op(
    pipeline: PipelinePlan, planned: PlannedStage, factory: StageFactory, types: SharedTypes
) -> OpDefinition:
    """Compile a stage.

    Args:
        pipeline: The pipeline's plan.
        planned: The stage's plan.
        factory: Builds the stage when the op runs.
        types: The code location's Dagster types.

    Returns:
        The op `<pipeline>__<stage>`; inputs are named by state key, order-only inputs `after_<stage>`.
    """
    writers = {stage.name: stage.metadata for stage in pipeline.stages}
    ins = {
        wire.argument: In(
            types.get(wire.state_key, writers[wire.source].state_types.get(wire.state_key, Any)),
            metadata={STATE_KEY: wire.state_key},
        )
        for wire in planned.wires
    }
    ins |= {order_input_name(name): In(Nothing) for name in planned.order_after}
    metadata = planned.metadata
    state = (
        types.get("_and_".join(metadata.state_keys) + "_state", metadata.stage_type)
        if metadata.state_keys
        else Nothing
    )
    return OpDefinition(
        compute_fn=StepRunner(pipeline, planned, factory),
        name=op_name(pipeline.name, planned.name),
        ins=ins,
        outs={
            RESULT: Out(
                state, description=metadata.description, is_required=True, io_manager_key=STATE_RESOURCE
            )
        },
        description=metadata.description,
        config_schema=types.config_schemas.get(metadata.config_model, planned.definition.config),
        required_resource_keys={LEDGER_JOB_RESOURCE},
        tags={
            "medkg/stage_type": metadata.stage_type,
            "medkg/policy": planned.definition.policy,
            **provider_tags(planned),
        },
        code_version=planned.code_version,
        # For a step whose process is lost; of all others the step itself says whether they are tried again.
        retry_policy=RetryPolicy(max_retries=planned.policy.max_attempts - 1),
    )
