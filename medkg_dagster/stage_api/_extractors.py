"""Extractors: what they return, and what is expected of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from medkg_dagster.domain.documents import Document
from medkg_dagster.domain.knowledge import Claim, Entity

if TYPE_CHECKING:
    from medkg_dagster.stage_api._context import StageContext
    from medkg_dagster.stage_api._documents import DocumentContext


class Extraction(NamedTuple):
    """What an extractor finds in one document.

    Attributes:
        entities: Mentions of concepts, those of structured fields first, then by offset.
        claims: What is said about them: each end is the concept of an entity, each sentence stands in the
            document's text where its offsets say.
    """

    entities: Sequence[Entity]
    claims: Sequence[Claim]


class Extractor(Protocol):
    """Finds what a document mentions and says."""

    @property
    def version(self) -> str:
        """Names the rules, and the model where there is one: another version may find something else."""

    def extract(self, ctx: DocumentContext, document: Document) -> Extraction:
        """Return what a document mentions and says.

        Raises:
            DocumentError: The document is at fault.
            SourceError: A service it asks is away, or refuses.
        """


@runtime_checkable
class PreparedExtractor(Extractor, Protocol):
    """An extractor that opens something before the first document, a vocabulary or a model."""

    def prepare(self, ctx: StageContext) -> None:
        """Open what it needs, once in a process that has documents to work on.

        Raises:
            ConfigError: It cannot be opened.
        """

    def fingerprints(self, ctx: StageContext) -> Mapping[str, str]:
        """Return by name the hashes of all that its results depend on beside its version and parameters.

        Raises:
            ConfigError: It cannot be found.
        """


def claim_id(
    document: Document,
    *,
    extractor: str,
    subject: str,
    predicate: str,
    object_: str,
    negated: bool,
    start: int,
    end: int,
    apart: Sequence[str] = (),
) -> str:
    """Return the id of a claim: the same statement of the same text by the same extractor has the same one.

    Args:
        document: The document that states it.
        extractor: Which extractor says so, without its version.
        subject: CURIE of the subject.
        predicate: Biolink predicate.
        object_: CURIE of the object.
        negated: Whether it is denied.
        start: First character of its evidence.
        end: One past the last.
        apart: What else tells it from others of these words: qualifiers, a field of a record, a model.
    """
    said = (document.id, document.content_hash, extractor, subject, predicate, object_, str(negated).lower())
    parts = (*said, str(start), str(end), *apart)
    return hashlib.sha256("".join(f"{part}\x00" for part in parts).encode()).hexdigest()[:32]
