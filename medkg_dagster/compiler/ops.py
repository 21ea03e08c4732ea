"""One op per stage."""

from typing import Any

from dagster import DagsterType, In, Nothing, OpDefinition, Out, RetryPolicy

from medkg_dagster.compiler.config_schema import ConfigSchemas
from medkg_dagster.compiler.distributed import resource_tags
from medkg_dagster.compiler.translator import provider_tags
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage
from medkg_dagster.runtime.state.io_manager import STATE_KEY, StateType
from medkg_dagster.runtime.step import RESULT, StepRunner
from medkg_dagster.stage_api import StageMetadata
from medkg_dagster.stage_api._stage_types.metadata import qualified_name
from medkg_dagster.topology.names import LEDGER_JOB_RESOURCE, STATE_RESOURCE, op_name, order_input_name

_ORDER = In(Nothing)


class SharedTypes:
    """Dagster types by name and value type, one object each, because Dagster refuses two of one name.

    Inputs and outputs of ops are shared too, for Dagster looks into a type for each of them.

    Attributes:
        config_schemas: The config schemas that stages share.
    """

    def __init__(self) -> None:
        self.config_schemas = ConfigSchemas()
        self._known: dict[tuple[str, str], DagsterType] = {}
        self._names: dict[str, int] = {}
        self._inputs: dict[str, In] = {}
        self._outputs: dict[tuple[str, str, str], Out] = {}

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

    def input(self, key: str, value_type: Any) -> In:
        """Return an op's input of a state key whose value has this type."""
        known = self.get(key, value_type)
        if known.key not in self._inputs:
            self._inputs[known.key] = In(known, metadata={STATE_KEY: key})
        return self._inputs[known.key]

    def output(self, metadata: StageMetadata) -> Out:
        """Return the one output of an op, by all that a stage may say of it."""
        names, described = "_and_".join(metadata.state_keys), metadata.description
        key = (names, metadata.stage_type, described)
        if key not in self._outputs:
            state = self.get(f"{names}_state", metadata.stage_type) if names else Nothing
            self._outputs[key] = Out(
                state, description=described, is_required=True, io_manager_key=STATE_RESOURCE
            )
        return self._outputs[key]


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
        wire.argument: types.input(wire.state_key, writers[wire.source].state_types.get(wire.state_key, Any))
        for wire in planned.wires
    }
    ins |= {order_input_name(name): _ORDER for name in planned.order_after}
    metadata, resources = planned.metadata, planned.definition.resources
    return OpDefinition(
        compute_fn=StepRunner(pipeline, planned, factory),
        name=op_name(pipeline.name, planned.name),
        ins=ins,
        outs={RESULT: types.output(metadata)},
        description=metadata.description,
        config_schema=types.config_schemas.get(metadata.config_model, planned.definition.config),
        required_resource_keys={LEDGER_JOB_RESOURCE},
        tags={
            "medkg/stage_type": metadata.stage_type,
            "medkg/policy": planned.definition.policy,
            **provider_tags(planned),
            **resource_tags(resources.cpu, resources.memory, resources.gpu),
        },
        code_version=planned.code_version,
        pool=planned.definition.pool,
        # For a step whose process is lost; of all others the step itself says whether they are tried again.
        retry_policy=RetryPolicy(max_retries=planned.policy.max_attempts - 1),
    )
