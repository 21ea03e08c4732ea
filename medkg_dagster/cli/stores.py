"""`medkg search`, and what the built-in stores hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import (
    echo_json,
    highlight,
    nothing_in,
    one_line,
    paragraph,
    require_store,
)
from medkg_dagster.errors import MedkgError, StoreError, counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger import JobLedger
    from medkg_dagster.registry import ExtensionRegistry
    from medkg_dagster.stage_api import Embedder, SearchHit

INDEX_FILE = "index.sqlite"
SNIPPET = 320
GRAPH_FILE = "graph.sqlite"


def load_extensions(settings: Settings) -> ExtensionRegistry:
    """Return the extensions that the deployment lets in."""
    from medkg_dagster.registry import ExtensionRegistry
    from medkg_dagster.topology.plugins_file import load_plugin_policy

    policy = load_plugin_policy(settings.config, enabled=settings.plugins).policy
    return ExtensionRegistry(policy)


def stored_versions(
    settings: Settings, documents: Sequence[str]
) -> dict[str, dict[str, frozenset[str] | None]]:
    """Return by document and built-in store the content hashes that it has; None where it has nothing."""
    found: dict[str, dict[str, frozenset[str] | None]] = {name: {} for name in documents}
    for file, store in _built_in_stores(settings):
        for name in documents:
            found[name][file] = store.held_versions(name)
    return found


def take_out(settings: Settings, ledger: JobLedger, names: Sequence[str]) -> None:
    """Take out of the built-in stores what the ledger lets go of: documents, or what another form said.

    Args:
        settings: The deployment's settings.
        ledger: It knows already what is not current.
        names: The documents about which something has changed; other forms of the same works go with them.
    """
    showable = ledger.documents.showable(names) if names else {}
    for file, store in _built_in_stores(settings) if showable else ():
        gone = [name for name, contents in showable.items() if _is_gone(store.held_versions(name), contents)]
        if not gone:
            continue
        if file == GRAPH_FILE:
            store.apply({}, gone, {}, ())
        else:
            import numpy as np

            from medkg_dagster.stage_api import EmbeddingBatch

            store.apply({}, gone, (), EmbeddingBatch((), np.zeros((0, 0), np.float32), "", lexical=True))


def _is_gone(held: frozenset[str] | None, contents: frozenset[str]) -> bool:
    """Say whether a store holds of a document what it is not to hold."""
    if held is None:
        return False
    return not contents or (bool(held) and held.isdisjoint(contents))


def _built_in_stores(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yield the file of each built-in store that is there, and the store, open while it is looked at."""
    from medkg_dagster.stage_api import ExtensionKind

    extensions = load_extensions(settings)
    for kind, name, file in (
        (ExtensionKind.INDEX_STORE, "sqlite", INDEX_FILE),
        (ExtensionKind.GRAPH_STORE, "sql", GRAPH_FILE),
    ):
        if (settings.home / file).is_file():
            with closing(extensions.find(kind, name).open({}, settings.home)) as store:
                yield file, store


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 1000), help="Results to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def search(settings: Settings, query: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search the index for QUERY: full text and vectors, their ranks fused.

    With the built-in embedder the vectors are lexical: closeness means shared words, not shared meaning.
    """
    text = " ".join(query)
    embedder, hits = find_chunks(settings, text, limit)
    if as_json:
        echo_json(
            {
                "query": text,
                "embedding_model": embedder.model if embedder else None,
                "lexical": embedder.lexical if embedder else None,
                "hits": [_describe_hit(hit) for hit in hits],
            }
        )
        return
    for number, hit in enumerate(hits, start=1):
        _print_hit(number, hit, text)
    if not hits:
        click.echo(f"nothing found for {text!r}; try fewer or other words")
    click.echo(f"{counted(len(hits), 'result')}; {_describe_vectors(embedder)}")


def find_chunks(settings: Settings, query: str, limit: int) -> tuple[Embedder | None, Sequence[SearchHit]]:
    """Embed a query with the index's own model and search.

    Where that model cannot be opened or used, it says so and searches words only.

    Returns:
        The embedder, None where it could not be used, and what was found.

    Raises:
        StoreError: There is no index, or it is empty.
    """
    home = settings.home
    require_store(home, INDEX_FILE)
    from medkg_dagster.stage_api import ExtensionKind
    from medkg_dagster.stage_api._extensions import open_embedder

    extensions = load_extensions(settings)
    with closing(extensions.find(ExtensionKind.INDEX_STORE, "sqlite").open({}, home)) as store:
        model = store.embedding_model()
        if model is None:
            raise StoreError(nothing_in(home))
        try:
            embedder = open_embedder(extensions, model, home)
            vector = embedder.embed([query])[0]
        except MedkgError as error:
            click.echo(f"medkg: searching words only, the query has no vector: {error}", err=True)
            return None, store.search(query, None, limit)
        return embedder, store.search(query, vector, limit)


def _describe_vectors(embedder: Embedder | None) -> str:
    if embedder is None:
        return "words only"
    name = embedder.model.partition(":")[0]
    return f"vectors: {name} ({'lexical: closeness means shared words' if embedder.lexical else 'semantic'})"


def _describe_hit(hit: SearchHit) -> dict[str, Any]:
    return {
        **hit.chunk.model_dump(mode="json"),
        "score": hit.score,
        "bm25_rank": hit.bm25_rank,
        "vector_rank": hit.vector_rank,
    }


def _print_hit(number: int, hit: SearchHit, query: str) -> None:
    chunk = hit.chunk
    words = query_words(query)
    parts = (chunk.document_id, one_line(chunk.section), "synthetic" if chunk.synthetic else "")
    place = " · ".join(filter(None, parts))
    click.echo(f"{number}. {click.style(one_line(chunk.title) or '(untitled)', bold=True)}")
    click.echo(f"   {click.style(place, dim=True)}")
    click.echo(highlight(paragraph(snippet(chunk.text, words)), words))
    click.echo()


def query_words(query: str) -> tuple[str, ...]:
    """Return the words of a query worth marking, longer than two letters where there are any."""
    words = tuple(dict.fromkeys(word.lower() for word in re.findall(r"\w+", query)))
    return tuple(word for word in words if len(word) > 2) or words


def snippet(text: str, words: Sequence[str], length: int = SNIPPET) -> str:
    """Return the part of a text that holds most of the words, cut between words.

    Args:
        text: The text.
        words: Words to look for, in lower case.
        length: About how many characters to return.
    """
    flat = one_line(text)
    if len(flat) <= length:
        return flat
    lowered = flat.lower()
    starts = [match.start() for word in words for match in re.finditer(re.escape(word), lowered)]
    best = max(
        sorted(starts) or [0],
        key=lambda start: len({word for word in words if word in lowered[start : start + length]}),
    )
    begin = max(0, min(best - length // 6, len(flat) - length))
    if begin:
        begin = flat.find(" ", begin) + 1
    end = begin + length
    cut = flat[begin:] if end >= len(flat) else flat[begin : flat.rfind(" ", begin, end + 1)]
    return f"{'… ' if begin else ''}{cut}{' …' if begin + len(cut) < len(flat) else ''}"
