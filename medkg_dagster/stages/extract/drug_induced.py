"""Diseases that a text says a chemical brought about, where a vocabulary has these apart.

"Levodopa-induced dyskinesia" is what the vocabulary calls drug-induced dyskinesia, "hypersensitivity to
penicillin" a drug allergy; and so is each dyskinesia and hypersensitivity of that document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from medkg_dagster.stages.extract.mentions import Mention
from medkg_dagster.stages.extract.terms import KnownConcepts
from medkg_dagster.vocabulary.categories import CHEMICALS, DISEASES
from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.names import fold

Found = tuple[Mention, ...]

_FORMS = ("drug-induced {}", "drug {}")
_BRINGING_ABOUT = re.compile(
    r"[- ](?:induced|associated|related|provoked|mediated|triggered)(?: [\w-]+){0,3} |"
    r"(?: [\w-]+){0,2} (?:causes?|caused|induces?|induced|produced?|provoked?)(?: [\w-]+){0,3} "
)
"""What stands between a chemical and what it brings about."""
_COMING_FROM = re.compile(
    r",?(?: [\w-]+){0,3} (?:induced by|caused by|due to|secondary to|associated with|related to|following|"
    r"after|during|from|with|in response to|to)(?: [\w-]+){0,4} "
)
"""What stands between a disease and the chemical that brought it about."""
_FURTHEST, _MOST = 80, 10


class DrugInduced:
    """Reads diseases that a chemical brought about as what they are then.

    Args:
        known: What has which name.
    """

    def __init__(self, known: KnownConcepts) -> None:
        self._known = known
        self._forms: dict[tuple[str, str], Concept | None] = {}

    def read(self, texts: Sequence[str], mentioned: Sequence[Found]) -> list[Found]:
        """Return the mentions of a document's sentences, each such disease as the drug-induced one.

        Args:
            texts: The sentences.
            mentioned: The mentions in each.
        """
        forms: dict[str, Concept] = {}
        for text, mentions in zip(texts, mentioned, strict=True):
            for disease in _brought_about(text, mentions):
                form = self._form(disease.concept, text[disease.start : disease.end])
                if form is not None:
                    forms[disease.concept.curie] = form
        if not forms:
            return list(mentioned)
        return [
            tuple(replace(one, concept=forms.get(one.concept.curie, one.concept)) for one in mentions)
            for mentions in mentioned
        ]

    def _form(self, disease: Concept, surface: str) -> Concept | None:
        key = disease.curie, fold(surface)
        if key not in self._forms:
            self._forms[key] = next(self._drug_induced(disease, key[1]), None)
        return self._forms[key]

    def _drug_induced(self, disease: Concept, surface: str) -> Iterator[Concept]:
        for name in dict.fromkeys((surface, *disease.names)):
            for form in _FORMS:
                found = self._known.by_name(form.format(name))
                if found is not None and found.category in DISEASES and found.curie != disease.curie:
                    yield found


def _brought_about(text: str, mentions: Found) -> Iterator[Mention]:
    """Yield the diseases of a sentence that it says a chemical brought about."""
    for number, first in enumerate(mentions):
        for second in mentions[number + 1 : number + _MOST]:
            if second.start - first.end > _FURTHEST:
                break
            kinds = first.concept.category, second.concept.category
            if kinds[0] in CHEMICALS and kinds[1] in DISEASES:
                if _BRINGING_ABOUT.fullmatch(text, first.end, second.start):
                    yield second
            elif (
                kinds[0] in DISEASES
                and kinds[1] in CHEMICALS
                and _COMING_FROM.fullmatch(text, first.end, second.start)
            ):
                yield first
