"""A home made by hand: a few documents in ledger, graph, index and state, as runs leave them."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from medkg_dagster.domain.chunks import index_hashes
from medkg_dagster.domain.holdings import ListedItem, Listing, ParsedDocument
from medkg_dagster.domain.identity import identify
from medkg_dagster.domain.job_ids import file_name
from medkg_dagster.domain.search import IndexedDocument
from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.runtime.state.archives import EXTENSION, archive_state
from medkg_dagster.runtime.state.shards import ShardStore
from medkg_dagster.stage_api import (
    Chunk,
    Document,
    DocumentValues,
    Edge,
    EmbeddingBatch,
    Entity,
    ExtensionKind,
    MemoryPart,
    Node,
    Section,
    chunk_id,
    hash_content,
)

PIPELINE = "auto"
DRUG = Node(id="DRUGBANK:1", name="Dabrafenib", category=("biolink:Drug",), synonyms=("Tafinlar",))
DISEASE = Node(id="MESH:1", name="Melanoma", category=("biolink:Disease",), equivalents=("MONDO:1",))
RECEPTOR = Node(id="HGNC:1", name="Programmed Cell Death 1", category=("biolink:Gene",), synonyms=("PD-1",))
EFFECT = Node(id="HP:1", name="Colitis", category=("biolink:PhenotypicFeature",))
CONCEPTS = {node.id: node for node in (DRUG, DISEASE, RECEPTOR, EFFECT)}


@dataclass(frozen=True)
class Said:
    """What a document says.

    Attributes:
        subject: CURIE of the subject.
        predicate: The predicate, without `biolink:`.
        object: CURIE of the object.
        sentence: The sentence; it is part of the text.
        negated: Whether it is denied.
        certainty: How sure the document is of it.
        background: Whether it is told as known before.
    """

    subject: str
    predicate: str
    object: str
    sentence: str
    negated: bool = False
    certainty: str = "asserted"
    background: bool = False


@dataclass(frozen=True)
class Written:
    """A document.

    Attributes:
        id: Its id.
        said: What it says.
        synthetic: Whether it is invented.
        job: The job that asks for it.
    """

    id: str
    said: tuple[Said, ...]
    synthetic: bool = False
    job: str = "default"

    @property
    def text(self) -> str:
        return " ".join(dict.fromkeys(one.sentence for one in self.said)) or "Nothing."

    @property
    def title(self) -> str:
        return f"Title of {self.id}"

    @property
    def url(self) -> str:
        return f"https://pubmed.ncbi.nlm.nih.gov/{self.id[5:]}/"

    @property
    def content_hash(self) -> str:
        return hash_content(self.title, self.text)

    @property
    def document(self) -> Document:
        section = Section(title="Results", start=0, end=len(self.text), blocks=())
        return Document(
            id=self.id,
            source="infores:pubmed",
            identifiers=identify(self.id, {}),
            title=self.title,
            text=self.text,
            sections=(section,),
            content_hash=self.content_hash,
            licence="CC0",
            synthetic=self.synthetic,
        )

    @property
    def node(self) -> Node:
        kinds = ("biolink:Publication",)
        return Node(
            id=self.id, name=self.title, category=kinds, document_id=self.id, synthetic=self.synthetic
        )

    @property
    def edges(self) -> list[Edge]:
        return [self._edge(number, one) for number, one in enumerate(self.said)] + [
            self._edge(number, Said(self.id, "mentions", curie, self.said[0].sentence))
            for number, curie in enumerate(self.concepts, start=len(self.said))
        ]

    @property
    def concepts(self) -> Sequence[str]:
        return sorted({end for one in self.said for end in (one.subject, one.object)})

    @property
    def entities(self) -> tuple[Entity, ...]:
        nodes = [CONCEPTS[curie] for curie in self.concepts]
        found = [(node, self.text.find(node.name)) for node in nodes]
        return tuple(
            Entity(
                document_id=self.id,
                curie=node.id,
                name=node.name,
                category=node.category[0],
                surface=node.name,
                start=place,
                end=place + len(node.name),
                method="dictionary",
            )
            for node, place in found
            if place >= 0
        )

    def _edge(self, number: int, one: Said) -> Edge:
        start = self.text.index(one.sentence)
        return Edge.model_validate(
            {
                "id": f"{self.id}#{number}",
                "subject": one.subject,
                "predicate": f"biolink:{one.predicate}",
                "object": one.object,
                "negated": one.negated,
                "certainty": one.certainty,
                "background": one.background,
                "primary_knowledge_source": "infores:medkg",
                "knowledge_level": "not_provided",
                "agent_type": "text_mining_agent",
                "publications": (self.id,),
                "supporting_text": one.sentence,
                "document_id": self.id,
                "document_hash": self.content_hash,
                "start": start,
                "end": start + len(one.sentence),
                "synthetic": self.synthetic,
                "data_source": "infores:pubmed",
                "licence": "CC0",
            }
        )


TREATS = Said("DRUGBANK:1", "treats", "MESH:1", "Dabrafenib helps in Melanoma.")
DENIES = Said("DRUGBANK:1", "treats", "MESH:1", "Dabrafenib does not help in Melanoma.", negated=True)
CAUSES = Said("DRUGBANK:1", "causes", "HP:1", "Dabrafenib may cause Colitis.", certainty="possible")
BLOCKS = Said("HGNC:1", "associated_with", "MESH:1", "PD-1 is found in Melanoma.", background=True)
FIRST = Written("PMID:1", (TREATS, CAUSES))
SECOND = Written("PMID:2", (TREATS, DENIES), job="other")
THIRD = Written("PMID:3", (BLOCKS,), synthetic=True)
DOCUMENTS = (FIRST, SECOND, THIRD)


def make_home(home: Path, documents: Iterable[Written] = DOCUMENTS) -> Path:
    """Write documents into the stores of a home."""
    home.mkdir(parents=True, exist_ok=True)
    written = list(documents)
    for job in sorted({one.job for one in written}):
        of_job = [one for one in written if one.job == job]
        with JobLedger.open(home) as ledger:
            list_documents(ledger, job, of_job)
        keep_state(home, job, of_job)
    with closing(ExtensionRegistry().find(ExtensionKind.GRAPH_STORE, "sql").open({}, home)) as store:
        nodes = {one.id: [*CONCEPTS.values(), one.node] for one in written}
        store.upsert([one.id for one in written], nodes, [edge for one in written for edge in one.edges])
    index(home, written)
    return home


def list_documents(ledger: JobLedger, job: str, documents: Sequence[Written]) -> None:
    """Let a job of the pipeline hold some documents, and no others."""
    key = ledger.jobs.ensure(JobKey(PIPELINE, job), actor="test").key
    items = tuple(ListedItem(id=one.id, origin=f"papers/{one.id}.xml", content_hash="h") for one in documents)
    parsed = [
        ParsedDocument(
            item=one.id,
            item_hash="h",
            id=one.id,
            title=one.title,
            source="infores:pubmed",
            url=one.url,
            content_hash=one.content_hash,
            synthetic=one.synthetic,
            identifiers=identify(one.id, {}),
        )
        for one in documents
    ]
    listing = Listing(stage="ingest", source="files", parameters={"path": job}, items=items, is_full=True)
    ledger.documents.record_listing(key, listing)
    ledger.documents.record_documents(PIPELINE, parsed)


def keep_state(home: Path, job: str, documents: Sequence[Written]) -> None:
    """Store texts and mentions as the stages `parse` and `extract` do."""
    types = {"document": tuple[Document, ...], "entities": tuple[Entity, ...]}
    memo = ShardStore(home / "shards").memo("made", types)
    for stage, key in (("parse", "document"), ("extract", "entities")):
        parts = [
            memo.keep_part(MemoryPart(one.id, key, value, types[key]))
            for one in documents
            for value in ((one.document,) if key == "document" else one.entities,)
        ]
        memo.close()
        content = archive_state({key: DocumentValues(parts, types[key])}, types)
        write_atomically(home / "state" / PIPELINE / stage / f"{file_name(job)}{EXTENSION}", content)


def index(home: Path, documents: Sequence[Written]) -> None:
    """Index the text of each document as one chunk."""
    chunks = tuple(
        Chunk(
            id=chunk_id(one.id, one.content_hash, 0, len(one.text)),
            document_id=one.id,
            document_hash=one.content_hash,
            title=one.title,
            section="Results",
            ordinal=0,
            start=0,
            end=len(one.text),
            text=one.text,
            synthetic=one.synthetic,
        )
        for one in documents
    )
    embedder = ExtensionRegistry().find(ExtensionKind.EMBEDDER, "hashing").open({}, home)
    vectors = embedder.embed([chunk.text for chunk in chunks])
    batch = EmbeddingBatch(tuple(chunk.id for chunk in chunks), vectors, embedder.model, embedder.lexical)
    with closing(ExtensionRegistry().find(ExtensionKind.INDEX_STORE, "sqlite").open({}, home)) as store:
        store.apply(
            index_hashes([one.id for one in documents], chunks, batch),
            (),
            chunks,
            batch,
            [
                IndexedDocument(
                    id=one.id, title=one.title, source="infores:pubmed", url=one.url, synthetic=one.synthetic
                )
                for one in documents
            ],
        )
