"""The half of the `knowledge-graph` stage that is work on one document; the other half writes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from medkg_dagster.domain import Config
from medkg_dagster.stage_api import Claim, Document, DocumentContext, Entity, StageContext, StageRegistration
from medkg_dagster.stage_api._preparation import Preparation
from medkg_dagster.stages.knowledge_graph.descriptions import Descriptions, descriptions
from medkg_dagster.stages.knowledge_graph.document_graph import DocumentGraph, document_graph


class DocumentGraphConfig(Config):
    """With which vocabulary nodes are described."""

    vocabulary: Path | None = None


class DocumentGraphStage:
    """Makes the nodes and edges of a document.

    Args:
        config: Which vocabulary is opened.
        described: The vocabulary, where it is open.
    """

    def __init__(self, config: DocumentGraphConfig, described: Descriptions | None = None) -> None:
        self._config = config
        self._described = described
        self._opened = ExitStack()

    def prepare(self, ctx: StageContext) -> None:
        """Open the vocabulary, for as long as the process is there.

        Raises:
            ConfigError: It cannot be used.
        """
        if self._described is None:
            opened = descriptions(ctx.home, self._config.vocabulary)
            self._described = self._opened.enter_context(opened)

    def execute(
        self,
        ctx: DocumentContext,
        entities: tuple[Entity, ...],
        claims: tuple[Claim, ...],
        document: Document | None = None,
    ) -> DocumentGraph | None:
        """Return what the graph is given of a document; None where nothing is known of it, not even its id.

        Raises:
            DocumentError: A claim is about something that is no entity of the document.
        """
        assert self._described is not None
        del ctx
        names = [entity.document_id for entity in entities] + [claim.document_id for claim in claims]
        if document is None and not names:
            return None
        name = names[0] if document is None else document.id
        return document_graph(name, document, entities, claims, self._described)


def register() -> StageRegistration:
    """Register the stage type; no pipeline names it."""
    return StageRegistration.of(
        "document-graph",
        DocumentGraphStage,
        DocumentGraphConfig,
        description="Makes the nodes and edges of a document.",
        state_types={"document_graph": tuple[DocumentGraph, ...]},
        dependencies=("extract",),
        optional_dependencies=("parse",),
        per_document=True,
    )


def preparation(vocabulary: Path | None, described: Descriptions) -> Preparation:
    """Return how the nodes and edges of documents are made.

    Args:
        vocabulary: The vocabulary that is named; None for the one that was installed.
        described: The same, open in this process.
    """
    config = DocumentGraphConfig(vocabulary=vocabulary)
    stage = DocumentGraphStage(config, described)
    return Preparation(register, config.model_dump(mode="json"), stage)
