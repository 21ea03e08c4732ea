"""The intermediate representation (IR) of a document: text once, and offsets into it for everything else."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any

from pydantic import Field

from medkg_dagster.domain import OwnValue
from medkg_dagster.domain.payloads import PayloadFormat
from medkg_dagster.domain.studies import Study
from medkg_dagster.errors import counted


class BlockKind(StrEnum):
    """What a block of text is."""

    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE = "table"
    CAPTION = "caption"


class Block(OwnValue):
    """A run of text, `document.text[start:end]`.

    Attributes:
        kind: What the block is.
        start: First character, an offset into the document's text in Unicode code points.
        end: One past the last character.
    """

    kind: BlockKind
    start: int
    end: int


class Section(OwnValue):
    """A titled part of a document; sections stand one after another, nested ones flattened in reading order.

    Attributes:
        title: The heading as printed; empty where the source has none.
        level: Depth of the heading, 1 at the top.
        start: First character of the section, its heading included.
        end: One past the last character of its own blocks.
        blocks: The section's blocks in reading order; the heading is not one of them.
    """

    title: str
    level: int = 1
    start: int
    end: int
    blocks: tuple[Block, ...]


class AnnotationRole(StrEnum):
    """The structured field of the source that an annotation comes from."""

    CONDITION = "condition"
    INTERVENTION = "intervention"
    CONDITION_MESH = "condition_mesh"
    INTERVENTION_MESH = "intervention_mesh"
    MESH_HEADING = "mesh_heading"
    CHEMICAL = "chemical"


class Annotation(OwnValue):
    """A concept that the source itself assigned to the document.

    Attributes:
        role: The structured field it comes from.
        name: The concept's name in the source.
        curie: Its identifier, for example `MESH:D008545`; None where the source gives only a name.
        intervention_type: ClinicalTrials.gov's type of an intervention (`DRUG`, `PROCEDURE`, ...).
        major: Whether the source marks it as a major topic.
    """

    role: AnnotationRole
    name: str
    curie: str | None = None
    intervention_type: str | None = None
    major: bool = False


class Reference(OwnValue):
    """A work that a document cites, as its list of references has it.

    Attributes:
        identifiers: Identifiers by prefix (`PMID` -> `26492265`, `DOI` -> `10.1000/x`).
        title: The work's title; empty where the source does not mark it.
        year: Year of publication, where stated.
        text: The whole entry as printed, on one line.
    """

    identifiers: dict[str, str] = Field(default_factory=dict)
    title: str = ""
    year: int | None = None
    text: str = ""


UNEXPLAINED = "unexplained"
"""The key in `TextKept.left_out` of what no rule leaves out and the document has not."""


_IMAGES_ONLY = ("holds no text, only images", "hold no text, only images")
_WITHOUT_MEANING = ("is in a font without meaning", "are in fonts without meaning")
_NOT_IN_IT = ("is not in it, for no reason", "are not in it, for no reason")


class TextKept(OwnValue):
    """How much of its source a document holds, by a count of the source that is made apart from parsing.

    Counted are the words of XML, JSON and text, the glyphs of a PDF; `found` is `kept` and all that is left
    out.

    Attributes:
        found: What the source has.
        kept: What of that the document holds, in its text or any other field.
        left_out: What is not in it, by reason; what is lost without one is under `UNEXPLAINED`.
        tables: How many tables are in its text.
        pages: How many pages a PDF has.
        pages_without_text: How many of them show something and have no text that can be read.
        glyphs_without_meaning: How many of a PDF's glyphs are in fonts that do not say what they mean.
    """

    found: int
    kept: int
    left_out: dict[str, int] = Field(default_factory=dict)
    tables: int = 0
    pages: int = 0
    pages_without_text: int = 0
    glyphs_without_meaning: int = 0

    @property
    def share(self) -> float:
        """How much of what is to be read is in it and can be read, 0 to 1; what a rule leaves out is not."""
        wanted = self.kept + self.left_out.get(UNEXPLAINED, 0)
        legible = max(0, self.kept - self.glyphs_without_meaning) / wanted if wanted else 1.0
        return legible * ((self.pages - self.pages_without_text) / self.pages if self.pages else 1.0)

    def losses(self) -> dict[str, str]:
        """Return what is lost of the source, a hundredth or more, each with what to do about it."""
        what = "glyph" if self.pages else "word"
        lost = self.left_out.get(UNEXPLAINED, 0)
        ocr = "run OCR on it first"
        return {
            f"{counted(part, f'{of} {is_so}', f'{of} {are_so}')} ({part / whole:.0%})": advice
            for part, whole, noun, is_so, are_so, advice in (
                (self.pages_without_text, self.pages, "page", *_IMAGES_ONLY, ocr),
                (self.glyphs_without_meaning, self.found, "glyph", *_WITHOUT_MEANING, ocr),
                (lost, self.found, what, *_NOT_IN_IT, "fetch it in another form"),
            )
            if part > whole / 100
            for of in (f"of {counted(whole, noun)}",)
        }


_LARGE = {"text", "sections", "annotations", "authors", "references", "study"}


class Document(OwnValue):
    """One document in the IR.

    Attributes:
        id: A CURIE: `clinicaltrials:NCT...`, `PMID:...`, `PMCID:PMC...`, `DOI:...` or `sha256:...`.
        source: The information resource as a Biolink infores CURIE where one exists
            (`infores:clinicaltrials`, `infores:pubmed`, `infores:pmc`), else `infores:user-supplied`.
        identifiers: Every identifier the source gives, by prefix (`PMID` -> `26492265`).
        title: The title.
        authors: Names in source order, "Given Family" or the collective name.
        date: Publication or first posting date, ISO 8601 as precise as the source (`2016`, `2016-03-01`).
        licence: Licence URL or text, where stated.
        url: The landing page, where one can be derived or is stated.
        text: The whole text that sections and every offset in the system point into.
        sections: Sections in reading order.
        annotations: Concepts the source assigned.
        references: The works it cites, in source order; they are no part of the text.
        text_kept: How much of its source is in it; None where nobody counted.
        retracted: Why the document must not be used as evidence (`retraction notice`,
            `retracted article`); None for a document in good standing.
        content_hash: SHA-256 (hex) over title and text, see `hash_content`.
        format: The format that it was parsed from; None for what a converter wrote.
        versions: CURIEs of what it states to be versions of itself, such as its preprint.
        retracts: CURIEs of the articles whose retraction it is the notice of.
        synthetic: Whether it is invented, and no evidence; all that is made of it is marked so.
        study_type: Of a registered study what its registry says it is (`INTERVENTIONAL`, `OBSERVATIONAL`,
            `EXPANDED_ACCESS`); None where it says nothing, and of other documents.
        phases: Of a registered study its phases, as the registry codes them (`PHASE2`).
        study: What the fields of a registered study state; None of other documents.
        language: Its language (ISO 639-1 where it has such a code); None where the source does not say.
    """

    id: str
    source: str
    identifiers: dict[str, str]
    title: str
    authors: tuple[str, ...] = ()
    date: str | None = None
    licence: str | None = None
    url: str | None = None
    text: str
    sections: tuple[Section, ...]
    annotations: tuple[Annotation, ...] = ()
    references: tuple[Reference, ...] = ()
    text_kept: TextKept | None = None
    retracted: str | None = None
    content_hash: str
    format: PayloadFormat | None = None
    versions: tuple[str, ...] = ()
    retracts: tuple[str, ...] = ()
    synthetic: bool = False
    study_type: str | None = None
    phases: tuple[str, ...] = ()
    language: str | None = None
    study: Study | None = None

    def header(self) -> dict[str, Any]:
        """Return what is to be known of the document without its text."""
        header = self.model_dump(mode="json", exclude=_LARGE)
        return {**header, "characters": len(self.text), "sections": len(self.sections)}


def hash_content(title: str, text: str) -> str:
    """Return the SHA-256 (hex) that identifies a document's content.

    Args:
        title: The document's title.
        text: The document's whole text.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(f"{title}\x00{text}".encode()).hexdigest()
