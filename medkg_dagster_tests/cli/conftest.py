from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from medkg_dagster.cli import main
from medkg_dagster.ledger import JobLedger
from medkg_dagster.stage_api import (
    Chunk,
    Edge,
    EmbeddingBatch,
    ExtensionKind,
    Node,
    QuarantinedDocument,
    chunk_id,
    find_extension,
)

Medkg = Callable[..., Result]

TEXTS = {
    "PMID:1": ("Dabrafenib in melanoma", "Dabrafenib improved survival in melanoma with BRAF V600E."),
    "PMID:2": ("Nivolumab in lung cancer", "Nivolumab did not improve survival in this trial."),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def medkg(home: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Medkg:
    """Runs the console against that home and the shipped pipelines."""
    monkeypatch.setenv("MEDKG_HOME", str(home))
    monkeypatch.setenv("MEDKG_CONFIG", str(repository / "config"))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return run


@pytest.fixture
def ledger_home(home: Path) -> Path:
    """A home whose ledger holds one finished job and one that shares its id."""
    with JobLedger.open(home) as ledger:
        ledger.ensure_job("auto", "default", {"adapter": "files"}, actor="test")
        ledger.set_fields("auto", "default", {"pdf.pages": 3}, actor="ocr", reason="counted")
        bad = QuarantinedDocument("PMID:9", "parse", "UnreadableDocumentError", "truncated at byte 7")
        ledger.begin_stage("auto", "default", "parse", "r1")
        ledger.finish_stage("auto", "default", "parse", "r1", 2, 2, [bad], {"document": 2})
        ledger.begin_stage("auto", "default", "chunk", "r1")
        ledger.finish_stage("auto", "default", "chunk", "r1", 5, 2, (), {"chunks": 5})
        ledger.settle("auto", "default", ["parse", "chunk"])
        ledger.ensure_job("clinical-trials", "default", actor="test")
        ledger.ensure_job("clinical-trials", "melanoma/2026", actor="test")
    return home


@pytest.fixture
def indexed_home(home: Path) -> Path:
    """A home whose index holds two chunks."""
    index_texts(home)
    return home


def index_texts(home: Path, model: str | None = None) -> None:
    """Index the texts, their vectors said to be of the given model."""
    chunks = tuple(
        Chunk(
            id=chunk_id(document, "h", 0, len(text)),
            document_id=document,
            document_hash="h",
            title=title,
            section="Results",
            ordinal=0,
            start=0,
            end=len(text),
            text=text,
        )
        for document, (title, text) in TEXTS.items()
    )
    home.mkdir()
    embedder = find_extension(ExtensionKind.EMBEDDER, "hashing").open({}, home)
    vectors = embedder.embed([chunk.text for chunk in chunks])
    batch = EmbeddingBatch(
        tuple(chunk.id for chunk in chunks), vectors, model or embedder.model, embedder.lexical
    )
    with closing(find_extension(ExtensionKind.INDEX_STORE, "sqlite").open({}, home)) as store:
        store.upsert(chunks, batch)


@pytest.fixture
def graph_home(home: Path) -> Path:
    """A home whose graph holds a drug, two diseases of one name, and two edges, one of them negated."""
    nodes = [
        Node(id="MESH:C561627", name="dabrafenib", category=("biolink:Drug",)),
        Node(id="MESH:D008545", name="Melanoma", category=("biolink:Disease",)),
        Node(id="MONDO:0005105", name="melanoma", category=("biolink:Disease",)),
    ]
    edges = [
        Edge(
            id=f"edge-{number}",
            subject="MESH:C561627",
            predicate="biolink:treats",
            object=target,
            negated=negated,
            primary_knowledge_source="infores:pubmed",
            knowledge_level="knowledge_assertion",
            agent_type="text_mining_agent",
            publications=("PMID:1",),
            supporting_text=sentence,
            document_id="PMID:1",
            document_hash="h",
            start=0,
            end=len(sentence),
        )
        for number, (target, negated, sentence) in enumerate(
            [
                ("MESH:D008545", False, "Dabrafenib improved survival in melanoma."),
                ("MONDO:0005105", True, "Dabrafenib did not help."),
            ]
        )
    ]
    home.mkdir()
    with closing(find_extension(ExtensionKind.GRAPH_STORE, "sql").open({}, home)) as store:
        store.upsert(["PMID:1"], {"PMID:1": nodes}, edges)
    return home
