"""Vectors that were made for an index and are not in it yet; what is made is kept where the work is ended."""

from __future__ import annotations

import fcntl
import hashlib
import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index.vector_codes import VectorRows
from medkg_dagster.errors import StoreError
from medkg_dagster.io.atomic_files import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER_NAME = "index.reindex"
_IDS, _VECTORS = ".ids", ".npy"


class MadeVectors:
    """The vectors of one model by chunk, in files of some each.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, tuple[int, int]] = {}
        self._parts: list[NDArray[np.float32]] = []
        for file in sorted(folder.glob(f"*{_IDS}"), key=lambda file: int(file.stem)):
            self._take(file.read_text().split(), np.load(file.with_suffix(_VECTORS), mmap_mode="r"))

    def __contains__(self, chunk: str) -> bool:
        return chunk in self._places

    def keep(self, chunks: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep the vectors of some chunks, so that they are there after a kill.

        Raises:
            StoreError: They cannot be written.
        """
        content = io.BytesIO()
        np.save(content, vectors.astype("<f4", copy=False), allow_pickle=False)
        file = self._folder / f"{len(self._parts)}{_IDS}"
        with _writing(self._folder):
            # Without the file that is written last the vectors are not looked at.
            write_atomically(file.with_suffix(_VECTORS), content.getvalue())
            write_atomically(file, "\n".join(chunks).encode())
        self._take(chunks, np.load(file.with_suffix(_VECTORS), mmap_mode="r"))

    def _take(self, chunks: Sequence[str], vectors: NDArray[np.float32]) -> None:
        number = len(self._parts)
        self._parts.append(vectors)
        self._places.update((chunk, (number, row)) for row, chunk in enumerate(chunks))

    def rows(self, chunks: Sequence[str]) -> tuple[VectorRows, ...]:
        """Return the vectors of chunks in their order."""
        places = np.array([self._places[chunk] for chunk in chunks], np.int64).reshape(-1, 2)
        parts = places[:, 0]
        changes = (np.flatnonzero(parts[1:] != parts[:-1]) + 1).tolist()
        return tuple(
            VectorRows(self._parts[parts[begin]], places[begin:end, 1])
            for begin, end in pairwise([0, *changes, len(parts)])
            if begin < end
        )


@contextmanager
def made_vectors(home: Path, model: str) -> Iterator[MadeVectors]:
    """Open what was made of a model for the index in a folder, and forget it where the block ends well.

    Args:
        home: Where the index is.
        model: The model's name; what was made of others is forgotten.

    Raises:
        StoreError: Another process makes some, or nothing can be written.
    """
    folder = home / FOLDER_NAME
    own = folder / hashlib.sha256(model.encode()).hexdigest()[:32]
    with _locked(home):
        with _writing(folder):
            own.mkdir(parents=True, exist_ok=True)
            for other in folder.iterdir():
                if other != own:
                    shutil.rmtree(other)
        yield MadeVectors(own)
        with _writing(folder):
            shutil.rmtree(folder)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    file = home / f"{FOLDER_NAME}.lock"
    with _writing(file):
        lock = file.open("a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"the index in {home} is being embedded by another process; wait for its end"
            ) from error
        yield


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot write to {place}: {error.strerror}; check disk and permissions") from error
