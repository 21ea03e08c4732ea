"""Finds genes by their symbols and names, as far as the whole document bears them out.

Symbols are short, and many are words or abbreviations of other things, so this is the rule:

1.  A name of words is found in any case. A symbol is found as it is written, with two capitals, or, where it
    has a digit and at least four characters, in any case. With only its first letter a capital it is found
    where neither the word before nor the one behind begins with one, so that no title is taken for genes.
2.  What may be something else needs support: a synonym that is a symbol without a digit, or a common word; a
    symbol of fewer than four characters that is not the approved one, or that is written as a base triplet; a
    symbol of several genes, or of something that is no gene. Support is another name of the gene somewhere in
    the document that needs none, or, beside the symbol anywhere, a word that is said of genes and proteins.
    A name in words that is that of something else, such as a disease, is never the gene's.
3.  A name of several genes is that of the one whose approved symbol it is, else of the only one with support.
4.  Genes are those of man. A document that speaks of another species, and hardly of persons, names none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from medkg_dagster.stages.extract.mentions import Mention
from medkg_dagster.stages.extract.sentences import NUMBERED
from medkg_dagster.stages.extract.species import SPOKEN_OF, is_of_other_species
from medkg_dagster.vocabulary.artefact import VocabularyArtefact
from medkg_dagster.vocabulary.categories import GENE, PROTEIN
from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.symbols import KeyedText, gaps, keyed
from medkg_dagster.vocabulary.written_names import SYMBOL

_SHORT = 4
_OF_GENES = frozenset({GENE, PROTEIN})
_PROTEINS = frozenset({"biolink:ChemicalEntity"})
_WORD = re.compile(r"(?<![A-Za-z])[a-z]{4,}")
_DIGIT = re.compile(r"\d")
_CAPITAL = re.compile(r"[^\W\d_a-z]")
_PLURAL = re.compile(r"[A-Z\d]s$")
_WORD_WITH_NUMBER = re.compile(r"[a-z]+\s\d")
_CODON = re.compile(r"[ACGTU]{3}")
_PROTEIN_ENDING = re.compile(r"(?:in|ase|gen|kine|or)s?$")
"""Common words that are names of genes ("spindle", "hinge") do not end as names of proteins do."""

_ADJECTIVE = re.compile(r"(?:al|ar|ic|ous|ive)$")

_NEAR = 30
_BEHIND = re.compile(
    r"[\s)\]]*[\s-]?(?:genes?|proteins?|mrnas?|receptors?|expression|mutations?|mutants?|mutated|promoters?|"
    r"polymorphisms?|alleles?|isoforms?|transcripts?|knock-?(?:out|down|in)|deficien(?:t|cy)|null|sirnas?|"
    r"shrnas?|kinases?|phosphorylation|overexpression|variants?|loc(?:us|i)|exons?)(?!\w)|-/-",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"(?:\b(?:genes?|proteins?|mrnas?|expression of|levels of|mutations? (?:in|of)|variants? (?:in|of)|"
    r"loss of|expressing|encod(?:es|ing)|knock-?(?:out|down) of|anti|wild-type|mutant|phosphorylated|phospho|"
    r"recombinant|receptors?|cytokines?|kinases?|transcription factors?)"
    r"[\s\-:]*(?:the |named |called )?[\s(\[]*)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What may be a gene's name.

    Attributes:
        start: Its first character.
        end: One past its last.
        genes: The numbers of the genes that it can name.
        is_sure: Whether it needs no support.
        is_adjective: Whether it is one ("spatial"), which only another name of the gene supports.
    """

    start: int
    end: int
    genes: tuple[int, ...]
    is_sure: bool
    is_adjective: bool = False


class GeneFinder:
    """Finds genes in the sentences of a document.

    Args:
        artefact: The vocabulary.
        min_term_length: Shorter names are not looked for.
    """

    def __init__(self, artefact: VocabularyArtefact, min_term_length: int) -> None:
        self._artefact = artefact
        self._min_length = min_term_length
        self._named: dict[str, tuple[tuple[int, str, bool], ...]] = {}
        self._others: dict[str, frozenset[str]] = {}
        self._concepts: dict[int, Concept] = {}

    def find(self, sentences: Sequence[str]) -> list[tuple[Mention, ...]]:
        """Return the genes that each sentence names, in order and without overlap.

        Args:
            sentences: All of a document; what one says supports what is found in another.
        """
        texts = [keyed(sentence) for sentence in sentences]
        words = (
            word
            for sentence, text in zip(sentences, texts, strict=True)
            for _, start, word in text.begins
            if word in SPOKEN_OF
            # What is in capitals is no word: CAT is a gene.
            and not sentence[start : start + 2].isupper()
        )
        if is_of_other_species(words):
            return [()] * len(texts)
        found = [
            list(self._candidates(sentence, text)) for sentence, text in zip(sentences, texts, strict=True)
        ]
        named = {one.genes[0] for one in chain.from_iterable(found) if one.is_sure}
        among_genes = {
            sentence[one.start : one.end]
            for sentence, candidates in zip(sentences, found, strict=True)
            for one in candidates
            if not (one.is_sure or one.is_adjective) and _is_among_genes(sentence, one.start, one.end)
        }
        return [
            tuple(
                Mention(one.start, one.end, self._concept(gene))
                for one in candidates
                if (gene := _believed(one, named, sentence[one.start : one.end] in among_genes)) is not None
            )
            for sentence, candidates in zip(sentences, found, strict=True)
        ]

    def _candidates(self, sentence: str, text: KeyedText) -> Iterator[_Candidate]:
        done = 0
        symbols = self._artefact.search.symbols
        for number, (place, start, _) in enumerate(text.begins):
            if start < done:
                continue
            for name in reversed(symbols(text, number)):
                end = text.ends.get(place - len(SYMBOL) + len(name))
                if end is None or end - start < self._min_length:
                    continue
                if (found := self._read(sentence, start, end, name)) is not None:
                    done = end
                    yield found
                    break

    def _read(self, sentence: str, start: int, end: int, name: str) -> _Candidate | None:
        possible = [
            one for one in self._meanings(name) if _can_be_written(sentence, start, end, written=one[1])
        ]
        if not possible:
            return None
        surface = sentence[start:end]
        approved = [one for one in possible if one[2]]
        genes = tuple(dict.fromkeys(gene for gene, _, _ in approved or possible))
        is_in_words = any(_WORD.search(one) for _, one, _ in possible)
        others = self._other_kinds(surface)
        if is_in_words and others:
            return None
        is_telling = _is_telling(surface, is_in_words=is_in_words, is_approved=bool(approved))
        return _Candidate(
            *(start, end, genes),
            is_sure=len(genes) == 1 and is_telling and not others,
            is_adjective=is_in_words and not is_telling and _ADJECTIVE.search(surface) is not None,
        )

    def _meanings(self, name: str) -> tuple[tuple[int, str, bool], ...]:
        """Return the genes with a name, how it is written of each, and whether it is the approved symbol."""
        found = self._named.get(name)
        if found is None:
            meanings = self._artefact.meanings(self._artefact.search.number(name))
            things = ((one, self._artefact.thing(one.thing)) for one in meanings)
            found = self._named[name] = tuple(
                (one.thing, (thing.name, *thing.synonyms)[one.name], one.name == 0) for one, thing in things
            )
        return found

    def _other_kinds(self, surface: str) -> frozenset[str]:
        """Return of which other kinds something is that is called so; proteins are chemicals in ChEBI."""
        found = self._others.get(surface)
        if found is None:
            things = map(self._artefact.thing, self._artefact.find(surface))
            own = _OF_GENES | _PROTEINS if _WORD.search(surface) else _OF_GENES
            found = self._others[surface] = frozenset(thing.category for thing in things) - own
        return found

    def _concept(self, number: int) -> Concept:
        found = self._concepts.get(number)
        if found is None:
            thing = self._artefact.thing(number)
            found = self._concepts[number] = Concept(thing.curie, thing.name, thing.category, thing.synonyms)
        return found


def with_genes(mentions: Iterable[Mention], genes: Sequence[Mention]) -> tuple[Mention, ...]:
    """Return a sentence's mentions with the genes that were found on their own, in order, without overlap.

    Of two that overlap the longer one stays, of two of one length the gene.
    """
    if not genes:
        return tuple(mentions)
    found: list[Mention] = []
    for one in sorted((*genes, *mentions), key=lambda each: each.start):
        # Neither of the two lists overlaps with itself, so that only the last one can be in the way.
        if found and one.start < found[-1].end:
            if _length(one) <= _length(found[-1]):
                continue
            found.pop()
        found.append(one)
    return tuple(found)


def _length(mention: Mention) -> tuple[int, bool]:
    return mention.end - mention.start, mention.concept.category == GENE


def _believed(one: _Candidate, named: set[int], is_among_genes: bool) -> int | None:
    """Return the gene that a candidate is taken for, if any."""
    supported = [gene for gene in one.genes if gene in named]
    if len(supported) == 1:
        return supported[0]
    return one.genes[0] if len(one.genes) == 1 and (one.is_sure or is_among_genes) else None


def _can_be_written(sentence: str, start: int, end: int, *, written: str) -> bool:
    """Say whether a place can be meant as a name, by its case and its spaces."""
    surface = sentence[start:end]
    is_ion = sentence.startswith("+", end)
    if surface == written or is_ion:
        return not is_ion
    is_plural = _PLURAL.search(surface) is not None and written.endswith("S")
    if is_plural or gaps(surface) != gaps(written):
        return False
    return _WORD.search(written) is not None or _is_cased(sentence, start, end, written[0])


def _is_cased(sentence: str, start: int, end: int, first: str) -> bool:
    """Say whether a place has the capitals of a symbol, which begins with some character."""
    surface = sentence[start:end]
    letters, characters = sum(map(str.isalpha, surface)), sum(map(str.isalnum, surface))
    capitals = sum(map(str.isupper, surface))
    if capitals > 1 or (capitals and capitals == letters):
        return True
    if letters < characters:
        is_word = _WORD_WITH_NUMBER.match(surface) or surface.partition(" ")[0].lower() in NUMBERED
        return not is_word and (characters >= _SHORT or capitals > 0 or first.islower())
    return characters >= _SHORT and surface[0].isupper() and not _is_in_title(sentence, start, end)


def _is_telling(surface: str, *, is_in_words: bool, is_approved: bool) -> bool:
    """Say whether a name can hardly be that of anything else."""
    if is_in_words:
        is_word = surface.isalpha() and surface.islower()
        return is_approved or not is_word or _PROTEIN_ENDING.search(surface) is not None
    if _CODON.fullmatch(surface):
        return False
    has_digit = _DIGIT.search(surface) is not None
    return is_approved or (has_digit and sum(map(str.isalnum, surface)) >= _SHORT)


def _is_in_title(sentence: str, start: int, end: int) -> bool:
    before = sentence[max(0, start - _NEAR) : start].split()
    behind = sentence[end : end + _NEAR].split()
    if not before or before[-1][-1] in ".:!?":
        return True
    return any(map(_CAPITAL.match, (before[-1], *behind[:1])))


def _is_among_genes(sentence: str, start: int, end: int) -> bool:
    """Say whether a word beside a place is said of genes and proteins."""
    before = sentence[max(0, start - _NEAR) : start]
    return _BEHIND.match(sentence, end) is not None or _BEFORE.search(before) is not None
