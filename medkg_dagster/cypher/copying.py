"""The copy of the graph store that Cypher is asked of: made of the store, and anew where that has changed."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from uuid import uuid4

from medkg_dagster.domain.graph_selection import EdgeSelection
from medkg_dagster.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from medkg_dagster.domain.knowledge import Edge
    from medkg_dagster.query.opened import OpenedStores
    from medkg_dagster.query.readable import GraphReader

FOLDER = "cypher"
NODE = "Entity"
_FORM = "1"  # of the tables; another one is another copy
_MEMORY_BYTES = 512 << 20
_AT_ONCE = 2_000
_GIVEN_UP_SECONDS = 86_400
_NODES = {
    "id": "STRING PRIMARY KEY",
    "name": "STRING",
    "category": "STRING",
    "categories": "STRING[]",
    "synonyms": "STRING[]",
    "equivalents": "STRING[]",
    "synthetic": "BOOL",
}
_EDGES = {
    "id": "STRING",
    "predicate": "STRING",
    "negated": "BOOL",
    "certainty": "STRING",
    "background": "BOOL",
    "qualifiers": "STRING",
    "properties": "STRING",
    "document": "STRING",
    "sentence": "STRING",
    "start_character": "INT64",
    "end_character": "INT64",
    "method": "STRING",
    "extractor": "STRING",
    "source": "STRING",
    "licence": "STRING",
    "synthetic": "BOOL",
}


def current_copy(stores: OpenedStores) -> Path:
    """Return the file of the copy; it is made where there is none of the graph as it is now.

    Args:
        stores: Those of the home.

    Raises:
        ConfigError: The extra is not installed.
        StoreError: There is no graph, or the copy cannot be written.
    """
    try:
        import ladybug
    except ImportError as error:
        raise ConfigError(
            f"Cypher needs Ladybug ({error}); install it with `pip install 'medkg-dagster[ladybug]'`"
        ) from error
    version = "\n".join((_FORM, str(ladybug.Database.get_storage_version()), stores.graph_version()))
    folder = stores.home / FOLDER
    copy = folder / f"{hashlib.sha256(version.encode()).hexdigest()[:32]}.lbug"
    try:
        if not copy.is_file():
            _make(ladybug, stores, copy)
    except (OSError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise StoreError(f"the copy of the graph in {folder} cannot be made: {said}") from error
    return copy


def _make(ladybug: Any, stores: OpenedStores, copy: Path) -> None:
    """Make a copy beside others, let it take its place, and remove those of the graph as it was."""
    for left in copy.parent.glob("*.partial"):  # by what was killed
        if time.time() - left.stat().st_mtime > _GIVEN_UP_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    partial = copy.parent / f"{uuid4().hex}.partial"
    partial.mkdir(parents=True)
    try:
        with (
            ladybug.Database(partial / "made", buffer_pool_size=_MEMORY_BYTES, max_num_threads=1) as database,
            ladybug.Connection(database) as connection,
            stores.graph() as (graph, hidden),
        ):
            everything = EdgeSelection(mentions=True, without=hidden)
            _write_nodes(connection, graph, everything)
            _write_edges(connection, _edges(graph, everything), partial)
        for other in copy.parent.glob("*.lbug"):
            other.unlink(missing_ok=True)
        (partial / "made").replace(copy)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_nodes(connection: Any, graph: GraphReader, which: EdgeSelection) -> None:
    connection.execute(f"CREATE NODE TABLE {NODE}({_columns(_NODES)})")
    values = ", ".join(f"{name}: one.{name}" for name in _NODES)
    nodes = iter(graph.node_records(which))
    while some := [_node(record) for record in islice(nodes, _AT_ONCE)]:
        connection.execute(f"UNWIND $some AS one CREATE (:{NODE} {{{values}}})", {"some": some})


def _node(record: dict[str, Any]) -> dict[str, Any]:
    kinds = [name.removeprefix("biolink:") for name in record["category"]]
    return {
        "id": record["id"],
        "name": record.get("name", ""),
        "category": kinds[0] if kinds else "",
        "categories": kinds,
        "synonyms": list(record.get("synonym", ())),
        "equivalents": list(record.get("equivalent_identifiers", ())),
        "synthetic": bool(record.get("synthetic")),
    }


def _edges(graph: GraphReader, which: EdgeSelection) -> Iterator[Edge]:
    after = None
    while some := graph.edges(which, _AT_ONCE, after):
        yield from some
        after = some[-1].id


def _write_edges(connection: Any, edges: Iterator[Edge], folder: Path) -> None:
    """Write edges, a table for each predicate: from a file it takes a hundredth of the time of one by one."""
    with ExitStack() as opened:
        files: dict[str, TextIO] = {}
        for edge in edges:
            table = _table(edge.predicate)
            if table not in files:
                path = folder / f"{len(files)}.csv"
                files[table] = opened.enter_context(path.open("w", encoding="utf-8", newline=""))
            csv.writer(files[table]).writerow(_edge(edge))
    for table, file in files.items():
        connection.execute(f"CREATE REL TABLE `{table}`(FROM {NODE} TO {NODE}, {_columns(_EDGES)})")
        options = "header=false, parallel=false, quote='\"', escape='\"'"
        connection.execute(f"COPY `{table}` FROM '{file.name}' ({options})")


def _edge(edge: Edge) -> list[Any]:
    values = {
        "predicate": edge.predicate,
        "qualifiers": json.dumps(edge.qualifiers, ensure_ascii=False) if edge.qualifiers else None,
        "properties": json.dumps(edge.properties, ensure_ascii=False) if edge.properties else None,
        "document": edge.document_id,
        "sentence": edge.supporting_text,
        "start_character": edge.start,
        "end_character": edge.end,
        "source": edge.primary_knowledge_source,
    }
    return [edge.subject, edge.object, *(values.get(name, getattr(edge, name, None)) for name in _EDGES)]


def _table(predicate: str) -> str:
    """Return the table of a predicate, in lower case, as names of tables mean the same in any."""
    name = re.sub(r"\W", "_", predicate.removeprefix("biolink:")).lower()
    return f"{name}_" if name == NODE.lower() else name


def _columns(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())
