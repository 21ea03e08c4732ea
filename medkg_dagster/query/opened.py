"""The stores of a home, opened when they are first asked for, and what is to be left out of every answer."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from medkg_dagster.errors import ConfigError, QueryError, StoreError
from medkg_dagster.query.answers import DocumentRef
from medkg_dagster.query.readable import GraphReader, ReadableGraph, ReadableIndex
from medkg_dagster.query.selection import check_text
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.domain.holdings import KnownDocument
    from medkg_dagster.ledger import JobLedger
    from medkg_dagster.registry import ExtensionRegistry
    from medkg_dagster.runtime.state.shards import ShardStore
    from medkg_dagster.stage_api import Embedder, ExtensionKind, Reranker
    from medkg_dagster.stage_api._default_stores import DefaultStore
    from medkg_dagster.vocabulary.artefact import VocabularyArtefact


class OpenedStores:
    """What a home has: ledger, graph, index, vocabulary, state.

    Each is opened at its first use, by whichever thread, and stays open until `close`.

    Args:
        settings: Says where they are.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._closing = ExitStack()
        self._lock = RLock()
        self._graph: ReadableGraph | None = None
        self._index: ReadableIndex | None = None
        self._embedder: tuple[str, Embedder] | None = None
        self._vocabulary: tuple[str | None, VocabularyArtefact | None] = (None, None)

    def close(self) -> None:
        """Release files and connections."""
        self._closing.close()

    @property
    def home(self) -> Path:
        """The folder for all data."""
        return self.settings.home

    @cached_property
    def extensions(self) -> ExtensionRegistry:
        """The extensions that the deployment lets in."""
        return load_extensions(self.settings)

    @cached_property
    def _ledger(self) -> JobLedger | None:
        from medkg_dagster.ledger import JobLedger

        if not JobLedger.exists(self.settings):
            return None
        return self._closing.enter_context(JobLedger.of(self.settings))

    @property
    def ledger(self) -> JobLedger | None:
        """The ledger; None where there is none, then nothing is known of where documents stand."""
        with self._lock:
            return self._ledger

    @contextmanager
    def graph(self) -> Iterator[tuple[GraphReader, frozenset[str]]]:
        """Open the graph in one consistent state.

        Yields:
            The graph, and those of its documents that are not to be shown.

        Raises:
            StoreError: There is none yet, or it cannot be read.
        """
        graph, hidden = self._graph_store(), self.hidden()
        with graph.reading() as reader:
            yield reader, reader.held(hidden)

    def graph_version(self) -> str:
        """Return what changes when the graph does, or what of it is to be shown.

        Raises:
            StoreError: There is none yet, or it cannot be read.
        """
        hidden = self.hidden()
        held = sorted(item for item in self._graph_store().held().items() if item[0] not in hidden)
        return hashlib.sha256(repr(held).encode()).hexdigest()

    def _graph_store(self) -> ReadableGraph:
        with self._lock:
            if self._graph is None:
                self._graph = self._opened("GRAPH_STORE")
            return self._graph

    def index(self) -> ReadableIndex:
        """Return the index store.

        Raises:
            StoreError: There is none yet, or it cannot be opened.
        """
        with self._lock:
            if self._index is None:
                self._index = self._opened("INDEX_STORE")
            return self._index

    def embedder(self, model: str) -> Embedder:
        """Return what makes vectors as the index has them; it is kept, since models take long to open.

        Args:
            model: What the index says of its vectors.

        Raises:
            ConfigError: It is not installed or cannot be opened.
        """
        from medkg_dagster.stage_api._extensions import open_embedder

        with self._lock:
            if self._embedder is None or self._embedder[0] != model:
                self._embedder = model, open_embedder(self.extensions, model, self.home)
            return self._embedder[1]

    @cached_property
    def _reranker(self) -> Reranker:
        from medkg_dagster.stage_api import ExtensionKind
        from medkg_dagster.stage_api._extensions import named_with_parameters

        written = self.settings.reranker or ""
        try:
            name, parameters = named_with_parameters(written)
        except ValueError as error:
            raise ConfigError(
                f'MEDKG_RERANKER is {written!r}: {error}; write name:{{"parameter": value}}, or unset it'
            ) from error
        opened: Reranker = self.extensions.find(ExtensionKind.RERANKER, name).open(parameters, self.home)
        return opened

    def reranker(self) -> Reranker | None:
        """Return what reranks the best documents; None where the deployment has nothing for that.

        Raises:
            ConfigError: It is not installed or cannot be opened.
        """
        with self._lock:
            return self._reranker if self.settings.reranker else None

    def vocabulary(self) -> VocabularyArtefact | None:
        """Return the vocabulary of the home; None where none was built.

        Raises:
            VocabularyError: It cannot be opened.
        """
        from medkg_dagster.vocabulary.library import VocabularyLibrary

        with self._lock:
            library = VocabularyLibrary(self.home)
            version = library.current_version()
            if version != self._vocabulary[0]:
                found = None if version is None else library.opened(version)
                if found is not None:
                    self._closing.callback(found.close)
                self._vocabulary = version, found
            return self._vocabulary[1]

    @cached_property
    def shards(self) -> ShardStore:
        """What stages made of documents."""
        from medkg_dagster.runtime.state.shards import ShardStore

        return ShardStore(self.home / "shards")

    def kinds_of(self, curie: str) -> frozenset[str]:
        """Return a concept with all that the vocabulary knows to be of its kind, by all of their CURIEs.

        Raises:
            VocabularyError: It cannot be opened.
        """
        vocabulary = self.vocabulary()
        number = None if vocabulary is None else vocabulary.number_of(curie)
        if vocabulary is None or number is None:
            return frozenset({curie})
        things = map(vocabulary.thing, vocabulary.descendants(number))
        return frozenset({curie, *(name for thing in things for name in (thing.curie, *thing.equivalents))})

    def hidden(self) -> frozenset[str]:
        """Return the documents that are not to be shown: those that the ledger knows as not current."""
        ledger = self.ledger
        return frozenset() if ledger is None else ledger.documents.not_current()

    def of_job(self, job: str | None) -> frozenset[str] | None:
        """Return the documents that a job asked for last; None where none is named.

        Raises:
            QueryError: There is no ledger.
            UnknownJobError: There is no such job, or several.
        """
        if job is None:
            return None
        ledger, job = self.ledger, check_text("job", job)
        if ledger is None:
            raise QueryError(
                f"there is no ledger in {self.home}, so no job {job[:80]!r}; leave that filter out"
            )
        return ledger.documents.of_job(ledger.jobs.find(job).key)

    def known(self, documents: Collection[str]) -> Mapping[str, KnownDocument]:
        """Return what the ledger knows of documents."""
        ledger = self.ledger
        return {} if ledger is None or not documents else ledger.documents.known(sorted(documents))

    def references(self, documents: Collection[str]) -> dict[str, DocumentRef]:
        """Return what is to be told of documents wherever something is found in them."""
        found = {name: DocumentRef(id=name) for name in documents}
        for name, known in self.known(documents).items():
            found[name] = DocumentRef.model_validate(
                {field: getattr(known, field) for field in DocumentRef.model_fields}
            )
        return found

    def has(self, kind: str) -> bool:
        """Say whether there is an `INDEX_STORE` or a `GRAPH_STORE` to be asked, without making one."""
        from medkg_dagster.stage_api import ExtensionKind

        return has_store(self.settings, ExtensionKind[kind])

    def _opened(self, kind: str) -> Any:
        from medkg_dagster.stage_api import ExtensionKind

        store = open_store(self.settings, ExtensionKind[kind], self.extensions)
        self._closing.callback(store.close)
        return store


def has_store(settings: Settings, kind: ExtensionKind) -> bool:
    """Say whether a deployment has an index or a graph, without making one; a database always has."""
    file = store_of(settings, kind).file
    return file is None or (settings.home / file).is_file()


def store_of(settings: Settings, kind: ExtensionKind) -> DefaultStore:
    """Return which index or graph is a deployment's own."""
    from medkg_dagster.stage_api._default_stores import default_store

    return default_store(kind, in_database=settings.database_url is not None)


def open_store(settings: Settings, kind: ExtensionKind, extensions: ExtensionRegistry | None = None) -> Any:
    """Open the index or the graph of a deployment.

    Raises:
        StoreError: There is none yet, or it cannot be opened.
    """
    if not has_store(settings, kind):
        raise StoreError(nothing_in(settings.home))
    store = store_of(settings, kind)
    found = (extensions or load_extensions(settings)).find(kind, store.name)
    return found.open(dict(store.parameters), settings.home)


def load_extensions(settings: Settings) -> ExtensionRegistry:
    """Return the extensions that the deployment lets in."""
    from medkg_dagster.registry import ExtensionRegistry
    from medkg_dagster.topology.plugins_file import load_plugin_policy

    policy = load_plugin_policy(settings.config, enabled=settings.plugins).policy
    return ExtensionRegistry(policy)


def nothing_in(home: Path) -> str:
    """Return what to say of a home without data, and what to do."""
    return f"nothing indexed yet in {home}; run `make demo` or `medkg run auto`, or set MEDKG_HOME"
