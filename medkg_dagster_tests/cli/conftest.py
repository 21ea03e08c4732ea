from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from medkg_dagster.cli import main
from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.ledger import GateApproach, GateRule, Job, JobKey, JobLedger, JobPhase
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import (
    Chunk,
    Edge,
    EmbeddingBatch,
    ExtensionKind,
    Node,
    QuarantinedDocument,
    chunk_id,
)
from medkg_dagster_tests.ledger.stage_histories import LedgerRun

Medkg = Callable[..., Result]

REVIEWED = """\
name: reviewed
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest}
  - {name: parse, type: parse, depends_on: [ingest]}
  - {name: gate_review, type: gate, depends_on: [parse]}
  - {name: ir_validation, type: ir-validation, depends_on: [gate_review]}
gates:
  - name: review
    description: A curator has looked at the documents.
    condition:
      clauses:
        - {field: review.approved, value: true}
        - {field: review.pages, operator: gte, value: 1}
        - {field: review.licence, operator: in, value: [CC0, CC-BY]}
      mode: any
      timeout_seconds: 3600
      poll_interval_seconds: 0.001
"""
FIRST = "reviewed"
BEHIND = "reviewed__after_review"
PIPELINE = ("ingest", "parse", "gate_review", "ir_validation")

TEXTS = {
    "PMID:1": ("Dabrafenib in melanoma", "Dabrafenib improved survival in melanoma with BRAF V600E."),
    "PMID:2": ("Nivolumab in lung cancer", "Nivolumab did not improve survival in this trial."),
}


@dataclass(frozen=True)
class ReviewedJob:
    """The job `reviewed/spring`, and what runs and sensors do with it."""

    ledger: JobLedger
    job_id: str = "spring"

    @property
    def key(self) -> JobKey:
        return JobKey("reviewed", self.job_id)

    @property
    def rule(self) -> GateRule:
        gates = yaml.safe_load(REVIEWED)["gates"]
        return GateRule(BEHIND, "review", GateCondition.model_validate(gates[0]["condition"]))

    @property
    def job(self) -> Job:
        return self.ledger.jobs.get(self.key)

    @property
    def phase(self) -> JobPhase:
        """The phase behind the gate."""
        phases = self.ledger.phases.of_job(self.key)
        return next(phase for phase in phases if phase.phase == BEHIND)

    def run_stages(
        self, *stages: str, run_id: str = "r1", fail: bool = False, error: str = "SourceError: gone"
    ) -> None:
        """Run stages as all that a run was asked for; the last one fails where that is asked for."""
        run = self._run(stages, run_id)
        run.start(PIPELINE)
        if run.job_name == FIRST:
            self.ledger.phases.begin(self.key, FIRST, run.identity)
        for stage in stages[: len(stages) - fail]:
            run.finish(stage)
        if fail:
            run.fail(stages[-1], error)

    def wait_at_the_gate(self) -> None:
        """Run the first phase."""
        run = self._run(("ingest", "parse"), "r1", GateApproach(self.rule, frozenset({"ingest", "parse"})))
        run.start(PIPELINE)
        self.ledger.phases.begin(self.key, FIRST, run.identity)
        run.finish()

    def go_through(self) -> None:
        """Let a run through the open gate, which goes on to `ir_validation`."""
        run = self._run(("gate_review", "ir_validation"), "r2")
        run.attempt = self.phase.attempt
        run.begin("gate_review")
        self.ledger.gates.pass_gate(self.key, self.rule, run.identity)
        run.end("gate_review", output_count=0, succeeded=0)

    def _run(self, stages: Sequence[str], run_id: str, *gates: GateApproach) -> LedgerRun:
        job_name = FIRST if stages[0] in {"ingest", "parse"} else BEHIND
        return LedgerRun(self.ledger, self.key, stages, run_id, job_name=job_name, gates=gates)

    def time_out(self) -> None:
        """Let a sensor look at the job when its time is long up."""
        later = datetime.now(UTC) + timedelta(days=1)
        with JobLedger.open(Path(self.ledger.place).parent, clock=lambda: later) as ledger:
            assert ledger.gates.review("reviewed", self.rule).timed_out == 1


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
def gated_medkg(medkg: Medkg, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Medkg:
    """Runs the console against a pipeline with a gate."""
    folder = tmp_path / "config" / "orchestration"
    (folder / "pipelines").mkdir(parents=True)
    shipped = repository / "config" / "orchestration" / "resilience.yaml"
    (folder / "resilience.yaml").write_bytes(shipped.read_bytes())
    (folder / "pipelines" / "reviewed.yaml").write_text(REVIEWED)
    monkeypatch.setenv("MEDKG_CONFIG", str(folder.parent))
    return medkg


@pytest.fixture
def reviewed(gated_medkg: Medkg, home: Path) -> Iterator[ReviewedJob]:
    """A submitted job of that pipeline."""
    assert gated_medkg("submit", "reviewed", "--job-id", "spring", "--by", "ann").exit_code == 0
    with JobLedger.open(home) as ledger:
        yield ReviewedJob(ledger)


@pytest.fixture
def ledger_home(home: Path) -> Path:
    """A home whose ledger holds one finished job and one that shares its id."""
    with JobLedger.open(home) as ledger:
        ledger.jobs.ensure(JobKey("auto", "default"), {"adapter": "files"}, actor="test")
        ledger.jobs.set_fields(JobKey("auto", "default"), {"pdf.pages": 3}, actor="ocr", reason="counted")
        bad = QuarantinedDocument("PMID:9", "parse", "UnreadableDocumentError", "truncated at byte 7")
        run = LedgerRun(ledger, JobKey("auto", "default"), ("parse", "chunk"))
        run.finish("parse", output_count=2, succeeded=2, quarantined=[bad], counts={"document": 2})
        run.finish("chunk", output_count=5, succeeded=2, counts={"chunks": 5})
        ledger.jobs.ensure(JobKey("clinical-trials", "default"), actor="test")
        ledger.jobs.ensure(JobKey("clinical-trials", "melanoma:2026"), actor="test")
    return home


@pytest.fixture
def indexed_home(home: Path) -> Path:
    """A home whose index holds two chunks."""
    index_texts(home)
    return home


def index_texts(
    home: Path, model: str | None = None, embedder: str = "hashing", only: int | None = None
) -> None:
    """Index the texts, or so many of them, their vectors said to be of the given model."""
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
        for document, (title, text) in islice(TEXTS.items(), only)
    )
    home.mkdir(exist_ok=True)
    made_by = ExtensionRegistry().find(ExtensionKind.EMBEDDER, embedder).open({}, home)
    vectors = made_by.embed([chunk.text for chunk in chunks])
    batch = EmbeddingBatch(
        tuple(chunk.id for chunk in chunks), vectors, model or made_by.model, made_by.lexical
    )
    with closing(ExtensionRegistry().find(ExtensionKind.INDEX_STORE, "sqlite").open({}, home)) as store:
        store.upsert(chunks, batch)


@pytest.fixture
def graph_home(home: Path) -> Path:
    """A home whose graph holds a drug, two diseases of one name, and two edges, one negated and possible."""
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
            certainty="possible" if negated else "asserted",
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
    home.mkdir(exist_ok=True)
    with closing(ExtensionRegistry().find(ExtensionKind.GRAPH_STORE, "sql").open({}, home)) as store:
        store.upsert(["PMID:1"], {"PMID:1": nodes}, edges)
    return home
