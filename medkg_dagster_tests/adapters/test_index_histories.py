"""Whatever was written and taken out before, a search finds what it would find in an index made at once."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from medkg_dagster.adapters.index import segment_merge, segments, vectors
from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.stage_api import (
    Chunk,
    EmbeddingBatch,
    IndexedDocument,
    SearchFilters,
    SearchRequest,
    SearchResults,
)
from medkg_dagster_tests.adapters.index_places import Index, IndexPlace
from medkg_dagster_tests.adapters.test_sqlite_index import make_chunk
from medkg_dagster_tests.postgresql import new_schema

WORDS = ("tumour", "tumours", "lung", "PD-1", "PD1", "of", "cancer", "Nivolumab")
NAMES = tuple(f"PMID:{number}" for number in range(5))
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
contents = st.lists(texts, max_size=3)
operands = st.sampled_from((*WORDS, '"lung cancer"', '"tumours of"', "-lung", '-"PD-1"', "OR", '"', "absent"))
queries = st.lists(operands, min_size=1, max_size=5).map(" ".join)


def chunks_of(name: str, passages: Sequence[str]) -> list[Chunk]:
    return [make_chunk(text, name, repr(passages), place) for place, text in enumerate(passages)]


def batch_of(chunks: Sequence[Chunk]) -> EmbeddingBatch:
    """Vectors of whole numbers, so that no order of additions rounds them otherwise."""
    counts = np.array([[chunk.text.count(word) for word in WORDS] for chunk in chunks], np.float32).reshape(
        len(chunks), len(WORDS)
    )
    return EmbeddingBatch(tuple(chunk.id for chunk in chunks), counts, "counts:{}", lexical=False)


def write(index: Index, documents: Mapping[str, Sequence[str]], removed: Sequence[str] = ()) -> None:
    chunks = [chunk for name, passages in documents.items() for chunk in chunks_of(name, passages)]
    known = [
        IndexedDocument(id=name, title=f"Title of {name}", date=f"201{len(passages)}", phases=("PHASE2",))
        for name, passages in documents.items()
    ]
    hashes = {name: repr(passages) for name, passages in documents.items()}
    index.apply(hashes, removed, chunks, batch_of(chunks), known)


REQUESTS = [
    SearchRequest(text, vector, limit, filters=filters)
    for text in ("tumour lung", "PD-1 -cancer", '"lung cancer"', "lung OR Nivolumab", "title", "absent")
    for vector in (None, np.array([1, 0, 2, 0, 1, 0, 0, 3], np.float32))
    for limit in (2, 10)
    for filters in (SearchFilters(), SearchFilters(since=2012, phases=frozenset({"PHASE2"})))
]


class Histories(RuleBasedStateMachine):
    """An index that grows, compared with one in SQLite that is made at once."""

    folder: Path
    server: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.documents: dict[str, list[str]] = {}
        self.home = self.folder / str(len(list(self.folder.iterdir())))
        self.opened = ExitStack()
        url = None if self.server is None else self.opened.enter_context(new_schema(self.server))
        self.place = IndexPlace(self.home / "grown", url)
        self.index = self.place.open()
        write(self.index, {})
        self.checked = 0

    @rule(documents=st.dictionaries(st.sampled_from(NAMES), contents, min_size=1, max_size=3))
    def write_some(self, documents: dict[str, list[str]]) -> None:
        write(self.index, documents)
        self.documents |= documents

    @precondition(lambda self: self.documents)
    @rule(data=st.data())
    def take_out_some(self, data: st.DataObject) -> None:
        gone = data.draw(st.sets(st.sampled_from(sorted(self.documents)), min_size=1))
        write(self.index, {}, sorted(gone))
        for name in gone:
            del self.documents[name]

    @rule()
    def open_anew(self) -> None:
        self.index.close()
        self.index = self.place.open()

    @invariant()
    def finds_what_an_index_made_at_once_finds(self) -> None:
        self.checked += 1
        with closing(SqliteIndex(self.home / f"clean{self.checked}")) as clean:
            write(clean, dict(sorted(self.documents.items(), reverse=True)))
            assert dict(self.index.held()) == dict(clean.held())
            for request in REQUESTS:
                assert self.index.search(request) == clean.search(request)

    def teardown(self) -> None:
        self.index.close()
        self.opened.close()


@pytest.mark.parametrize(("at_once", "portion", "compared"), [(2, 3, 4), (8, 200_000, 4_000)])
def test_a_search_does_not_depend_on_what_was_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, portion: int, compared: int
) -> None:
    monkeypatch.setattr(vectors, "MOST_COMPARED", compared)
    monkeypatch.setattr(segments, "_MERGED_AT_ONCE", at_once)
    monkeypatch.setattr(segment_merge, "_AT_ONCE", portion)
    monkeypatch.setattr(segment_merge, "_VECTORS_AT_ONCE", portion)
    run_histories(tmp_path, None)


def test_postgresql_finds_what_sqlite_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_server: str
) -> None:
    monkeypatch.setattr(vectors, "MOST_COMPARED", 4)
    run_histories(tmp_path, postgresql_server, max_examples=2)


def run_histories(folder: Path, server: str | None, max_examples: int = 6) -> None:
    Histories.folder, Histories.server = folder, server
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=max_examples if settings().derandomize else 60, stateful_step_count=6, deadline=None
        ),
    )


def has(passages: Sequence[str], operand: str) -> bool:
    """Say whether a document has a word, or a phrase in one of its passages, as a reader would."""
    wanted = [plain(word) for word in operand.strip('"').split()]
    return any(
        [plain(word) for word in passage.split()][start : start + len(wanted)] == wanted
        for passage in passages
        for start in range(len(passage.split()))
    )


def plain(word: str) -> str:
    return word.lower().replace("-", "").removesuffix("s")


@settings(max_examples=40 if settings().derandomize else 400, deadline=None)
@given(
    documents=st.dictionaries(st.sampled_from(NAMES), st.lists(texts, min_size=1, max_size=3), min_size=1),
    wanted=st.lists(st.sampled_from([*WORDS[:5], "cancer"]), min_size=1, max_size=3),
    phrase=st.sampled_from([None, '"lung cancer"', '"tumour of"', '"PD-1"']),
    excluded=st.sampled_from([None, "lung", '"tumour cancer"', "PD-1"]),
)
def test_what_is_found_is_what_a_reader_would_find(
    tmp_path_factory: pytest.TempPathFactory,
    documents: dict[str, list[str]],
    wanted: list[str],
    phrase: str | None,
    excluded: str | None,
) -> None:
    text = " ".join(filter(None, [*wanted, phrase, excluded and f"-{excluded}"]))
    with closing(SqliteIndex(tmp_path_factory.mktemp("index"))) as index:
        write(index, documents)
        results: SearchResults = index.search(SearchRequest(text, limit=100))

    expected = {
        name
        for name, passages in documents.items()
        if any(has(passages, word) for word in (*wanted, *(phrase or "").strip('"').split()))
        and (phrase is None or has(passages, phrase))
        and (excluded is None or not has(passages, excluded))
    }
    assert {hit.document.id for hit in results.hits} == expected
    assert results.total == len(expected)
