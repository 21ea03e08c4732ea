"""`medkg search`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import echo_json, highlight, nothing_in, one_line, paragraph, require_store
from medkg_dagster.cli.stores import INDEX_FILE, load_extensions
from medkg_dagster.domain.search import excerpt, words_at
from medkg_dagster.errors import MedkgError, StoreError, counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from medkg_dagster.registry import ExtensionRegistry
    from medkg_dagster.stage_api import DocumentHit, Embedder, SearchFilters, SearchRequest, SearchResults

EXCERPT = 320


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 1000), help="Results to show.")
@click.option("--source", multiple=True, help="Only from this source, such as `infores:pubmed` or `pubmed`.")
@click.option("--since", type=click.IntRange(0, 9999), metavar="YEAR", help="Only of this year or later.")
@click.option("--until", type=click.IntRange(0, 9999), metavar="YEAR", help="Only of this year or earlier.")
@click.option("--language", multiple=True, help="Only in this language, such as `en`.")
@click.option("--phase", multiple=True, help="Only studies of this phase, such as `2` or `PHASE2`.")
@click.option("--synthetic/--no-synthetic", default=None, help="Only invented documents, or none of them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def search(settings: Settings, /, query: tuple[str, ...], limit: int, as_json: bool, **chosen: Any) -> None:
    """Search the index for documents by the words of QUERY.

    Words rank; a phrase in double quotes has to be there, what follows a minus must not, and of words joined
    by OR one has to. Your shell wants them in quotes of its own: medkg search -- '"lung cancer" -mice'.
    """
    from medkg_dagster.stage_api import SearchRequest

    text = " ".join(query)
    request = SearchRequest(text, limit=limit, filters=_filters(**chosen))
    embedder, results = find_documents(settings, request)
    if as_json:
        echo_json(
            {
                "query": text,
                "embedding_model": embedder.model if embedder else None,
                "total": results.total,
                "unknown": results.unknown,
                "hits": [hit.to_json() for hit in results.hits],
            }
        )
        return
    for number, hit in enumerate(results.hits, start=1):
        _print_hit(number, hit)
    _print_total(text, results, embedder)


def _filters(
    *, source: Sequence[str], language: Sequence[str], phase: Sequence[str], **others: Any
) -> SearchFilters:
    """Return the filters that are chosen, by the names that people use."""
    from medkg_dagster.stage_api import SearchFilters

    return SearchFilters(
        sources=frozenset(name if ":" in name else f"infores:{name}" for name in source),
        languages=frozenset(map(str.lower, language)),
        phases=frozenset(f"PHASE{name}" if name.isdigit() else name.upper() for name in phase),
        **others,
    )


def find_documents(settings: Settings, request: SearchRequest) -> tuple[Embedder | None, SearchResults]:
    """Embed a request with the index's own model and search.

    Vectors that mean shared words find nothing that words do not, so that they are not looked at. Where the
    model cannot be opened, it says so and searches words only.

    Returns:
        The embedder, None where it was not used, and what was found.

    Raises:
        StoreError: There is no index, or it is empty.
    """
    home = settings.home
    require_store(home, INDEX_FILE)
    from medkg_dagster.stage_api import ExtensionKind

    extensions = load_extensions(settings)
    with closing(extensions.find(ExtensionKind.INDEX_STORE, "sqlite").open({}, home)) as store:
        embedder = _embedder(extensions, store.embedding_model(), home)
        if embedder is not None:
            request = replace(request, vector=embedder.embed([request.text])[0])
        results = store.search(request)
        if not results.hits and not store.held():
            raise StoreError(nothing_in(home))
        return embedder, results


def _embedder(extensions: ExtensionRegistry, model: str | None, home: Path) -> Embedder | None:
    """Open what made the vectors of an index; None where there are none, or closeness means shared words."""
    from medkg_dagster.stage_api._extensions import open_embedder

    if model is None:
        return None
    try:
        embedder = open_embedder(extensions, model, home)
    except MedkgError as error:
        click.echo(f"medkg: searching words only, the query has no vector: {error}", err=True)
        return None
    return None if embedder.lexical else embedder


def _print_hit(number: int, hit: DocumentHit) -> None:
    document, passage = hit.document, hit.passage
    title = highlight(one_line(document.title) or "(untitled)", words_at(document.title, hit.title_marks))
    click.echo(f"{number}. {click.style(title, bold=True)}")
    parts = (document.id, document.date or "", passage.section, "synthetic" if document.synthetic else "")
    place = " · ".join(filter(None, map(one_line, parts)))
    link = f"  {one_line(document.url)}" if document.url else ""
    click.echo(f"   {click.style(place + link, dim=True)}")
    shown = paragraph(excerpt(passage.text, hit.marks, EXCERPT))
    click.echo(highlight(shown, words_at(passage.text, hit.marks)))
    click.echo()


def _print_total(text: str, results: SearchResults, embedder: Embedder | None) -> None:
    if not results.hits:
        click.echo(f"nothing found for {text!r}; try fewer or other words")
    if results.unknown:
        click.echo(f"no document has {', '.join(map(repr, results.unknown))}")
    shown, of = len(results.hits), max(results.total, len(results.hits))
    click.echo(f"{shown} of {counted(of, 'document')}; {_describe_vectors(embedder)}")


def _describe_vectors(embedder: Embedder | None) -> str:
    if embedder is None:
        return "words only"
    return f"words and vectors of {embedder.model.partition(':')[0]}"
