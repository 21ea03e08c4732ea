"""What a materialization shows: counts, time, refused documents, and a look at what was made."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from dagster import MetadataValue, TableColumn, TableMetadataValue, TableRecord, TableSchema
from pydantic import BaseModel

from medkg_dagster.domain.holdings import DocumentStatus, short_name
from medkg_dagster.errors import counted
from medkg_dagster.stage_api import QuarantinedDocument, StageContext
from medkg_dagster.stage_api._context import Described, Scalar
from medkg_dagster.stage_api._documents import DocumentValues, join_parts
from medkg_dagster.stage_api._invocation import StageOutcome
from medkg_dagster.stage_api._redaction import redact

PREVIEW_ITEMS = 3
PREVIEW_DEPTH = 20
PREVIEW_CHARACTERS = 280
CELL_CHARACTERS = 80
TABLE_ROWS = 100

_SCHEMA = TableSchema(
    columns=[
        TableColumn("file", description="The last part of the file's path or of the address, where known"),
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
    }
    aside = Counter(item.status for item in ctx.quarantined)
    for status in (DocumentStatus.QUARANTINED, DocumentStatus.SUPERSEDED, DocumentStatus.RETRACTED):
        metadata[f"documents_{status.value}"] = MetadataValue.int(aside[status])
    metadata |= described_metadata(ctx)
    for key, value in outcome.state.items():
        if isinstance(value, DocumentValues):
            metadata[f"{key}_count"] = MetadataValue.int(value.items)
            if counts := value.counts:
                metadata[f"{key}_counted"] = _described(
                    [{"what": what, "count": count} for what, count in counts.items()]
                )
        elif isinstance(value, Sequence):
            metadata[f"{key}_count"] = MetadataValue.int(len(value))
        metadata[f"{key}_preview"] = MetadataValue.md(_preview(value, ctx))
    return metadata


def described_metadata(ctx: StageContext) -> dict[str, MetadataValue[Any]]:
    """Return what was set aside and what was described, for the asset catalog or a run's page."""
    metadata = metadata_of(ctx.described)
    if not ctx.quarantined:
        return metadata
    origins = ctx.job.origins([item.document_id for item in ctx.quarantined[:TABLE_ROWS]])
    return {"quarantined": quarantine_table(ctx.quarantined, origins), **metadata}


def quarantine_table(
    documents: Sequence[QuarantinedDocument], origins: Mapping[str, str] = MappingProxyType({})
) -> MetadataValue[Any]:
    """Return refused documents as a table, the first hundred of them; the ledger has all.

    Args:
        documents: The documents.
        origins: The files or addresses of those that came from one that is known.
    """
    rows = [
        TableRecord(
            {
                "file": short_name(redact(origins.get(item.document_id, ""))),
                "document": item.document_id,
                "error": item.error_class,
                "message": _shorten(item.message),
            }
        )
        for item in documents[:TABLE_ROWS]
    ]
    return MetadataValue.table(rows, schema=_SCHEMA)


def metadata_of(described: Mapping[str, Described]) -> dict[str, MetadataValue[Any]]:
    """Return what was described as Dagster shows it."""
    return {name: _described(value) for name, value in described.items()}


def described_of(metadata: Mapping[str, MetadataValue[Any]]) -> dict[str, Described]:
    """Return what is shown as it was described, as far as it is scalars and tables."""
    described: dict[str, Described] = {}
    for name, value in metadata.items():
        if isinstance(value, TableMetadataValue):
            # Of a row that was stored the schema alone knows the order.
            names = [column.name for column in value.schema.columns]
            described[name] = [{key: record.data[key] for key in names} for record in value.records]
        elif value.value is None or isinstance(value.value, bool | int | float | str):
            described[name] = value.value
    return described


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


def _preview(value: Any, ctx: StageContext) -> str:
    """Return the beginning of a value in Markdown: of what has fields a table, else JSON."""
    if isinstance(value, DocumentValues):
        value = join_parts(value.value_type, [part.load() for part in value.parts[:PREVIEW_ITEMS]])
    if isinstance(value, BaseModel) and (cells := _cells(value)):
        return _markdown_table([{"field": name, "value": cell} for name, cell in cells.items()])
    items = list(value[:PREVIEW_ITEMS]) if isinstance(value, tuple | list) else []
    if items and all(isinstance(item, BaseModel) for item in items):
        names = [str(getattr(item, "document_id", getattr(item, "id", ""))) for item in items]
        origins = {} if all(hasattr(item, "origin") for item in items) else ctx.job.origins(names)
        rows = []
        for item, name in zip(items, names, strict=True):
            origin = getattr(item, "origin", origins.get(name, ""))
            rows.append({"file": short_name(redact(origin)), **_cells(item)})
        return _markdown_table(rows)
    return f"```json\n{_json(value)}\n```"


def _cells(value: BaseModel) -> dict[str, str]:
    """Return the fields of a value that fit into a cell; a hash tells nobody anything."""
    cells = {}
    for name in type(value).model_fields:
        cell = getattr(value, name)
        if isinstance(cell, bytes):
            cells[name] = counted(len(cell), "byte")
        elif (cell is None or isinstance(cell, str | int | float)) and not name.endswith(("_hash", "origin")):
            cells[name] = "" if cell is None else _shorten(str(cell), CELL_CHARACTERS)
    return cells


def _markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    names = [name for name in rows[0] if any(row.get(name) for row in rows)]
    lines = [names, ["---"] * len(names), *([row.get(name, "") for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(map(_in_cell, line))} |" for line in lines)


def _in_cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _json(value: Any) -> str:
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
        return counted(len(value), "byte")
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


def _shorten(text: str, most: int = PREVIEW_CHARACTERS) -> str:
    # Not the other way round: half a secret would no longer be recognized.
    text = redact(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
