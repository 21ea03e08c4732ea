"""What a registration must hold to besides the rules its metadata checks itself."""

from __future__ import annotations

import re
from typing import Any

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.stage_api.metadata import StageMetadata
from medkg_dagster.stage_api.registration import StageRegistration

# State keys become names of Dagster inputs, which may not be called like this, and arguments of `execute`.
_RESERVED_KEYS = frozenset(
    {"context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict", "output_arg_dict"}
    | {"int", "str", "float", "bool", "input", "output", "type", "ctx", "self"}
)
_ORDER_INPUT = "after_"
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,50}", re.ASCII)


def check_registration(registration: Any) -> StageRegistration:
    """Return a registration that holds to the rules.

    Args:
        registration: What a plugin returned or a caller passed.

    Raises:
        StageRegistryError: It is no registration, or its metadata would not compile.
    """
    if not isinstance(registration, StageRegistration):
        raise StageRegistryError(f"expected a StageRegistration, got {_described(registration)}")
    metadata = registration.metadata
    if not isinstance(metadata, StageMetadata):
        raise StageRegistryError(f"metadata must be a StageMetadata, got {_described(metadata)}")
    for key in metadata.state_keys:
        if key in _RESERVED_KEYS or key.startswith(_ORDER_INPUT) or not key.isascii():
            raise StageRegistryError(
                f"stage type {metadata.stage_type!r}: state_key {key!r} cannot be used; it must be ASCII, "
                f"not begin with {_ORDER_INPUT!r}, and be none of {', '.join(sorted(_RESERVED_KEYS))}"
            )
    for kind in metadata.kinds:
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            raise StageRegistryError(
                f"stage type {metadata.stage_type!r}: kind {kind!r} must be letters, digits, '_', '-' and '.'"
            )
    return registration


def _described(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:60]!r}"
