"""The `knowledge-graph` stage: entities and claims become nodes and edges with evidence.

Nodes are the concepts of the entities, the documents, and the works that they cite. Edges are the claims,
each with its sentence, and one `biolink:mentions` edge from a document to every concept in it and to every
work of its list of references. A mention found in the text points at the first sentence that has it (the
first one without negation, where there is one); one that stands only in a structured field is the source's
own assertion and has no sentence: its supporting text is empty.

All names are those of the Biolink Model: `domain.biolink`.
"""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, ValidationInfo, model_validator

from medkg_dagster.stage_api import Config, ExtensionKind, GraphReceipt, StageRegistration, check_extension
from medkg_dagster.stage_api._default_stores import chosen_store

if TYPE_CHECKING:
    from medkg_dagster.stages.knowledge_graph.stage import KnowledgeGraphStage


class KnowledgeGraphConfig(Config):
    """Which graph store is written, and with which parameters."""

    store: str | None = Field(
        default=None,
        description="The graph store; by default `sql`, in the database of `MEDKG_DATABASE_URL` if set.",
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="The store's own parameters; the store checks them."
    )
    vocabulary: Path | None = Field(
        default=None,
        description=(
            "The vocabulary of `extract`, where that names one: nodes get synonyms and equivalents from it."
        ),
    )

    @model_validator(mode="after")
    def _check_store(self, info: ValidationInfo) -> Self:
        check_extension(
            ExtensionKind.GRAPH_STORE, *chosen_store(ExtensionKind.GRAPH_STORE, self.store, self.params), info
        )
        return self


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "knowledge-graph",
        _open,
        KnowledgeGraphConfig,
        description="Writes nodes and edges with provenance to a graph, every edge with its evidence.",
        state_types={"graph_receipt": GraphReceipt},
        output_counter=attrgetter("nodes_written"),
        dependencies=("extract",),
        optional_dependencies=("parse",),
        kinds=("python", "sqlite"),
        streams_documents=True,
    )


def _open(config: KnowledgeGraphConfig) -> KnowledgeGraphStage:
    from medkg_dagster.stages.knowledge_graph.stage import KnowledgeGraphStage

    return KnowledgeGraphStage(config)
