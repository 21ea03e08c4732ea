"""What a materialization shows: counts, time, refused documents, and a look at what was made."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dagster import MetadataValue, TableColumn, TableRecord, TableSchema
from pydantic import BaseModel

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.stage_api import QuarantinedDocument, StageContext
from medkg_dagster.stage_api._context import Described, Scalar
from medkg_dagster.stage_api._invocation import StageOutcome
from medkg_dagster.stage_api._redaction import redact

PREVIEW_ITEMS = 3
PREVIEW_DEPTH = 20
PREVIEW_CHARACTERS = 280
TABLE_ROWS = 100

_SCHEMA = TableSchema(
    columns=[
        TableColumn("document", description="The document's or payload's id"),
        TableColumn("error", description="The class of the error"),
        TableColumn("message", description="What was wrong"),
    ]
)


def output_metadata(ctx: StageContext, outcome: StageOutcome) -> dict[str, MetadataValue[Any]]:
    """Describe one execution of a stage for the asset catalog.

    Args:
        ctx: The context the stage ran with.
        outcome: What it gave.

    Returns:
        Metadata entries; `output_count`, `seconds` and the document counts are numbers, so the UI plots them.
    """
    metadata: dict[str, MetadataValue[Any]] = {
        "output_count": MetadataValue.int(outcome.output_count),
        "seconds": MetadataValue.float(round(outcome.seconds, 4)),
        "documents_succeeded": MetadataValue.int(ctx.succeeded),
        "documents_quarantined": MetadataValue.int(len(ctx.quarantined)),
    }
    for status, count in Counter(item.status for item in ctx.quarantined if not item.is_fault).items():
        if status is not DocumentStatus.QUARANTINED:
            metadata[f"documents_{status.value}"] = MetadataValue.int(count)
    metadata |= described_metadata(ctx)
    for key, value in outcome.state.items():
        if isinstance(value, Sequence):
            metadata[f"{key}_count"] = MetadataValue.int(len(value))
        metadata[f"{key}_preview"] = MetadataValue.md(f"```json\n{_preview(value)}\n```")
    return metadata


def described_metadata(ctx: StageContext) -> dict[str, MetadataValue[Any]]:
    """Return what was set aside and what was described, for the asset catalog or a run's page."""
    metadata = {name: _described(value) for name, value in ctx.described.items()}
    return {"quarantined": quarantine_table(ctx.quarantined), **metadata} if ctx.quarantined else metadata


def quarantine_table(documents: Sequence[QuarantinedDocument]) -> MetadataValue[Any]:
    """Return refused documents as a table, the first hundred of them; the ledger has all."""
    rows = [
        TableRecord(
            {
                "document": item.document_id,
                "error": item.error_class,
                "message": _shorten(item.message),
            }
        )
        for item in documents[:TABLE_ROWS]
    ]
    return MetadataValue.table(rows, schema=_SCHEMA)


def _described(value: Described) -> MetadataValue[Any]:
    if value is None:
        return MetadataValue.null()
    if isinstance(value, bool):
        return MetadataValue.bool(value)
    if isinstance(value, int):
        return MetadataValue.int(value)
    if isinstance(value, float):
        return MetadataValue.float(value)
    if isinstance(value, str):
        return MetadataValue.text(value)
    return rows_table(value)


def rows_table(rows: Sequence[Mapping[str, Scalar]]) -> MetadataValue[Any]:
    """Return rows of the same keys as a table, the first hundred of them; no rows as a text."""
    if not rows:
        return MetadataValue.text("none")
    columns = [TableColumn(name, type=_column_type(rows, name)) for name in rows[0]]
    records = [
        TableRecord(
            {name: _shorten(value) if isinstance(value, str) else value for name, value in row.items()}
        )
        for row in rows[:TABLE_ROWS]
    ]
    return MetadataValue.table(records, schema=TableSchema(columns))


def _column_type(rows: Sequence[Mapping[str, Scalar]], name: str) -> str:
    kinds = {type(row.get(name)) for row in rows} - {type(None)}
    if kinds and kinds <= {int, float}:
        return "int" if kinds == {int} else "float"
    return "bool" if kinds == {bool} else "string"


def _preview(value: Any) -> str:
    shown = list(value[:PREVIEW_ITEMS]) if isinstance(value, tuple | list) else value
    return json.dumps(_plain(shown), indent=1, ensure_ascii=False)


def _plain(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one return per kind of value reads best
    if depth > PREVIEW_DEPTH:
        return "…"
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name), depth + 1) for name in type(value).model_fields}
    if isinstance(value, str):
        return _shorten(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return {redact(str(key)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [_plain(item, depth + 1) for item in value[:PREVIEW_ITEMS]]
        return items if len(value) <= PREVIEW_ITEMS else [*items, f"and {len(value) - PREVIEW_ITEMS} more"]
    if value is None or isinstance(value, bool | int | float):
        return value
    if hasattr(value, "to_arrays"):
        return {name: _plain(array, depth + 1) for name, array in value.to_arrays().items()}
    if hasattr(value, "shape"):
        return f"array of {value.dtype}, shape {tuple(value.shape)}"
    return _shorten(str(value))


def _shorten(text: str) -> str:
    # Not the other way round: half a secret would no longer be recognized.
    text = redact(text)
    return text if len(text) <= PREVIEW_CHARACTERS else f"{text[: PREVIEW_CHARACTERS - 1]}…"
