"""Whether ledger, index, graph, vocabulary and the state between stages can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from medkg_dagster.cli.doctor.finding import Finding, fine, note, wrong
from medkg_dagster.errors import MedkgError, counted
from medkg_dagster.settings import GRAPH_FILE, INDEX_FILE, Settings

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
    from medkg_dagster.query.opened import load_extensions
    from medkg_dagster.stage_api import ExtensionKind

    for name, kind, extension, file in (
        ("index", ExtensionKind.INDEX_STORE, "sqlite", INDEX_FILE),
        ("graph", ExtensionKind.GRAPH_STORE, "sql", GRAPH_FILE),
    ):
        path = settings.home / file
        if not path.is_file():
            yield note(name, "there is none yet", "`medkg run auto` makes one")
            continue
        try:
            store = load_extensions(settings).find(kind, extension).open({}, settings.home)
            with closing(store):
                store.held_versions("")
        except MedkgError as error:
            yield wrong(name, str(error))
        else:
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
