"""Small valid values to give to a stage under test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from medkg_dagster.domain.chunks import Chunk, chunk_id
from medkg_dagster.domain.documents import Annotation, Block, BlockKind, Document, Section, hash_content
from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.domain.payloads import Payload, PayloadFormat
from medkg_dagster.stage_api._context import TopologyView

_SOURCE = "infores:user-supplied"
_TEXT = "Melanoma was treated with vemurafenib in 20 patients."
_BETWEEN = "\n\n"
_NO_GATES: Mapping[str, GateCondition] = MappingProxyType({})


def example_payload(
    content: str | bytes = _TEXT,
    *,
    payload_id: str | None = None,
    payload_format: PayloadFormat = PayloadFormat.TEXT,
    source: str = "files",
    origin: str = "example.txt",
) -> Payload:
    """Return a raw document as a source would fetch it.

    Args:
        content: The bytes, or text that is encoded as UTF-8.
        payload_id: Its id; made from the content by default, so that other content has another id.
        payload_format: Its format.
        source: The adapter it came from.
        origin: The file or address it came from.
    """
    raw = content.encode() if isinstance(content, str) else content
    return Payload(
        id=payload_id or f"sha256:{hashlib.sha256(raw).hexdigest()}",
        format=payload_format,
        content=raw,
        source=source,
        origin=origin,
    )


def example_document(
    *paragraphs: str,
    document_id: str | None = None,
    title: str = "An example",
    heading: str = "",
    source: str = _SOURCE,
    identifiers: Mapping[str, str] | None = None,
    annotations: Sequence[Annotation] = (),
    retracted: str | None = None,
) -> Document:
    """Return a document of one section, its offsets and its content hash right.

    Args:
        *paragraphs: The text, paragraph by paragraph; one sentence by default.
        document_id: Its CURIE; made from the content by default, so that other content has another id.
        title: Its title.
        heading: The title of its section; it stands at the beginning of the text.
        source: The information resource.
        identifiers: Identifiers by prefix.
        annotations: Concepts that the source assigned.
        retracted: Why it must not be used as evidence.
    """
    texts = paragraphs or (_TEXT,)
    blocks = []
    position = len(heading) + len(_BETWEEN) if heading else 0
    for paragraph in texts:
        blocks.append(Block(kind=BlockKind.PARAGRAPH, start=position, end=position + len(paragraph)))
        position += len(paragraph) + len(_BETWEEN)
    text = _BETWEEN.join((heading, *texts) if heading else texts)
    content_hash = hash_content(title, text)
    return Document(
        id=document_id or f"sha256:{content_hash}",
        source=source,
        identifiers=dict(identifiers or {}),
        title=title,
        text=text,
        sections=(Section(title=heading, start=0, end=len(text), blocks=tuple(blocks)),),
        annotations=tuple(annotations),
        retracted=retracted,
        content_hash=content_hash,
    )


def example_chunks(*documents: Document) -> tuple[Chunk, ...]:
    """Return one chunk for each block of the documents; of an example document by default."""
    return tuple(
        Chunk(
            id=chunk_id(document.id, document.content_hash, block.start, block.end),
            document_id=document.id,
            document_hash=document.content_hash,
            title=document.title,
            section=section.title,
            ordinal=ordinal,
            start=block.start,
            end=block.end,
            text=document.text[block.start : block.end],
        )
        for document in documents or (example_document(),)
        for ordinal, (section, block) in enumerate(
            (section, block) for section in document.sections for block in section.blocks
        )
    )


def example_topology(
    name: str = "test", *, gates: Mapping[str, GateCondition] = _NO_GATES, gate_stage: str = "gate"
) -> TopologyView:
    """Return a pipeline for a builder that takes `(topology, definition)`.

    Args:
        name: The pipeline's name.
        gates: Its gates, name to condition.
        gate_stage: The name of the stage that checks them.
    """
    return _Topology(name, tuple(_Gate(gate, condition) for gate, condition in gates.items()), gate_stage)


@dataclass(frozen=True, slots=True)
class _Gate:
    name: str
    condition: GateCondition


@dataclass(frozen=True, slots=True)
class _Topology:
    name: str
    gates: tuple[_Gate, ...]
    stage: str

    def gate_stage(self, gate: str) -> str | None:
        """Return the name of the stage that checks a gate."""
        return self.stage if any(item.name == gate for item in self.gates) else None
