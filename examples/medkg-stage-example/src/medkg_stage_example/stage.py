"""The stage type `deidentify`: documents without identifiers of people."""

from __future__ import annotations

from medkg_dagster.stage_api import Document, RejectedDocumentError, StageContext, StageRegistration
from medkg_stage_example.config import DeidentifyConfig, IdentifierKind
from medkg_stage_example.report import DeidentificationReport, DocumentReport, report_of
from medkg_stage_example.rewriting import Rewriter


class DeidentifyStage:
    """Replaces identifiers in documents.

    Args:
        config: What is replaced, and by what.
    """

    def __init__(self, config: DeidentifyConfig) -> None:
        self._config = config
        self._rewriter = Rewriter(config)

    def execute(
        self, ctx: StageContext, *, document: tuple[Document, ...]
    ) -> tuple[tuple[Document, ...], DeidentificationReport]:
        """Replace the identifiers of a batch.

        Args:
            ctx: The stage's surroundings.
            document: The documents.

        Returns:
            The documents that are left, in order, and the report: one value for each state key.
        """
        done = ctx.for_each(document, self._replace, document_id=lambda one: one.id)
        report = DeidentificationReport(documents=tuple(said for _, said in done))
        self._describe(ctx, report)
        return tuple(changed for changed, _ in done), report

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


def register() -> StageRegistration:
    """Register the stage type; the entry point names this function."""
    return StageRegistration.of(
        "deidentify",
        DeidentifyStage,
        DeidentifyConfig,
        description="Replaces e-mail addresses, phone numbers, dates, record numbers, national ids and ages "
        "over 89 in documents.",
        state_types={
            "document": tuple[Document, ...],
            "deidentification_report": DeidentificationReport,
        },
        dependencies=("parse",),
        kinds=("python",),
    )
