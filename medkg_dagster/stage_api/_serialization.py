"""Values between steps as bytes: pydantic types as JSON, arrays as NumPy's own format, never a pickle."""

import functools
import io
from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from medkg_dagster.errors import StateError
from medkg_dagster.stage_api._redaction import holds_secret, showable, text_of
from medkg_dagster.stage_api._stage_types.metadata import qualified_name

JSON = "json.zst"
ARRAYS = "npz"
_FIRST_FORMAT = (1, 0)


@runtime_checkable
class ArrayValue(Protocol):
    """A value made of NumPy arrays, such as `EmbeddingBatch`."""

    def to_arrays(self) -> dict[str, Any]:
        """Return plain arrays without object dtype."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Build an equal value from what `to_arrays` returned."""


def encoding_of(value_type: Any) -> str:
    """Return the format a value type is stored in, also its file extension.

    Returns:
        `npz` for arrays and values made of arrays, else `json.zst`.
    """
    return ARRAYS if _is_array_type(value_type) else JSON


def dump_value(key: str, value: Any, value_type: Any) -> bytes:
    """Serialize one value; see `encode_value` and `compress`."""
    return compress(encode_value(key, value, value_type), value_type)


def encode_value(key: str, value: Any, value_type: Any) -> bytes:
    """Serialize one value without compressing it; equal values give equal bytes.

    Raises:
        StateError: The type cannot be serialized, the value is not of it, or it holds a secret that was
            revealed.
    """
    if _is_array_type(value_type):
        return _without_secret(key, _dump_arrays(key, value))
    adapter = _adapter(key, value_type)
    try:
        # Serialization only warns about a value of another type; validation first makes it an error.
        adapter.validate_python(value, strict=True)
        encoded = adapter.dump_json(value, warnings="error")
    except (ValidationError, ValueError, TypeError) as error:
        raise StateError(
            f"state key {key!r}: the value is not a {qualified_name(value_type)}: {text_of(error)}; "
            "return that type, or declare the right one in state_types"
        ) from showable(error)
    return _without_secret(key, encoded)


def compress(encoded: bytes, value_type: Any) -> bytes:
    """Return what `encode_value` returned as it is stored; `load_value` turns it back into an equal value."""
    if _is_array_type(value_type):
        return encoded
    import zstandard

    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(encoded)


def load_value(key: str, content: bytes, value_type: Any) -> Any:
    """Deserialize one value.

    Raises:
        StateError: The bytes are damaged or were written for another type.
    """
    if _is_array_type(value_type):
        return _load_arrays(key, content, value_type)
    import zstandard

    try:
        encoded = zstandard.ZstdDecompressor().decompress(content)
        return _adapter(key, value_type).validate_json(encoded)
    except (zstandard.ZstdError, ValidationError) as error:
        raise StateError(
            f"state key {key!r}: what is stored is not a {qualified_name(value_type)}: {error}; "
            "run the stage that writes it again"
        ) from error


def _without_secret(key: str, content: bytes) -> bytes:
    name = holds_secret(content)
    if name is not None:
        raise StateError(
            f"state key {key!r}: the value holds the secret of the environment variable {name}; remove it "
            "from what the stage returns, or use a longer secret where it stands there by chance"
        )
    return content


def _is_array_type(value_type: Any) -> bool:
    if isinstance(value_type, type) and hasattr(value_type, "from_arrays"):
        return True
    origin = getattr(value_type, "__origin__", value_type)
    if hasattr(origin, "__value__"):  # the alias that NumPy's `NDArray` is from 2.5 on
        origin = getattr(origin.__value__, "__origin__", origin.__value__)
    return getattr(origin, "__module__", "") == "numpy" and getattr(origin, "__name__", "") == "ndarray"


@functools.lru_cache(maxsize=256)
def _cached_adapter(value_type: Any) -> TypeAdapter[Any]:
    return TypeAdapter(value_type)


def _adapter(key: str, value_type: Any) -> TypeAdapter[Any]:
    try:
        return _cached_adapter(value_type)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise StateError(
            f"state key {key!r}: values of {qualified_name(value_type)} cannot be stored; declare a pydantic "
            f"type, a NumPy array or a class with to_arrays and from_arrays in state_types ({error})"
        ) from error


def _dump_arrays(key: str, value: Any) -> bytes:
    import numpy as np

    arrays = value.to_arrays() if isinstance(value, ArrayValue) else {"array": value}
    buffer = io.BytesIO()
    try:
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray) or array.dtype.hasobject:
                raise StateError(
                    f"state key {key!r}: {name!r} is a {type(array).__name__}, "
                    "not an array of plain numbers or text"
                )
        np.savez(buffer, allow_pickle=False, **arrays)
    except ValueError as error:
        raise StateError(f"state key {key!r}: the arrays cannot be stored: {error}") from error
    return buffer.getvalue()


def _load_arrays(key: str, content: bytes, value_type: Any) -> Any:
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as stored:
            arrays = {name.removesuffix(".npy"): _array(stored.read(name)) for name in stored.namelist()}
        return value_type.from_arrays(arrays) if hasattr(value_type, "from_arrays") else arrays["array"]
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise StateError(
            f"state key {key!r}: the stored arrays are damaged: {error}; run the stage that writes them again"
        ) from error


def _array(content: bytes) -> Any:
    """Return the array of a file in NumPy's format; documents have few kinds, and each is understood once."""
    import numpy as np
    from numpy.lib import format as numpy_format

    if content[6:8] != bytes(_FIRST_FORMAT):
        return numpy_format.read_array(io.BytesIO(content), allow_pickle=False)
    start = 10 + int.from_bytes(content[8:10], "little")
    shape, is_fortran, dtype = _layout(content[:start])
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return np.ndarray(shape, dtype, bytearray(content), start, order="F" if is_fortran else "C")


@functools.lru_cache(maxsize=1024)
def _layout(head: bytes) -> tuple[tuple[int, ...], bool, Any]:
    """Return shape, order and type from the head of such a file."""
    from numpy.lib import format as numpy_format

    file = io.BytesIO(head)
    numpy_format.read_magic(file)
    return numpy_format.read_array_header_1_0(file)
