"""What the request of a job gives the stages of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medkg_dagster.resolution.plan import PlannedStage


def requested_config(request: Mapping[str, Any], planned: PlannedStage) -> dict[str, Any]:
    """Return the options that a request gives a stage.

    Args:
        request: `stages` holds options by stage; the rest is for stages that no other comes before.
        planned: The stage.
    """
    general = {key: value for key, value in request.items() if key != "stages"}
    own = request.get("stages", {}).get(planned.name, {})
    is_first = not planned.wires and not planned.order_after
    return {**(general if is_first else {}), **own}
