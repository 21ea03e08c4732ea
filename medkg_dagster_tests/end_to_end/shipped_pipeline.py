"""The shipped pipeline `auto` in this process, on folders of articles, and what its stores hold."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from dagster import ExecuteInProcessResult, JobDefinition

from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.adapters.index.segment import END_OF_PASSAGE, IS_JOINED
from medkg_dagster.adapters.index.segments import FOLDER_NAME, Segments
from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.ledger import JobKey, JobLedger, RunIdentity, RunSelection
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.runtime.isolation.document_workers import DocumentWorkers
from medkg_dagster.runtime.isolation.invoke_isolated import start_message
from medkg_dagster.runtime.isolation.kept_processes import KeptProcesses
from medkg_dagster.runtime.isolation.messages import Start
from medkg_dagster.runtime.state.archives import archive_state, read_archive, shards_of
from medkg_dagster.runtime.state.batch_memo import BatchMemo
from medkg_dagster.runtime.state.memo import MemoEngine
from medkg_dagster.runtime.state.shards import ShardStore
from medkg_dagster.runtime.step import StepRunner
from medkg_dagster.runtime.step_record import StepRecord
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import StageContext, SubprocessIsolation
from medkg_dagster.stage_api._document_loop import DocumentEngine, InOrder
from medkg_dagster_tests.compiler.deployment import instance_in_memory

LOG = logging.getLogger("test")
LIMITS = SubprocessIsolation()
CONFIG = Path(__file__).parent.parent.parent / "config"
SENTENCES = (
    "Nivolumab improved survival in patients with melanoma.",
    "Vemurafenib was associated with colitis in adults with melanoma.",
    "Metformin reduced mortality in patients with diabetes mellitus.",
    "Ipilimumab treats melanoma, and colitis was a frequent adverse event.",
)
_HASH = "substr(input_hash, instr(input_hash, ':') + 1)"
"""What was made of a document, whoever held it."""
INDEX_ROWS = (
    f"SELECT id, {_HASH} FROM documents ORDER BY id",
    "SELECT id, document_id, document_hash, title, section, ordinal, text FROM chunks ORDER BY id",
)
GRAPH_ROWS = (
    *(f"SELECT * FROM {table} ORDER BY 1, 2" for table in ("nodes", "node_contributions", "edges")),
    f"SELECT id, {_HASH} FROM graph_documents ORDER BY id",
)

Rows = list[list[tuple[Any, ...]]]


def article(number: int, version: int = 0, *, retracted: bool = False, doi: str | None = None) -> str:
    """Return a PubMed record; another version says something else."""
    location = "" if doi is None else f"<ELocationID EIdType='doi'>{doi}</ELocationID>"
    kind = "Retracted Publication" if retracted else "Journal Article"
    said = SENTENCES[(number + version) % len(SENTENCES)]
    return (
        f"<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>{number}</PMID><Article>"
        f"<ArticleTitle>Article {number}, version {version}</ArticleTitle>{location}"
        f"<Abstract><AbstractText>{said} This is article {number}.</AbstractText></Abstract>"
        f"<PublicationTypeList><PublicationType>{kind}</PublicationType></PublicationTypeList>"
        "</Article></MedlineCitation></PubmedArticle></PubmedArticleSet>"
    )


def write_article(
    folder: Path, number: int, version: int = 0, *, retracted: bool = False, doi: str | None = None
) -> Path:
    """Write a PubMed record as a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{number}.xml"
    file.write_text(article(number, version, retracted=retracted, doi=doi))
    return file


def write_notice(folder: Path, number: int, retracts: int) -> Path:
    """Write the PubMed record of a notice, which says that another article was retracted."""
    file = write_article(folder, number)
    link = f"<CommentsCorrections RefType='RetractionOf'><PMID>{retracts}</PMID></CommentsCorrections>"
    said = f"<CommentsCorrectionsList>{link}</CommentsCorrectionsList></MedlineCitation>"
    file.write_text(file.read_text().replace("</MedlineCitation>", said))
    return file


def write_full_text(folder: Path, doi: str, *, pmid: int | None = None) -> Path:
    """Write an article in JATS that has a DOI alone, or a PMID, too, which is its id then."""
    known = "" if pmid is None else f"<article-id pub-id-type='pmid'>{pmid}</article-id>"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "full_text.xml"
    file.write_text(
        f"<article><front><article-meta><article-id pub-id-type='doi'>{doi}</article-id>{known}<title-group>"
        "<article-title>The whole article</article-title></title-group></article-meta></front>"
        f"<body><sec><title>Results</title><p>{' '.join(SENTENCES)}</p></sec></body></article>"
    )
    return file


@dataclass(frozen=True)
class AutoPipeline:
    """The pipeline, compiled once; each folder has data of its own."""

    job: JobDefinition
    folder: Path

    @classmethod
    def compiled(cls, home: Path) -> AutoPipeline:
        """Compile the shipped pipelines for a home."""
        factory = StageFactory.load_plugins()
        definitions = compile_plan(load_plan(CONFIG, factory), factory, Settings(home=home, config=CONFIG))
        return cls(definitions.resolve_job_def("auto"), home)

    def run(
        self, folder: Path, others: Mapping[str, Mapping[str, Any]] | None = None
    ) -> ExecuteInProcessResult:
        """Run it on a folder, other stages than `ingest` as they are configured here."""
        ingest = {"config": {"adapter": "files", "params": {"path": str(folder)}}}
        stages = {"ingest": ingest, **(others or {})}
        with instance_in_memory() as instance:
            return self.job.execute_in_process(
                run_config={"ops": {"auto__stages": {"ops": stages}}}, instance=instance
            )

    def graph(self) -> closing[SqlGraph]:
        """Open its graph."""
        return closing(SqlGraph(self.folder / "graph.sqlite"))

    def ledger(self) -> JobLedger:
        """Open its ledger."""
        return JobLedger.open(self.folder)

    def rows(self) -> Rows:
        """Return all that index and graph hold."""
        return rows_in(self.folder)


@cache
def shipped() -> tuple[StageFactory, PipelinePlan]:
    """Return the plan of the shipped pipeline `auto`."""
    factory = StageFactory.load_plugins()
    plan = load_plan(CONFIG, factory)
    return factory, next(pipeline for pipeline in plan.pipelines if pipeline.name == "auto")


class Home:
    """A data folder, and runs of the pipeline on it: every step as in a run of Dagster, without Dagster.

    Attributes:
        shards: By stage the names of the shards that the archive of the last run would need.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = JobLedger.open(folder)
        self.shards: dict[str, set[str]] = {}
        self._runs = 0

    def run(
        self,
        papers: Path,
        job_id: str = "default",
        *,
        configured: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        version: int = 0,
        workers: int = 0,
    ) -> None:
        """Run the steps on a folder, as a ledger job.

        Args:
            papers: The folder.
            job_id: The job.
            configured: By stage: its configuration, beside what the pipeline says.
            version: Of the stage types that work on documents.
            workers: In how many processes of their own documents are worked on; 0 for this one.
        """
        factory, plan = shipped()
        self._runs += 1
        run = RunIdentity(f"run {self._runs}", job_name="auto")
        job = self.ledger.jobs.ensure(JobKey("auto", job_id), actor="test")
        selection = RunSelection(frozenset(plan.stage_names), plan.downstream)
        states: dict[str, Mapping[str, Any]] = {}
        for planned in plan.stages:
            record = StepRecord(self.ledger, job, plan, planned.name, run, selection)
            record.begin()
            ctx = StageContext(
                *(plan.name, planned.name, job_id, self.folder, LOG),
                job=record.of_job,
                extensions=factory.extensions,
            )
            config = {"params": {"path": str(papers)}} if planned.name == "ingest" else {}
            config |= configured.get(planned.name, {})
            definition = planned.definition.model_copy(
                update={"config": {**planned.definition.config, **config}}
            )
            inputs = {wire.argument: states[wire.source][wire.state_key] for wire in planned.wires}
            runner = StepRunner(plan, planned, factory)
            inner: DocumentEngine = InOrder()
            if workers and planned.metadata.per_document:
                inner = _workers(workers, runner.child_arguments(definition, LIMITS))
            elif workers:
                arguments = partial(runner.child_arguments, definition, LIMITS)
                ctx.engine_of = lambda half, of=arguments: _workers(workers, of(half))
            contract = replace(planned.contract, version=f"{planned.contract.version}.{version}")
            known = replace(planned, contract=contract)
            shards = ShardStore(self.folder / "shards")
            engine = MemoEngine(shards, plan.name, known, definition.config, self.folder, inner)
            ctx.recall = engine.recall
            path = self.folder / "archives" / job_id / planned.name
            batches = BatchMemo(engine, path) if planned.metadata.per_document else None
            outcome = runner.call(definition, ctx, inputs, engine, batches)
            types = planned.metadata.state_types
            archive = archive_state(outcome.state, types, engine.account, path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive)
            record.finish(outcome, ctx)
            states[planned.name] = {
                key: read_archive(archive, key, types[key], shards) for key in outcome.state
            }
            self.shards[planned.name] = shards_of(path)

    def rows(self) -> Rows:
        """Return all that index and graph hold."""
        return rows_in(self.folder)

    def shown(self) -> set[str]:
        """Return the documents that index or graph hold."""
        found = {name for (name, _) in rows_of(self.folder / "index.sqlite", INDEX_ROWS[0])}
        return found | {name for (name, _) in rows_of(self.folder / "graph.sqlite", GRAPH_ROWS[-1])}


def _workers(number: int, arguments: Mapping[str, Any]) -> DocumentWorkers:
    def start(ctx: StageContext, inputs: Sequence[str]) -> Start:
        return start_message(**arguments, ctx=ctx, inputs=inputs)

    return DocumentWorkers(number, LIMITS, is_demanded=True, start=start, kept=KeptProcesses())


def rows_in(home: Path) -> Rows:
    """Return all that index and graph hold, by its meaning: without the numbers of rows."""
    rows = [
        rows_of(home / name, query)
        for name, queries in (("index.sqlite", INDEX_ROWS), ("graph.sqlite", GRAPH_ROWS))
        for query in queries
    ]
    return [*rows, vectors_in(home), terms_in(home)]


def vectors_in(home: Path) -> list[tuple[Any, ...]]:
    """Return the documents of the index that have passages, each with their vectors and the model."""
    segments = Segments(home / FOLDER_NAME)
    with closing(sqlite3.connect(home / "index.sqlite")) as connection:
        names = [name for (name,) in connection.execute("SELECT id FROM documents ORDER BY id")]
        found = segments.vectors(connection, names)
    return [
        (name, model, vectors.codes.tobytes() + vectors.scales.tobytes())
        for name, (model, vectors) in found.items()
    ]


def terms_in(home: Path) -> list[tuple[Any, ...]]:
    """Return the documents of the index that have passages, each with the terms of these in order."""
    segments = Segments(home / FOLDER_NAME)
    query = "SELECT id, segment, place FROM documents WHERE segment IS NOT NULL ORDER BY id"
    with closing(sqlite3.connect(home / "index.sqlite")) as connection:
        places = connection.execute(query).fetchall()
        opened = {each.number: each.segment for each in segments.snapshot(connection).segments}
    found = []
    for name, number, place in places:
        segment = opened[number]
        ((first, last),) = segment.token_spans(np.array([place]))
        tokens = segment.tokens[first:last]
        is_end, is_joined = tokens == END_OF_PASSAGE, tokens >= IS_JOINED
        terms = np.where(is_end, 0, segment.terms[np.where(is_end, 0, tokens & ~IS_JOINED)])
        found.append((name, terms.tobytes(), is_joined.tobytes()))
    return found


def rows_of(file: Path, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()
