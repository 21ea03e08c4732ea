"""Running a stage the way a step does, its values given and taken whole, and what some work costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from medkg_dagster.stage_api import StageContext, StageRegistration
from medkg_dagster.stage_api._documents import whole_value
from medkg_dagster.stage_api._invocation import invoke


def run(
    register: Callable[[], StageRegistration], ctx: StageContext, /, _config: Any = None, **inputs: Any
) -> dict[str, Any]:
    """Build a stage and let it work, held to its contract.

    Args:
        register: Registers the stage type.
        ctx: The surroundings; what was set aside and described stands there afterwards.
        _config: The stage's configuration as YAML has it.
        inputs: State key to value.

    Returns:
        State key to value, each loaded whole.
    """
    registration = register()
    metadata = registration.metadata
    definition = SimpleNamespace(name=ctx.stage, type=metadata.stage_type, config=_config or {})
    outcome = invoke(metadata, registration.builder(definition), ctx, inputs)
    return {key: whole_value(value) for key, value in outcome.state.items()}


def least_cost(work: Callable[[], object]) -> float:
    """Return the CPU seconds of some work, the least of three times."""
    costs = []
    for _ in range(3):
        start = time.process_time()
        work()
        costs.append(time.process_time() - start)
    return min(costs)
