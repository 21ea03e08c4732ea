"""The words of a sentence with its mentions among them, as what weighs pairs of concepts reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from medkg_dagster.stage_api import Document, Entity
from medkg_dagster.stages.extract.sentences import Sentence

CHEMICAL, CONDITION, GENE = "chemical", "condition", "gene"

_KINDS = {
    "biolink:Drug": CHEMICAL,
    "biolink:SmallMolecule": CHEMICAL,
    "biolink:ChemicalEntity": CHEMICAL,
    "biolink:MolecularMixture": CHEMICAL,
    "biolink:Disease": CONDITION,
    "biolink:PhenotypicFeature": CONDITION,
    "biolink:DiseaseOrPhenotypicFeature": CONDITION,
    "biolink:Gene": GENE,
}
"""What is weighed; no family or kind of protein, of which the weights have seen none."""
_WORD = re.compile(r"[^\W\d_]+|[^\w\s]|\d[\d.,]*")
_SUMMARY = frozenset({"", "title", "abstract"})

# Words that tell what is between two concepts, by what they tell.
_CLASSES: Mapping[str, str] = {
    "cause": (
        "cause caused causes causing induce induced induces inducing produce produced produces "
        "producing trigger triggered triggers provoke provoked provokes result resulted results "
        "resulting lead leads led leading elicit elicited elicits evoke evoked evokes precipitate "
        "precipitated precipitates develop developed develops developing exacerbate exacerbated "
        "exacerbates"
    ),
    "due": (
        "due secondary following after attributed attributable related associated association during "
        "complication complications complicating effect effects adverse side toxicity toxic overdose"
    ),
    "treat": (
        "treat treats treated treating treatment treatments therapy therapies therapeutic efficacy "
        "effective management manage managed for against improve improved improves improvement "
        "improving"
    ),
    "prevent": (
        "prevent prevents prevented preventing prevention attenuate attenuated attenuates attenuating "
        "attenuation ameliorate ameliorated ameliorates reduce reduced reduces reducing reduction "
        "decrease decreased decreases protect protects protected protective protection reverse "
        "reversed reverses reversal block blocked blocks abolish abolished antagonize antagonized "
        "inhibit inhibited inhibits suppress suppressed suppresses alleviate alleviated relieve "
        "relieved relief control controlled"
    ),
    "negation": "no not without neither nor never lack absence failed",
    "risk": "risk incidence rate frequency prevalence risks odds likelihood",
    "people": (
        "patient patients women men children subjects adults infants rats mice rat mouse animals "
        "individuals volunteers"
    ),
    "given": (
        "receiving received receive given administered administration administering dose doses dosage "
        "infusion injection injected exposure exposed taking using use used intravenous oral "
        "ingestion initiation treated therapy intake"
    ),
    "link": (
        "associated association associations linked correlated correlation related relationship between"
    ),
    "gene": (
        "gene genes mutation mutations mutated mutant polymorphism polymorphisms variant variants "
        "allele alleles genotype genotypes expression expressed levels level activity protein mrna "
        "deficiency"
    ),
    "act": (
        "inhibits inhibited inhibitor inhibitors activates activated activator agonist antagonist "
        "binds binding interacts interaction increased increases decreased upregulated downregulated "
        "regulates regulated mediated mediates blocker receptor"
    ),
    "than": "than compared versus",
    "had": "had has have having showed shown experienced exhibited",
    "include": "include included includes including such",
    "be": "is are was were be been",
    "by": "by",
    "in": "in",
    "on": "on",
    "with": "with",
    "and": "and or",
}


def _told_by_words() -> Mapping[str, tuple[str, ...]]:
    told: dict[str, tuple[str, ...]] = {}
    for name, words in _CLASSES.items():
        for word in words.split():
            told[word] = (*told.get(word, ()), name)
    return told


_CLASSES_OF = _told_by_words()


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a concept stands among the words of a passage.

    Attributes:
        place: Its number among the words.
        curie: The concept.
        kind: `CHEMICAL`, `CONDITION` or `GENE`.
    """

    place: int
    curie: str
    kind: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence as words and concepts.

    Attributes:
        sentence: Where it stands.
        words: Its words and marks in lower case; None where a mention stands.
        classes: Of each word what it tells.
        slots: Its concepts in order.
        is_title: Whether it is in the document's title.
    """

    sentence: Sentence
    words: Sequence[str | None]
    classes: Sequence[tuple[str, ...]]
    slots: Sequence[Slot]
    is_title: bool


def summary_end(document: Document) -> int:
    """Return where title and abstract end."""
    end = 0
    for section in document.sections:
        if section.level == 1 and section.title.strip().lower() not in _SUMMARY:
            break
        end = section.end
    return end


def passage(document: Document, sentence: Sentence, entities: Sequence[Entity], *, is_title: bool) -> Passage:
    """Return a sentence as words and concepts.

    Args:
        document: The document.
        sentence: The sentence.
        entities: Its mentions in order.
        is_title: Whether it is in the document's title.
    """
    words: list[str | None] = []
    slots: list[Slot] = []
    done, last = sentence.start, -1
    for entity in entities:
        kind = _KINDS.get(entity.category)
        if kind is None or entity.start is None or entity.end is None:
            continue
        if entity.start >= done:
            words += _words(document.text, done, entity.start)
            last = len(words)
            words.append(None)
            done = entity.end
        slots.append(Slot(last, entity.curie, kind))
    words += _words(document.text, done, sentence.end)
    classes = [_CLASSES_OF.get(word, ()) if word else () for word in words]
    return Passage(sentence, words, classes, slots, is_title)


def _words(text: str, start: int, end: int) -> Iterator[str]:
    return iter(_WORD.findall(text[start:end].lower()))
