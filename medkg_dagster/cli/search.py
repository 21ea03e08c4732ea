"""`medkg search`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import echo_json, highlight, one_line, paragraph
from medkg_dagster.domain.search import excerpt, words_at
from medkg_dagster.errors import counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.query import Hit, SearchAnswer

EXCERPT = 320


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option(
    "--by",
    type=click.Choice(["words", "hybrid"]),
    help="Rank by words alone, or by words and vectors; default: what measures best.",
)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 1000), help="Results to show.")
@click.option(
    "--source", "sources", multiple=True, help="Only from this source, such as `infores:pubmed` or `pubmed`."
)
@click.option("--since", type=click.IntRange(0, 9999), metavar="YEAR", help="Only of this year or later.")
@click.option("--until", type=click.IntRange(0, 9999), metavar="YEAR", help="Only of this year or earlier.")
@click.option("--language", "languages", multiple=True, help="Only in this language, such as `en`.")
@click.option("--phase", "phases", multiple=True, help="Only studies of this phase, such as `2` or `PHASE2`.")
@click.option("--job", help="Only documents of this ledger job, `job_id` or `pipeline/job_id`.")
@click.option("--concept", metavar="CURIE-OR-NAME", help="Only what speaks of this concept or a kind of it.")
@click.option("--synthetic/--no-synthetic", default=None, help="Only invented documents, or none of them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def search(
    settings: Settings,
    /,
    query: tuple[str, ...],
    by: str | None,
    limit: int,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Search the index for documents by the words of QUERY.

    Words rank; a phrase in double quotes has to be there, what follows a minus must not, and of words joined
    by OR one has to. Your shell wants them in quotes of its own: medkg search -- '"lung cancer" -mice'.
    """
    from medkg_dagster.query import SearchFilter, Stores

    with Stores(settings) as stores:
        found = stores.search(" ".join(query), which=SearchFilter(**chosen), by=by, limit=limit)
    if as_json:
        echo_json(found.model_dump(mode="json"))
        return
    for number, hit in enumerate(found.hits, start=1):
        _print_hit(number, hit)
    _print_total(found)


def _print_hit(number: int, hit: Hit) -> None:
    document, passage = hit.document, hit.passage
    title = highlight(one_line(document.title) or "(untitled)", words_at(document.title, hit.title_marks))
    click.echo(f"{number}. {click.style(title, bold=True)}")
    parts = (document.id, document.date or "", passage.section, "synthetic" if document.synthetic else "")
    place = " · ".join(filter(None, map(one_line, parts)))
    link = f"  {one_line(document.url)}" if document.url else ""
    click.echo(f"   {click.style(place + link, dim=True)}")
    shown = paragraph(excerpt(passage.text, hit.passage.marks, EXCERPT))
    click.echo(highlight(shown, words_at(passage.text, hit.passage.marks)))
    if hit.concepts:
        named = ", ".join(one_line(one.name) for one in hit.concepts)
        more = hit.concept_count - len(hit.concepts)
        told = f"mentions {named}" + (f" and {more:,} more" if more else "")
        click.echo(click.style(paragraph(told), dim=True))
    click.echo()


def _print_total(found: SearchAnswer) -> None:
    if not found.hits:
        click.echo(f"nothing found for {found.query!r}; try fewer or other words")
    if found.unknown:
        click.echo(f"no document has {', '.join(map(repr, map(one_line, found.unknown)))}")
    is_cut = bool(found.hits) and found.total > len(found.hits)  # what the line below says too, stands last
    for line in found.cut[: len(found.cut) - is_cut]:
        click.echo(f"medkg: {line}", err=True)
    by = (
        "words"
        if found.embedding_model is None
        else f"words and vectors of {found.embedding_model.partition(':')[0]}"
    )
    by += f", {found.reranked} reranked" if found.reranked else ""
    click.echo(f"{len(found.hits)} of {counted(found.total, 'document')}, by {by}")
