"""Two extractors in one pipeline, one of which asks a service: what the graph has of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dagster import ExecuteInProcessResult, JobDefinition, TableMetadataValue

from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import Settings
from medkg_dagster_tests.compiler.deployment import instance_in_memory
from medkg_dagster_tests.stages.extract.chat_service import Service, chat_service, claim, claims, raw

FIRST, SECOND = "Nivolumab caused colitis in two patients.", "The rash faded while she took ipilimumab."
ANSWER = claims(
    claim(FIRST, "Nivolumab", "causes", "colitis"),
    claim(SECOND, "ipilimumab", "has_adverse_event", "rash"),
    claim("Ipilimumab cured everybody.", "Ipilimumab", "treats", "melanoma"),
)
PIPELINE = """\
name: two
version: "2026-01-01"
stages:
  - {{name: ingest, type: ingest, config: {{params: {{path: "{papers}"}}}}}}
  - {{name: parse, type: parse, depends_on: [ingest]}}
  - {{name: by_rules, type: extract, depends_on: [parse], config: {{params: {{weigh_pairs: false}}}}}}
  - name: by_model
    type: extract
    depends_on: [by_rules]
    config:
      extractor: llm
      params: {{base_url: "{url}", model: m, api_key: null, max_attempts: 1}}
  - {{name: kg, type: knowledge-graph, depends_on: [by_model]}}
"""


@dataclass
class Pipeline:
    """The pipeline, compiled for a home."""

    job: JobDefinition
    home: Path
    papers: Path
    service: Service

    def run(self) -> ExecuteInProcessResult:
        with instance_in_memory() as instance:
            return self.job.execute_in_process(instance=instance, raise_on_error=False)

    def write(self, number: int, *sentences: str) -> None:
        (self.papers / f"{number}.txt").write_text(
            f"A report of {number} patients\n\n{' '.join(sentences)}\n"
        )

    def edges(self) -> set[tuple[str, str]]:
        """Predicate and extractor of each claim in the export."""
        with closing(SqlGraph(self.home / "graph.sqlite")) as graph:
            graph.export_kgx(self.home / "kgx")
        rows = map(json.loads, (self.home / "kgx" / "edges.jsonl").read_text("utf-8").splitlines())
        return {
            (row["predicate"], row["extractor"].partition(" ")[0])
            for row in rows
            if row["predicate"] != "biolink:mentions"
        }


def shown(result: ExecuteInProcessResult, stage: str) -> dict[str, Any]:
    """What the materialization of a stage shows."""
    (event,) = [
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path[-1] == stage
    ]
    told = {name: value.value for name, value in event.materialization.metadata.items()}
    rows = event.materialization.metadata.get("claims_counted")
    assert rows is None or isinstance(rows, TableMetadataValue)
    counted = {} if rows is None else {str(row.data["what"]): row.data["count"] for row in rows.records}
    return {**told, **counted}


@pytest.fixture
def pipeline(tmp_path: Path, repository: Path) -> Iterator[Pipeline]:
    config, papers = tmp_path / "config", tmp_path / "papers"
    (config / "orchestration" / "pipelines").mkdir(parents=True)
    papers.mkdir()
    shutil.copy(repository / "config" / "orchestration" / "resilience.yaml", config / "orchestration")
    with chat_service() as service:
        text = PIPELINE.format(papers=papers, url=service.base_url)
        (config / "orchestration" / "pipelines" / "two.yaml").write_text(text)
        factory = StageFactory.load_plugins()
        plan = load_plan(config, factory)
        assert plan.problems == ()
        definitions = compile_plan(plan, factory, Settings(home=tmp_path / "home", config=config))
        made = Pipeline(definitions.resolve_job_def("two"), tmp_path / "home", papers, service)
        made.write(1, FIRST, SECOND)
        yield made


def test_claims_of_both_are_in_the_graph_and_say_who_said_them(pipeline: Pipeline) -> None:
    pipeline.service.otherwise = ANSWER

    result = pipeline.run()

    assert result.success
    assert pipeline.edges() == {
        ("biolink:causes", "dictionary"),
        ("biolink:causes", "llm"),
        ("biolink:has_adverse_event", "llm"),
    }
    told = shown(result, "by_model")
    assert (told["claims proposed"], told["claims kept"], told["rejected: quote absent"]) == (3, 2, 1)
    assert (told["prompt_tokens"], told["completion_tokens"], told["requests"]) == (100, 10, 1)
    assert told["service_seconds"] > 0


def test_a_run_with_nothing_new_asks_nothing_and_tells_what_was_rejected(pipeline: Pipeline) -> None:
    pipeline.service.otherwise = ANSWER
    pipeline.run()
    before = pipeline.edges()

    result = pipeline.run()

    assert len(pipeline.service.requests) == 1
    assert pipeline.edges() == before
    told = shown(result, "by_model")
    assert (told["computed"], told["rejected: quote absent"]) == (0, 1)
    assert "requests" not in told


def test_a_service_that_is_away_holds_up_the_graph_and_costs_no_document(pipeline: Pipeline) -> None:
    pipeline.write(2, FIRST)
    pipeline.service.replies = [ANSWER]
    pipeline.service.otherwise = raw({"error": {"message": "no such model"}}, 404)

    assert not pipeline.run().success
    pipeline.service.otherwise = ANSWER
    result = pipeline.run()

    assert result.success
    assert len(pipeline.service.requests) == 3
    assert shown(result, "by_model")["requests"] == 1
    assert "quarantined" not in shown(result, "by_model")
