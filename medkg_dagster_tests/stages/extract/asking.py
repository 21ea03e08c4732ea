"""The `extract` stage with the extractor `llm`, which asks a chat endpoint on loopback."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from medkg_dagster.io.backoff import Backoff
from medkg_dagster.stage_api import Claim, Document, Entity, ExternalCalls, StageContext
from medkg_dagster.stage_api._documents import whole_value
from medkg_dagster.stage_api._invocation import invoke
from medkg_dagster.stages.extract import register
from medkg_dagster_tests.stages.extract.chat_service import Service, claim
from medkg_dagster_tests.stages.extract.test_stage import document
from medkg_dagster_tests.stages.real_payloads import context

FIRST = "Nivolumab caused colitis in two patients."
SECOND = "Ipilimumab was given for melanoma."
RIGHT = claim(FIRST, "Nivolumab", "causes", "colitis")


@dataclass
class Asked:
    """A stage with the extractor, and the service it asks."""

    service: Service
    home: Path

    def context(self, **calls: Any) -> StageContext:
        return replace(
            context("extract"), home=self.home, calls=ExternalCalls(backoff=Backoff(initial=0.001), **calls)
        )

    def run(
        self, *found: Document, ctx: StageContext | None = None, **parameters: Any
    ) -> tuple[list[Entity], list[Claim], dict[str, Any]]:
        """What comes of documents: entities, claims, and what the run shows."""
        ctx = ctx or self.context()
        own = {"base_url": self.service.base_url, "model": "m", "api_key": {"env": "TEST_KEY"}}
        config = {"extractor": "llm", "params": {**own, "max_attempts": 2, **parameters}}
        registration = register()
        definition = SimpleNamespace(name="extract", type="extract", config=config)
        given = {"document": found or (document(FIRST, SECOND),)}
        state = invoke(registration.metadata, registration.builder(definition), ctx, given).state
        shown = {**ctx.described, **state["claims"].counts}
        return list(whole_value(state["entities"])), list(whole_value(state["claims"])), shown
