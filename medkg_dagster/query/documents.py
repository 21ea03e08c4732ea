"""Documents that are current, and one of them with what is found in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkg_dagster.domain.graph_selection import EdgeSelection
from medkg_dagster.domain.holdings import DocumentStatus, KnownDocument
from medkg_dagster.errors import LedgerError, QueryError, counted
from medkg_dagster.query.answers import StatedClaim
from medkg_dagster.query.claims import check_document_id
from medkg_dagster.query.described import EdgeDescriber
from medkg_dagster.query.document_answers import (
    DocumentAnswer,
    DocumentPage,
    DocumentSummary,
    Mention,
    SectionRef,
)
from medkg_dagster.query.selection import MOST, check_limit, check_text
from medkg_dagster.query.texts import KeptText, read_text

if TYPE_CHECKING:
    from medkg_dagster.ledger import JobLedger
    from medkg_dagster.query.opened import OpenedStores

MOST_TEXT = 200_000
_LAST_CHARACTER = 1 << 40


def list_documents(
    stores: OpenedStores,
    *,
    text: str | None,
    source: str | None,
    job: str | None,
    limit: int,
    after: str | None,
) -> DocumentPage:
    """Return documents that are current; see `Stores.documents`."""
    check_limit("limit", limit)
    ledger = _ledger(stores)
    pipeline = job_id = None
    if job is not None:
        pipeline, job_id = ledger.jobs.find(check_text("job", job)).key
    origin = None if source is None else check_text("source", source)
    found = ledger.documents.list(
        status=DocumentStatus.CURRENT,
        text=None if text is None else check_text("text", text),
        source=origin if origin is None or ":" in origin else f"infores:{origin}",
        pipeline=pipeline,
        job_id=job_id,
        after=None if after is None else check_text("after", after),
        limit=limit + 1,
    )
    shown = found[:limit]
    is_more = len(found) > limit
    return DocumentPage(
        documents=tuple(map(_summary, shown)),
        next_after=shown[-1].id if is_more else None,
        cut=(f"there are more; ask again with after={shown[-1].id!r}",) if is_more else (),
    )


def show_document(
    stores: OpenedStores, document: str, text_start: int, text_limit: int, limit: int
) -> DocumentAnswer:
    """Return a document with what is found in it; see `Stores.document`."""
    check_limit("text_start", text_start, _LAST_CHARACTER, 0)
    check_limit("text_limit", text_limit, MOST_TEXT, 0)
    check_limit("limit", limit)
    known = _current(_ledger(stores), check_document_id(document))
    kept = read_text(stores, known)
    claims, cut = _claims(stores, known.id, limit)
    if isinstance(kept, str):
        return DocumentAnswer(document=_summary(known), claims=claims, cut=(kept, *cut))
    whole = kept.document.text
    text = whole[text_start : text_start + text_limit]
    if len(text) < len(whole):
        shown = f"of {counted(len(whole), 'character')} {len(text):,} are shown, from {text_start:,} on"
        cut.append(f"{shown}; ask with text_start and text_limit for others")
    mentions = _mentions(kept, text_start, text_start + text_limit)
    if len(mentions) > limit:
        cut.append(f"{counted(len(mentions) - limit, 'mention')} more; raise the limit, or ask for less text")
    if kept.misplaced:
        said = counted(kept.misplaced, "mention of an earlier text is", "mentions of an earlier text are")
        cut.append(f"{said} left out until its pipeline runs again")
    return DocumentAnswer(
        document=_summary(known),
        licence=kept.document.licence,
        authors=kept.document.authors[:MOST],
        text=text,
        text_start=text_start,
        characters=len(whole),
        sections=tuple(
            SectionRef(title=one.title, level=one.level, start=one.start, end=one.end)
            for one in kept.document.sections[:MOST]
        ),
        mentions=tuple(mentions[:limit]),
        claims=claims,
        cut=tuple(cut),
    )


def _ledger(stores: OpenedStores) -> JobLedger:
    if stores.ledger is None:
        raise LedgerError(f"there is no ledger yet in {stores.home}; run a pipeline, or set MEDKG_HOME")
    return stores.ledger


def _current(ledger: JobLedger, name: str) -> KnownDocument:
    """Return the document of an id, or of another identifier of it.

    Raises:
        QueryError: There is none that is current.
    """
    known = ledger.documents.known([name]).get(name)
    if known is None:
        others = ledger.documents.known(ledger.documents.named(name))
        current = [one for one in others.values() if one.status is DocumentStatus.CURRENT]
        known = next(iter(current or others.values()), None)
    if known is None:
        raise QueryError(f"there is no document {name[:80]!r}; list documents, or search for words")
    if known.status is not DocumentStatus.CURRENT:
        raise QueryError(
            f"document {known.id[:80]!r} is {known.status.value} and not shown; `medkg why` says why"
        )
    return known


def _summary(known: KnownDocument) -> DocumentSummary:
    return DocumentSummary(**{name: getattr(known, name) for name in DocumentSummary.model_fields})


def _claims(stores: OpenedStores, document: str, limit: int) -> tuple[tuple[StatedClaim, ...], list[str]]:
    if not stores.has("GRAPH_STORE"):
        return (), ["there is no graph yet, so no claim is shown"]
    with stores.graph() as (graph, hidden):
        of_document = EdgeSelection(documents=frozenset({document}), without=hidden)
        edges = graph.edges(of_document, limit + 1)
        shown = sorted(edges[:limit], key=lambda edge: (edge.start, edge.end, edge.id))
        describe = EdgeDescriber(graph, stores, shown)
    cut = ["there are more claims; raise the limit, or ask for the claims of the document"]
    return tuple(map(describe.claim, shown)), cut if len(edges) > limit else []


def _mentions(kept: KeptText, start: int, end: int) -> list[Mention]:
    """Return what is mentioned within some text, in order, then what structured fields name."""
    found = [
        one for one in kept.entities if one.start is None or (start <= one.start and (one.end or 0) <= end)
    ]
    found.sort(key=lambda one: (one.start is None, one.start or 0, one.end or 0, one.curie))
    return [Mention(**{name: getattr(one, name) for name in Mention.model_fields}) for one in found]
