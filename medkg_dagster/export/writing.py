"""Writes an export: each file whole or not at all, then the manifest that says where they are from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic_core import to_json

from medkg_dagster import __version__
from medkg_dagster.errors import QueryError, StoreError, VocabularyError, did_you_mean
from medkg_dagster.export.formats import FORMATS, Writer
from medkg_dagster.export.records import ORIGINS, GraphRecords, Tally
from medkg_dagster.io.atomic_files import replacing, write_atomically
from medkg_dagster.query.claims import selection_of
from medkg_dagster.query.opened import OpenedStores

if TYPE_CHECKING:
    from medkg_dagster.query import ClaimFilter
    from medkg_dagster.settings import Settings

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that was written.

    Attributes:
        path: Where.
        records: How many of what are in it.
        synthetic: How many of these are of invented documents only.
    """

    path: Path
    records: Mapping[str, int]
    synthetic: Mapping[str, int]


def export_graph(settings: Settings, name: str, folder: Path, which: ClaimFilter) -> tuple[ExportedFile, ...]:
    """Write the knowledge graph of a home into a folder.

    Args:
        settings: Says where the home is.
        name: The format, one of `FORMATS`.
        folder: Where to; it is made if need be.
        which: Which claims. Without filters all nodes are written, else those of the claims.

    Returns:
        The files, but for the manifest beside them.

    Raises:
        QueryError: There is no such format, or a filter is none.
        StoreError: There is no graph, or a file cannot be written; the old one is still there.
        ConfigError: The format needs an extra that is not installed.
    """
    if name not in FORMATS:
        raise QueryError(f"format {name[:80]!r} is not known; {did_you_mean(name, FORMATS)}")
    stores = OpenedStores(settings)
    try:
        with stores.graph() as (graph, hidden):
            selected = selection_of(stores, which, hidden)
            records = GraphRecords(
                partial(graph.node_records, selected),
                partial(graph.edge_records, selected),
                partial(graph.aggregated_records, selected),
                partial(graph.slots, selected),
            )
            written, described = [], []
            for file, writer in FORMATS[name].files.items():
                exported, digest, size = _write(folder / file, writer, records)
                written.append(exported)
                counts = {"records": exported.records, "synthetic": exported.synthetic}
                described.append({"file": file, **counts, "bytes": size, "sha256": digest})
        manifest = {
            "format": name,
            "made_by": f"medkg-dagster {__version__}",
            "files": described,
            "filters": {key: value for key, value in asdict(which).items() if value is not None},
            "left_out_documents": len(hidden),
            **_origins(records.tally, stores),
        }
        write_atomically(folder / MANIFEST, to_json(manifest, indent=1) + b"\n")
    except OSError as error:
        raise StoreError(
            f"cannot write to {folder}: {error.strerror or error}; name another folder"
        ) from error
    finally:
        stores.close()
    return tuple(written)


def _write(path: Path, writer: Writer, records: GraphRecords) -> tuple[ExportedFile, str, int]:
    """Return a file that was written, its SHA-256 and its size in bytes."""
    before, synthetic = records.tally.records.copy(), records.tally.synthetic.copy()
    with replacing(path) as stream:
        hashed = _Hashed(stream)
        writer(hashed, records)  # type: ignore[arg-type] # as much of a stream as writers need
    found = {what: number for what, number in records.tally.records.items() if what not in before}
    invented = {what: number for what, number in records.tally.synthetic.items() if what not in synthetic}
    return ExportedFile(path, found, invented), hashed.digest.hexdigest(), hashed.size


class _Hashed:
    """A stream that is hashed while it is written.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        written = self._stream.write(content)
        self.size += written
        return written

    def writelines(self, lines: Any) -> None:
        self.write(b"".join(lines))

    def flush(self) -> None:
        self._stream.flush()

    def tell(self) -> int:
        return self.size

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def _origins(tally: Tally, stores: OpenedStores) -> dict[str, Any]:
    """Return where the edges are from, how many under which licence, and what was replaced."""
    told: dict[str, Counter[str]] = {name: Counter() for name in ORIGINS}
    for values, number in tally.origins.items():
        for name, some in zip(ORIGINS, values, strict=True):
            told[name].update(dict.fromkeys(some, number))
    ordered = {name: dict(sorted(counts.items())) for name, counts in told.items()}
    vocabularies = [
        {"version": version, "edges": number, "sources": _vocabulary_sources(stores, version)}
        for version, number in ordered["vocabularies"].items()
    ]
    return {**ordered, "vocabularies": vocabularies, "replaced": dict(tally.replaced)}


def _vocabulary_sources(stores: OpenedStores, version: str) -> list[dict[str, str]] | None:
    """Return the sources of a vocabulary with version and licence; None where it is not kept here."""
    from medkg_dagster.vocabulary.library import VocabularyLibrary

    library = VocabularyLibrary(stores.home)
    if not library.has(version):
        return None
    try:
        with library.opened(version) as vocabulary:
            told = vocabulary.about["sources"]
    except VocabularyError:
        return None
    return [{name: source.get(name, "") for name in ("name", "version", "licence")} for source in told]
