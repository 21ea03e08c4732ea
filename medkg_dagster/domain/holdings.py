"""What a source lists, what became of it, and the documents it stands for."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import Field

from medkg_dagster.domain import OwnValue
from medkg_dagster.domain.documents import TextKept


class DocumentStatus(StrEnum):
    """Whether a document is shown, or why it is not."""

    CURRENT = "current"
    """A source holds it, and nothing speaks against it."""
    QUARANTINED = "quarantined"
    """It cannot be used: unreadable or empty."""
    SUPERSEDED = "superseded"
    """Another document stands in its place: a duplicate, or a later version under another id."""
    RETRACTED = "retracted"
    """It was retracted, or is the notice of a retraction."""
    WITHDRAWN = "withdrawn"
    """No source lists it any more, or somebody withdrew it."""


def short_name(origin: str) -> str:
    """Return the last part of a file's path or of an address, for display."""
    return origin.rstrip("/").rpartition("/")[2]


class ListedItem(OwnValue):
    """One payload of a listing.

    Attributes:
        id: The payload's id.
        origin: The file or URL it came from.
        content_hash: SHA-256 (hex) of its bytes.
    """

    id: str
    origin: str
    content_hash: str


class Listing(OwnValue):
    """What a source gave for one request: a source with its parameters.

    Attributes:
        stage: The stage that asked.
        source: The source's name.
        parameters: Its parameters as written.
        items: What it gave.
        is_full: Whether that is all it has, so that what it no longer lists is gone.
        refused: What it has and could not be used: name to reason.
    """

    stage: str
    source: str
    parameters: dict[str, Any]
    items: tuple[ListedItem, ...]
    is_full: bool
    refused: dict[str, str] = Field(default_factory=dict)


class ListingOutcome(OwnValue):
    """What a listing changed.

    Attributes:
        current: Items the request holds now.
        new: Those it did not hold before.
        changed: Those whose content is another now.
        withdrawn: Items it held and lists no more, taken from it.
        waiting: Items it lists no more and holds still: too many to go without somebody's word.
    """

    current: int
    new: int
    changed: int
    withdrawn: int
    waiting: int


class ParsedDocument(OwnValue):
    """The document that a payload was found to be.

    Attributes:
        item: The payload's id.
        item_hash: SHA-256 (hex) of the payload's bytes.
        id: The document's CURIE.
        title: Its title.
        source: Its infores CURIE.
        url: Its landing page.
        content_hash: Its content hash.
        synthetic: Whether it is invented.
        identifiers: Every identifier that it gives, by scheme.
        versions: CURIEs of what it states to be versions of itself.
        retracts: CURIEs of the articles whose retraction it is the notice of.
        date: Its date, as precise as its source.
        rank: How good a form of its work it is, see `rank_of`.
        text_kept: How much of its source is in it; None where nobody counted.
    """

    item: str
    item_hash: str
    id: str
    title: str
    source: str
    url: str | None
    content_hash: str
    synthetic: bool = False
    identifiers: dict[str, str] = Field(default_factory=dict)
    versions: tuple[str, ...] = ()
    retracts: tuple[str, ...] = ()
    date: str | None = None
    rank: tuple[int, int] = (1, 0)
    text_kept: TextKept | None = None


class UsedForm(NamedTuple):
    """Whether a document is shown, and in which of its forms.

    Attributes:
        status: Whether it is shown.
        key: The best of its forms that are current, whichever request holds it; None where none is known.
        is_own: Whether the job that asks holds it.
        is_apart: Whether somebody said that it is no form of another document.
    """

    status: DocumentStatus
    key: str | None
    is_own: bool
    is_apart: bool = False


class HeldForm(NamedTuple):
    """A form of a document that a request holds, and that nothing speaks against.

    Attributes:
        key: Names the form in stores: which item of which request it is, and its content, between dots.
        is_own: Whether the job that asks holds it.
    """

    key: str
    is_own: bool

    @property
    def place(self) -> str:
        """Which item of which request it is."""
        return self.key.rpartition(".")[0]

    @property
    def content(self) -> str:
        """What the item was found to be; the same for copies."""
        return self.key.rpartition(".")[2]


class KnownDocument(OwnValue):
    """A document as the ledger knows it.

    Attributes:
        id: Its CURIE.
        title: Its title; empty where only a store knew it.
        source: Its infores CURIE.
        origin: The file or URL it came from.
        url: Its landing page.
        date: Its date, as precise as its source.
        identifiers: Every identifier that it gave when it was parsed last, by scheme.
        content_hash: Its content hash when it was parsed last.
        synthetic: Whether it is invented, and no evidence.
        status: Whether it is shown.
        reason: Why it is not; None for one that is current.
        decided_by: Who withdrew it; None where nobody did.
        apart_by: Who said that it is no form of another document; None where nobody did.
        since: When it was first known.
        changed_at: When its status or content changed last.
        text_kept: How much of its source was in it when it was parsed last; None where nobody counted.
    """

    id: str
    title: str
    source: str
    origin: str
    url: str | None
    date: str | None
    identifiers: dict[str, str]
    content_hash: str
    synthetic: bool
    status: DocumentStatus
    reason: str | None
    decided_by: str | None
    apart_by: str | None
    since: str
    changed_at: str
    text_kept: TextKept | None = None


class Holding(OwnValue):
    """One item that a request holds.

    Attributes:
        pipeline: The pipeline that asks for it.
        source: The source's name.
        parameters: Its parameters as written.
        item: The payload's id.
        origin: The file or URL it came from.
        status: What became of it; superseded, too, where a better form of the document is used.
        reason: Why it is not current.
        unlisted_at: Since when the source lists it no more; it is held until somebody accepts that.
        job_id: The job that asked for it last; None where none did.
    """

    pipeline: str
    source: str
    parameters: dict[str, Any]
    item: str
    origin: str
    status: DocumentStatus
    reason: str | None
    unlisted_at: str | None
    job_id: str | None = None


class StageVerdict(OwnValue):
    """What a stage of a job made of a document last.

    Attributes:
        pipeline: The pipeline's name.
        job_id: The job's id.
        stage: The stage's name.
        outcome: `done`, `set aside`, `not reached` behind a stage that set it aside, or how the stage ended.
        message: Why it was set aside.
        at: When the stage ended; None while it runs.
    """

    pipeline: str
    job_id: str
    stage: str
    outcome: str
    message: str | None
    at: str | None


class DocumentExplanation(OwnValue):
    """Why a document stands as it does.

    Attributes:
        id: Its CURIE, or the id of an item that was found to be no document.
        known: The document; None where it is none.
        forms: The other forms of the same work, the best first.
        holdings: Who holds it.
        stages: What each stage made of it, of the jobs that asked for it last.
    """

    id: str
    known: KnownDocument | None
    forms: tuple[str, ...]
    holdings: tuple[Holding, ...]
    stages: tuple[StageVerdict, ...]


class DocumentChange(OwnValue):
    """A change of a document.

    Attributes:
        document_id: Its CURIE.
        at: When.
        change: `new`, `content` or `status`.
        status: Its status from then on.
        reason: Why it is not current.
        title: Its title today.
        origin: The file or address it came from.
    """

    document_id: str
    at: str
    change: str
    status: DocumentStatus
    reason: str | None
    title: str
    origin: str
