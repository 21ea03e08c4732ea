"""Gold corpora in PubTator's format: BC5CDR, NCBI Disease and BioRED.

A block of lines for each article: `PMID|t|title`, `PMID|a|abstract`, then by tabulators mentions (PMID,
start, end, surface, kind, identifiers) and relations (PMID, kind, one identifier, another one, ...).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medkg_dagster.domain.documents import Block, BlockKind, Document, Section, hash_content

DISEASE, CHEMICAL, GENE = "disease", "chemical", "gene"

_KINDS = {
    "Disease": DISEASE,
    "DiseaseOrPhenotypicFeature": DISEASE,
    "SpecificDisease": DISEASE,
    "DiseaseClass": DISEASE,
    "CompositeMention": DISEASE,
    "Modifier": DISEASE,
    "Chemical": CHEMICAL,
    "ChemicalEntity": CHEMICAL,
    "GeneOrGeneProduct": GENE,
}
_FILES = {
    ("bc5cdr", "training"): "CDR_TrainingSet.PubTator.txt",
    ("bc5cdr", "development"): "CDR_DevelopmentSet.PubTator.txt",
    ("ncbi_disease", "training"): "NCBItrainset_corpus.txt",
    ("ncbi_disease", "development"): "NCBIdevelopset_corpus.txt",
    ("biored", "training"): "Train_without_other_test_docs.PubTator",
    ("biored", "development"): "Dev_without_other_test_docs.PubTator",
}
_SEPARATORS = re.compile(r"[|+,]")
_INDUCED = frozenset({"CID", "Positive_Correlation"})
_MESH = re.compile(r"[CD]\d+")


@dataclass(frozen=True, slots=True)
class GoldMention:
    """A mention as a person marked it.

    Attributes:
        start: Its first character.
        end: One past its last.
        kind: `DISEASE`, `CHEMICAL` or `GENE`; empty for what is not looked for, a species or a variant.
        concepts: CURIEs of what it means; none where the vocabulary of the corpus had nothing for it.
    """

    start: int
    end: int
    kind: str
    concepts: frozenset[str]


@dataclass(frozen=True, slots=True)
class GoldArticle:
    """Title and abstract of an article, and what persons marked in them.

    Attributes:
        pmid: Its PMID.
        title: Its title.
        abstract: Its abstract.
        mentions: In order.
        pairs: CURIEs of two concepts that are related; in BC5CDR a chemical and the disease it induces.
        induced: Those of a chemical and what it induces; in BioRED what goes with more of the other.
    """

    pmid: str
    title: str
    abstract: str
    mentions: tuple[GoldMention, ...]
    pairs: frozenset[tuple[str, str]]
    induced: frozenset[tuple[str, str]] = frozenset()

    @property
    def text(self) -> str:
        """What the offsets are of."""
        return f"{self.title} {self.abstract}"

    def document(self) -> Document:
        """Return the document that stages work on, with the same offsets."""
        end, length = len(self.title), len(self.text)
        paragraphs = (
            Block(kind=BlockKind.PARAGRAPH, start=0, end=end),
            Block(kind=BlockKind.PARAGRAPH, start=end + 1, end=length),
        )
        return Document(
            id=f"PMID:{self.pmid}",
            source="infores:pubmed",
            identifiers={},
            title=self.title,
            authors=(),
            date=None,
            licence=None,
            text=self.text,
            sections=(Section(title="", start=0, end=length, blocks=paragraphs),),
            content_hash=hash_content(self.title, self.text),
        )


def corpus(data: Path, name: str, split: str) -> Iterator[GoldArticle]:
    """Yield the articles of a split of a corpus.

    Args:
        data: The folder with the corpora.
        name: `bc5cdr`, `ncbi_disease` or `biored`.
        split: `training` or `development`.
    """
    return read(data / f"gold_{name}" / _FILES[name, split])


def read(path: Path) -> Iterator[GoldArticle]:
    """Yield the articles of a file in order."""
    lines: list[str] = []
    for line in (*path.read_text("utf-8").splitlines(), ""):
        if line.strip():
            lines.append(line)
        elif lines:
            yield _article(lines)
            lines = []


def _article(lines: Sequence[str]) -> GoldArticle:
    (pmid, _, title), (_, _, abstract) = (line.split("|", 2) for line in lines[:2])
    mentions: list[GoldMention] = []
    pairs: set[tuple[str, str]] = set()
    induced: set[tuple[str, str]] = set()
    for line in lines[2:]:
        fields = line.split("\t")
        if fields[1].isdigit():
            kind = _KINDS.get(fields[4], "")
            concepts = _concepts(fields[5] if len(fields) > 5 else "", kind)
            mentions.append(GoldMention(int(fields[1]), int(fields[2]), kind, concepts))
        else:
            pairs.add((fields[2], fields[3]))
            if fields[1] in _INDUCED:
                induced.add((fields[2], fields[3]))
    curies = {
        concept.removeprefix("MESH:").removeprefix("NCBIGene:"): concept
        for one in mentions
        for concept in one.concepts
    }
    written, caused = (
        frozenset((curies.get(one, one), curies.get(other, other)) for one, other in said)
        for said in (pairs, induced)
    )
    return GoldArticle(pmid, title, abstract, tuple(mentions), written, caused)


def _concepts(written: str, kind: str) -> frozenset[str]:
    named = {one.strip() for one in _SEPARATORS.split(written)} - {"", "-", "-1"}
    return frozenset(_curie(one, kind) for one in named)


def _curie(identifier: str, kind: str) -> str:
    if _MESH.fullmatch(identifier):
        return f"MESH:{identifier}"
    return f"NCBIGene:{identifier}" if kind == GENE else identifier
