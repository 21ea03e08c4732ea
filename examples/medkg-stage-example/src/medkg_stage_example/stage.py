"""The stage type `deidentify`: documents without identifiers of people."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from medkg_dagster.stage_api import (
    Document,
    RejectedDocumentError,
    StageContext,
    StageDefinitionView,
    StageMetadata,
    StageRegistration,
)
from medkg_stage_example.config import DeidentifyConfig, IdentifierKind
from medkg_stage_example.report import DeidentificationReport, DocumentReport, report_of
from medkg_stage_example.rewriting import Rewriter


@dataclass(frozen=True, slots=True)
class Deidentified:
    """What the stage makes.

    Attributes:
        documents: The documents without identifiers.
        report: What was replaced.
    """

    documents: tuple[Document, ...]
    report: DeidentificationReport


class Deidentify:
    """Replaces identifiers in documents.

    Args:
        config: What is replaced, and by what.
    """

    def __init__(self, config: DeidentifyConfig) -> None:
        self._config = config
        self._rewriter = Rewriter(config)

    def execute(self, ctx: StageContext, *, document: tuple[Document, ...]) -> Deidentified:
        """Replace the identifiers of a batch.

        Args:
            ctx: The stage's surroundings.
            document: The documents.

        Returns:
            The documents that are left, in order, and the report.
        """
        done = ctx.for_each(document, self._replace, document_id=lambda one: one.id)
        report = DeidentificationReport(documents=tuple(said for _, said in done))
        self._describe(ctx, report)
        return Deidentified(tuple(changed for changed, _ in done), report)

    def _replace(self, document: Document) -> tuple[Document, DocumentReport]:
        changed, tally = self._rewriter.rewrite(document)
        if not changed.text.strip():
            raise RejectedDocumentError(
                f"{document.id}: nothing is left without its identifiers; use the style 'placeholder'"
            )
        return changed, report_of(document.id, tally)

    def _describe(self, ctx: StageContext, report: DeidentificationReport) -> None:
        replaced = report.replaced
        for kind in IdentifierKind:
            if kind in self._config.kinds:
                ctx.describe(f"replaced_{kind.value}", replaced[kind])
        ctx.describe("documents_changed", report.changed)
        ctx.describe("dropped_annotations", sum(item.dropped_annotations for item in report.documents))
        ctx.log.info("replaced %d identifiers in %d documents", replaced.total(), report.changed)


def write_output(state: MutableMapping[str, Any], stage_name: str, output: Deidentified) -> None:
    """Put documents and report onto the state."""
    del stage_name
    state["document"] = output.documents
    state["deidentification_report"] = output.report


def count_documents(output: Deidentified) -> int:
    """Count the documents."""
    return len(output.documents)


def build(definition: StageDefinitionView) -> Deidentify:
    """Build the stage from its YAML."""
    return Deidentify(DeidentifyConfig.model_validate(definition.config))


def register() -> StageRegistration:
    """Register the stage type; the entry point names this function."""
    metadata = StageMetadata(
        stage_type="deidentify",
        state_key=("document", "deidentification_report"),
        output_handler=write_output,
        output_counter=count_documents,
        description="Replaces e-mail addresses, phone numbers, dates, record numbers, national ids and ages "
        "over 89 in documents.",
        dependencies=("parse",),
        config_model=DeidentifyConfig,
        state_types={
            "document": tuple[Document, ...],
            "deidentification_report": DeidentificationReport,
        },
        kinds=("python",),
    )
    return StageRegistration(metadata=metadata, builder=build)
