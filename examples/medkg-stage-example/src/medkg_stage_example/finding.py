"""Everything in a text that identifies a person, without overlaps."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from medkg_stage_example.config import DeidentifyConfig, IdentifierKind
from medkg_stage_example.contacts import find_emails, find_phones
from medkg_stage_example.dates import find_dates
from medkg_stage_example.numbers import find_ages, find_national_ids, find_record_numbers

# What looks like a date or a number and names a publication, a trial or a web page.
_REFERENCE = re.compile(
    r"""
    \b10\.\d{4,9}/[^\s<>"]+
  | \b(?:https?://|www\.)[^\s?\#<>"]+
  | \b(?:NCT|ISRCTN|ACTRN|DRKS|ChiCTR[-A-Z]*|jRCT[a-z]?|CTRI/|PMC|PMID:?[ ]?|arXiv:)[\d./]+
  | \b\d{4}-\d{6}-\d\d(?:-\d\d)?\b          # EudraCT
  | \b(?:\d{4}-){3}\d{3}[\dX]\b             # ORCID
  | \bISSN:?[ ]?\d{4}-\d{3}[\dX]\b
  | \bISBN(?:-1[03])?:?[ ]?[\dX -]{10,17}
  | \b\d{2,7}-\d\d-\d\b                     # CAS
    """,
    re.VERBOSE | re.IGNORECASE,
)
_HAS_ANY = re.compile(r"\d|[@\uff20]|ninety|[\[({] ?at ?[\])}]|[A-Z][a-z]{2}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One identifier.

    Attributes:
        kind: What it is.
        start: Its first character.
        end: One past its last.
        year: The year that may be kept of a date.
    """

    kind: IdentifierKind
    start: int
    end: int
    year: str | None = None


@dataclass(slots=True)
class _Stretches:
    """Stretches of a text that do not overlap."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def touch(self, start: int, end: int) -> bool:
        """Say whether one of them overlaps another stretch."""
        after = bisect_left(self.starts, end)
        return after > 0 and self.ends[after - 1] > start

    def add(self, start: int, end: int) -> None:
        """Add one that overlaps none."""
        place = bisect_left(self.starts, start)
        self.starts.insert(place, start)
        self.ends.insert(place, end)


class Finder:
    """Finds identifiers of the wanted kinds.

    Args:
        config: What is wanted.
    """

    def __init__(self, config: DeidentifyConfig) -> None:
        self._kinds = frozenset(config.kinds)
        self._own_patterns = tuple(re.compile(pattern) for pattern in config.record_patterns)

    def find(self, text: str) -> list[Finding]:
        """Return the identifiers of one block of text, in order and without overlaps.

        Args:
            text: The text.
        """
        if not self._own_patterns and not _HAS_ANY.search(text):
            return []
        findings, taken = [], _Stretches()
        for finding in self._candidates(text):
            if finding.start < finding.end and not taken.touch(finding.start, finding.end):
                findings.append(finding)
                taken.add(finding.start, finding.end)
        return sorted(findings, key=lambda finding: finding.start)

    def _candidates(self, text: str) -> Iterator[Finding]:
        """Yield what may be taken, what is certain first: what comes later yields to it."""
        if IdentifierKind.EMAIL in self._kinds:
            yield from (Finding(IdentifierKind.EMAIL, *span) for span in find_emails(text))
        if IdentifierKind.RECORD_NUMBER in self._kinds:
            for pattern in self._own_patterns:
                yield from (
                    Finding(IdentifierKind.RECORD_NUMBER, *match.span()) for match in pattern.finditer(text)
                )
        references = _Stretches()
        for match in _REFERENCE.finditer(text):
            references.add(*match.span())
        for finding in self._by_shape(text):
            if not references.touch(finding.start, finding.end):
                yield finding

    def _by_shape(self, text: str) -> Iterator[Finding]:
        for kind, find in (
            (IdentifierKind.NATIONAL_ID, find_national_ids),
            (IdentifierKind.RECORD_NUMBER, find_record_numbers),
        ):
            if kind in self._kinds:
                yield from (Finding(kind, *span) for span in find(text))
        if IdentifierKind.DATE in self._kinds:
            yield from (
                Finding(IdentifierKind.DATE, date.start, date.end, date.year) for date in find_dates(text)
            )
        for kind, find in ((IdentifierKind.PHONE, find_phones), (IdentifierKind.AGE, find_ages)):
            if kind in self._kinds:
                yield from (Finding(kind, *span) for span in find(text))
