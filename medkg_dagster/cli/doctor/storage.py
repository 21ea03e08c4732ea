"""Whether ledger, index, graph, vocabulary and the state between stages can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from medkg_dagster.cli.doctor.finding import Finding, fine, note, wrong
from medkg_dagster.errors import MedkgError, counted
from medkg_dagster.settings import DATABASE_VARIABLE, Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger.figures import LedgerSummary


def look_at_ledger(settings: Settings) -> tuple[Finding, LedgerSummary | None]:
    """Return whether the ledger can be read, and what it knows; None where there is nothing to know."""
    from medkg_dagster.ledger import JobLedger

    try:
        if not JobLedger.exists(settings):
            return note("ledger", "there is none yet", "`medkg run auto` makes one"), None
        with JobLedger.of(settings) as book:
            place, known = book.place, book.figures.summary()
    except MedkgError as error:
        return wrong("ledger", str(error)), None
    by_status = ", ".join(f"{count} {status}" for status, count in sorted(known.jobs.items()))
    jobs = counted(sum(known.jobs.values()), "job")
    return fine("ledger", f"{place}: {jobs}{f' ({by_status})' if by_status else ''}"), known


def look_at_stores(settings: Settings) -> Iterator[Finding]:
    """Yield whether the built-in stores, the vocabulary and the state can be read."""
    from medkg_dagster.query.opened import has_store, open_store, store_of
    from medkg_dagster.stage_api import ExtensionKind

    for name, kind in (("index", ExtensionKind.INDEX_STORE), ("graph", ExtensionKind.GRAPH_STORE)):
        if not has_store(settings, kind):
            yield note(name, "there is none yet", "`medkg run auto` makes one")
            continue
        try:
            with closing(open_store(settings, kind)) as store:
                store.held_versions("")
        except MedkgError as error:
            yield wrong(name, str(error))
            continue
        file = store_of(settings, kind).file
        if file is None:
            yield fine(name, f"in the database of {DATABASE_VARIABLE}")
        else:
            path = settings.home / file
            yield fine(name, f"{path}, {path.stat().st_size:,} bytes")
    yield _vocabulary(settings)
    yield _state(settings)


def _vocabulary(settings: Settings) -> Finding:
    from medkg_dagster.vocabulary.library import VocabularyLibrary

    try:
        current = VocabularyLibrary(settings.home).current()
    except MedkgError as error:
        return wrong("vocabulary", str(error))
    if current is None:
        return note(
            "vocabulary", "none is installed: the bundled sample is looked with", "`medkg vocab install open`"
        )
    with closing(current):
        return fine("vocabulary", f"version {current.version}")


def _state(settings: Settings) -> Finding:
    folders = [settings.home / name for name in ("state", "shards") if (settings.home / name).is_dir()]
    if not folders:
        return note("state", "there is none yet")
    try:
        found = sum(len(list(folder.iterdir())) for folder in folders)
    except OSError as error:
        return wrong("state", f"{error.filename}: {error.strerror}", f"`chmod u+rwX {error.filename}`")
    return fine("state", f"{', '.join(map(str, folders))}: {counted(found, 'entry', 'entries')}")
