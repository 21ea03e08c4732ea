from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from medkg_dagster.domain.chunks import EmbeddingBatch
from medkg_dagster.domain.payloads import Payload, PayloadFormat
from medkg_dagster.errors import StateError
from medkg_dagster.stage_api._serialization import dump_value, encoding_of, load_value

PAYLOADS = tuple[Payload, ...]


@given(st.lists(st.tuples(st.text(), st.binary()), max_size=5))
def test_any_payloads_come_back_equal(contents: list[tuple[str, bytes]]) -> None:
    payloads = tuple(
        Payload(id=name, format=PayloadFormat.TEXT, content=content, source="files", origin=name)
        for name, content in contents
    )

    assert load_value("payloads", dump_value("payloads", payloads, PAYLOADS), PAYLOADS) == payloads


@given(st.integers(0, 8), st.integers(1, 4))
def test_embeddings_come_back_equal_and_without_pickle(rows: int, dimension: int) -> None:
    batch = EmbeddingBatch(
        chunk_ids=tuple(f"chunk-{row}" for row in range(rows)),
        vectors=np.arange(rows * dimension, dtype=np.float32).reshape(rows, dimension),
        model="hashing:{}",
        lexical=True,
    )

    content = dump_value("embedding_batch", batch, EmbeddingBatch)
    loaded = load_value("embedding_batch", content, EmbeddingBatch)

    assert encoding_of(EmbeddingBatch) == "npz"
    assert loaded.chunk_ids == batch.chunk_ids
    assert loaded.vectors.dtype == np.float32
    assert np.array_equal(loaded.vectors, batch.vectors)
    assert (loaded.model, loaded.lexical) == (batch.model, batch.lexical)


@pytest.mark.parametrize(
    "array",
    [
        np.eye(3),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(9)[::2],
        np.zeros((0, 0), np.float32),
        np.array(True),
        np.array(""),
        np.array([], np.str_),
        np.array(["one", "\u4e8c"]),
        np.array([(1, 2.0)], [("\u4e00", np.int32), ("\u4e8c", np.float64)]),
    ],
    ids=lambda array: f"{array.dtype.kind}{array.shape}",
)
@pytest.mark.filterwarnings("ignore:Stored array in format")
def test_a_plain_array_comes_back_equal(array: NDArray[Any]) -> None:
    loaded = load_value("matrix", dump_value("matrix", array, NDArray[Any]), NDArray[Any])

    assert (loaded.dtype, loaded.shape) == (array.dtype, array.shape)
    assert loaded.tolist() == array.tolist()
    assert loaded.flags.writeable


def test_an_array_of_objects_is_refused_by_key() -> None:
    with pytest.raises(StateError, match=r"'matrix'.*plain numbers"):
        dump_value("matrix", np.array([object()]), NDArray[np.object_])


def test_a_value_of_another_type_is_refused_by_key_and_type() -> None:
    with pytest.raises(StateError, match=r"'payloads'.*Payload"):
        dump_value("payloads", ["not a payload"], PAYLOADS)


def test_a_type_nobody_can_serialize_is_refused_with_the_way_out() -> None:
    class Opaque:
        pass

    with pytest.raises(StateError, match=r"'connection'.*declare a pydantic type"):
        dump_value("connection", Opaque(), Opaque)


@pytest.mark.parametrize("damage", [b"", b"not zstd", b"\x28\xb5\x2f\xfd\x00"])
def test_damaged_bytes_are_an_error_that_says_what_to_run(damage: bytes) -> None:
    with pytest.raises(StateError, match="run the stage that writes it again"):
        load_value("payloads", damage, PAYLOADS)


def test_damaged_arrays_are_an_error_that_says_what_to_run() -> None:
    with pytest.raises(StateError, match="run the stage that writes them again"):
        load_value("embedding_batch", b"PK\x03\x04 broken", EmbeddingBatch)
