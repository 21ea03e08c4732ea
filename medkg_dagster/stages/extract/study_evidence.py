"""Which text of a study is narrative: where it names what fields assert, and where it states more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import ahocorasick_rs

from medkg_dagster.stage_api import Document
from medkg_dagster.stages.extract.sentences import Sentence
from medkg_dagster.stages.extract.study_names import Named
from medkg_dagster.vocabulary.names import fold

_NARRATIVE = frozenset(
    {"Title", "Official title", "Brief summary", "Detailed description", "Interventions", "Arms"}
)
_STATING = frozenset({"Brief summary", "Detailed description"})
_MAX_SENTENCES, _MAX_SENTENCE = 500, 1500
_WORD = re.compile(r"\w")


def is_stating(document: Document, sentence: Sentence) -> bool:
    """Say whether a sentence may state something: of a study only one of its descriptions does.

    The rest of a record are titles, criteria, lists and tables of what may be, is sought or was counted.
    """
    return document.study is None or sentence.section in _STATING


class Naming:
    """Finds the first sentence of a record's narrative that names two things.

    Args:
        document: The document of the record.
        sentences: Its sentences.
        named: The things.
    """

    def __init__(self, document: Document, sentences: Sequence[Sentence], named: Iterable[Named]) -> None:
        self._sentences = [
            one for one in sentences if one.section in _NARRATIVE and one.end - one.start <= _MAX_SENTENCE
        ][:_MAX_SENTENCES]
        self._found: dict[str, set[int]] = {}
        curies: dict[str, dict[str, None]] = {}
        for one in named:
            self._found[one.concept.curie] = set()
            for name in filter(None, map(fold, (one.surface, one.concept.name))):
                curies.setdefault(name, {})[one.concept.curie] = None
        if curies:
            self._search(document, curies)

    def _search(self, document: Document, curies: Mapping[str, Iterable[str]]) -> None:
        names = list(curies)
        automaton = ahocorasick_rs.AhoCorasick(names, matchkind=ahocorasick_rs.MatchKind.Standard)
        for number, place in enumerate(self._sentences):
            text = fold(document.text[place.start : place.end])
            for which, start, end in automaton.find_matches_as_indexes(text, overlapping=True):
                if not (start and _WORD.match(text, start - 1)) and not _WORD.match(text, end):
                    for curie in curies[names[which]]:
                        self._found[curie].add(number)

    def both(self, one: Named, other: Named) -> Sentence | None:
        """Return the first sentence that names both; None where there is none."""
        both = self._found[one.concept.curie] & self._found[other.concept.curie]
        return self._sentences[min(both)] if both else None
