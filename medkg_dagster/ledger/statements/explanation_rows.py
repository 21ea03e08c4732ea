"""Statements on why a document stands as it does, in the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from medkg_dagster.domain.holdings import (
    DocumentExplanation,
    DocumentStatus,
    Holding,
    StageVerdict,
    short_name,
)
from medkg_dagster.domain.identity import bare_identifier, by_rank, identify
from medkg_dagster.ledger.models import JobKey, StageStatus
from medkg_dagster.ledger.schema import (
    DOCUMENT_CHANGES,
    DOCUMENT_OUTCOMES,
    DOCUMENTS,
    HOLDINGS,
    IDENTIFIERS,
    LISTINGS,
)
from medkg_dagster.ledger.statements.document_rows import find_documents
from medkg_dagster.ledger.statements.holding_rows import list_holdings, of_items, requests_of
from medkg_dagster.ledger.statements.stage_rows import list_stage_runs
from medkg_dagster.ledger.statements.work_rows import work_of

MOST = 20
"""So many documents are explained at once; a file's name may be that of thousands."""


def find_subjects(connection: Connection, wanted: str) -> tuple[str, ...]:
    """Return what is meant: documents by id, identifier or file, else what a stage refused by that name."""
    if connection.scalar(select(DOCUMENTS.c.id).where(DOCUMENTS.c.id == wanted)) is not None:
        return (wanted,)
    if found := _with_identifiers(connection, identify(wanted, {})):
        return found
    of_path = and_(HOLDINGS.c.file == short_name(wanted), _ends_with(HOLDINGS.c.origin, wanted))
    columns = (HOLDINGS.c.document_id, HOLDINGS.c.item)
    # One after the other: of files of one name there may be as many as documents, and an index has all that
    # tells them apart only where nothing else is asked.
    rows = [
        row
        for named_so in (of_path, of_items(connection, [wanted]))
        for row in connection.execute(select(*columns).where(named_so).limit(MOST))
    ]
    if rows:
        return tuple(sorted({row.document_id or row.item for row in rows})[:MOST])
    refused = select(DOCUMENT_OUTCOMES.c.document_id).where(DOCUMENT_OUTCOMES.c.document_id == wanted)
    if connection.execute(refused.limit(1)).first():
        return (wanted,)
    return _with_identifiers(connection, bare_identifier(wanted)) or _of_gone_file(connection, wanted)


def find_named(connection: Connection, wanted: str) -> tuple[str, ...]:
    """Return the documents with an identifier, which may be without its scheme."""
    found = _with_identifiers(connection, identify(wanted, {}))
    return found or _with_identifiers(connection, bare_identifier(wanted))


def _with_identifiers(connection: Connection, named: Mapping[str, str]) -> tuple[str, ...]:
    one_of = [
        and_(IDENTIFIERS.c.scheme == scheme, IDENTIFIERS.c.value == value) for scheme, value in named.items()
    ]
    if not one_of:
        return ()
    own = select(IDENTIFIERS.c.document_id).where(or_(*one_of), IDENTIFIERS.c.is_own == 1)
    return tuple(sorted(set(connection.scalars(own.limit(MOST)))))


def _of_gone_file(connection: Connection, wanted: str) -> tuple[str, ...]:
    """Return documents whose file nothing lists any more; only those that were withdrawn are looked at."""
    is_gone = DOCUMENTS.c.status == DocumentStatus.WITHDRAWN.value
    path = "/" + wanted.lstrip("/")
    named = or_(DOCUMENTS.c.origin == wanted, _ends_with(DOCUMENTS.c.origin, path))
    return tuple(sorted(connection.scalars(select(DOCUMENTS.c.id).where(is_gone, named).limit(MOST))))


def _ends_with(column: ColumnElement[str], end: str) -> ColumnElement[bool]:
    return func.substr(column, func.length(column) - len(end) + 1) == end


def explain(connection: Connection, name: str) -> DocumentExplanation:
    """Return all that the ledger knows of a document, or of an item that was found to be none."""
    known = next(iter(find_documents(connection, [name])), None)
    holdings = list_holdings(connection, name)
    aliases = {name, *(holding.item for holding in holdings)}
    jobs = _jobs_of(connection, name, holdings)
    return DocumentExplanation(
        id=name,
        known=known,
        forms=tuple(form.id for form in by_rank(work_of(connection, name)) if form.id != name),
        holdings=holdings,
        stages=tuple(verdict for job in jobs for verdict in _verdicts(connection, job, aliases)),
    )


def _jobs_of(connection: Connection, name: str, holdings: Sequence[Holding]) -> list[JobKey]:
    """Return the jobs that asked last for what holds a document, and those that refused it before."""
    found: dict[JobKey, None] = {}
    held = select(HOLDINGS.c.pipeline, HOLDINGS.c.request).distinct()
    of_document = or_(
        HOLDINGS.c.document_id == name, of_items(connection, [holding.item for holding in holdings])
    )
    for row in connection.execute(held.where(of_document)):
        asked = and_(LISTINGS.c.pipeline == row.pipeline, LISTINGS.c.request == row.request)
        latest = select(LISTINGS).where(asked).order_by(LISTINGS.c.at.desc()).limit(1)
        found |= {JobKey(job.pipeline, job.job_id): None for job in connection.execute(latest)}
    columns = (DOCUMENT_OUTCOMES.c.pipeline, DOCUMENT_OUTCOMES.c.job_id)
    refused = select(*columns).where(DOCUMENT_OUTCOMES.c.document_id == name).distinct().limit(MOST)
    found |= {JobKey(row.pipeline, row.job_id): None for row in connection.execute(refused)}
    return list(found)


def _verdicts(connection: Connection, job: JobKey, aliases: Iterable[str]) -> list[StageVerdict]:
    """Return what each stage of a job made of a document last, in the order in which they began."""
    named = DOCUMENT_OUTCOMES.c.document_id.in_(list(aliases))
    of_job = and_(DOCUMENT_OUTCOMES.c.pipeline == job.pipeline, DOCUMENT_OUTCOMES.c.job_id == job.job_id)
    refused = {row.stage: row for row in connection.execute(select(DOCUMENT_OUTCOMES).where(of_job, named))}
    verdicts, is_aside = [], False
    for run in list_stage_runs(connection, job):
        row = refused.get(run.stage)
        outcome = "set aside" if row else "not reached" if is_aside else "done"
        if row is None and run.status is not StageStatus.FINISHED:
            outcome = run.status.value
        is_aside |= row is not None
        verdicts.append(
            StageVerdict(
                pipeline=job.pipeline,
                job_id=job.job_id,
                stage=run.stage,
                outcome=outcome,
                message=None if row is None else row.message,
                at=run.finished_at,
            )
        )
    return verdicts


def left_to_others(connection: Connection, job: JobKey, since: str) -> dict[JobKey, int]:
    """Return by job of how many documents its form came to be used since a time, and no other job's is."""
    table = DOCUMENT_CHANGES
    is_current = (DOCUMENTS.c.status == DocumentStatus.CURRENT.value) & (table.c.change != "new")
    changed = select(DOCUMENTS.c.id, DOCUMENTS.c.used).join(table, DOCUMENTS.c.id == table.c.document_id)
    rows = connection.execute(changed.where(table.c.at >= since, is_current).distinct()).all()
    own = requests_of(connection, job)
    left: Counter[JobKey] = Counter()
    for name, used in rows:
        if used is None or used.partition(".")[0] in own:
            continue
        held = [one for one in list_holdings(connection, name) if one.status is DocumentStatus.CURRENT]
        holders = {JobKey(one.pipeline, one.job_id) for one in held if one.job_id is not None}
        if holders and job not in holders:
            left[min(holders)] += 1
    return dict(left)
