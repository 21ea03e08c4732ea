"""From what an author hands in, a registration or the function that registers, to one registration."""

from __future__ import annotations

from collections.abc import Sequence

from medkg_dagster.errors import ConfigError, StageRegistryError, did_you_mean
from medkg_dagster.stage_api.offers import offered_registrations
from medkg_dagster.stage_api.stage_types.metadata import qualified_name
from medkg_dagster.stage_api.stage_types.registration import StagePlugin, StageRegistration
from medkg_dagster.stage_api.stage_types.rules import check_registration


def registrations_of(registration: StageRegistration | StagePlugin) -> list[StageRegistration]:
    """Return what is registered, one or several.

    Args:
        registration: A registration, or the function that an entry point names.

    Raises:
        StageRegistryError: The function breaks a rule of entry points, or a registration is invalid.
    """
    if isinstance(registration, StageRegistration):
        return [check_registration(registration)]
    found = [check_registration(item) for item in offered_registrations(registration)]
    if not found:
        raise StageRegistryError(f"{qualified_name(registration)} registers no stage types")
    types = [item.metadata.stage_type for item in found]
    if len(set(types)) != len(types):
        raise StageRegistryError(
            f"{qualified_name(registration)} registers a stage type twice: {', '.join(types)}"
        )
    return found


def choose(found: Sequence[StageRegistration], stage_type: str | None) -> StageRegistration:
    """Return the registration to test.

    Args:
        found: What is registered.
        stage_type: Which one, where there are several.

    Raises:
        ConfigError: There is none of that stage type, or there are several and none is named.
    """
    types = [item.metadata.stage_type for item in found]
    if stage_type is None and len(found) > 1:
        raise ConfigError(
            f"there are the stage types {', '.join(types)}; say which to test with stage_type='{types[0]}'"
        )
    for item in found:
        if stage_type in {None, item.metadata.stage_type}:
            return item
    raise ConfigError(
        f"there is no stage type {stage_type!r} to test; {did_you_mean(stage_type or '', types)}"
    )
