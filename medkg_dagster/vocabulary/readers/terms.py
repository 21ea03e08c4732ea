"""The terms of an ontology, in whatever form it is written, and the concepts that they are.

Left out are obsolete terms and terms that are imported from another ontology. The ids of obsolete terms
become former ids of what replaced them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from medkg_dagster.vocabulary.categories import category_of
from medkg_dagster.vocabulary.concepts import CURIE, Concept, curie_of, prefix_of
from medkg_dagster.vocabulary.readers.hierarchy import find_cycle
from medkg_dagster.vocabulary.readers.source_file import SourceFile

KEPT_SCOPES = frozenset({"EXACT", "RELATED", ""})
"""Synonyms that are names of the thing; broad and narrow ones are names of something else."""

CLOSE = ("is_conjugate_base_of", "is_conjugate_acid_of", "RO:0018034", "RO:0018033")
"""How ChEBI calls what a chemical is but for a proton, by its own names and by those of RO."""

_SHOWN = 12


@dataclass(slots=True)
class Term:
    """A term while it is read.

    Attributes:
        curie: Its identifier.
        name: Its name.
        synonyms: Its synonyms.
        same_as: What it refers to as the same.
        parents: What it is a kind of.
        roles: What it does or is used for.
        close: What it is nearly the same as.
        alternatives: Its other identifiers.
        is_obsolete: Whether it is no longer used.
        replaced_by: What is used instead.
        line: Where it is described.
    """

    curie: str = ""
    name: str = ""
    synonyms: list[str] = field(default_factory=list)
    same_as: list[str] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    close: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)
    is_obsolete: bool = False
    replaced_by: str = ""
    line: int = 1


def written_curie(text: str) -> str:
    """Return a CURIE with the prefix as the Biolink Model writes it; what is none stays as it is."""
    prefix, colon, identifier = text.strip().partition(":")
    return curie_of(prefix, identifier) if colon else prefix


def add_reference(term: Term, text: str, source: SourceFile) -> None:
    """Note what a term refers to as the same; what is no CURIE is counted."""
    curie = written_curie(text)
    if CURIE.fullmatch(curie) and "://" not in curie:
        term.same_as.append(curie)
    else:
        source.left_out["references that are no CURIE"] += 1


def concepts_of(terms: Sequence[Term], source: SourceFile, ontology: str) -> Iterator[Concept]:
    """Yield the concepts of terms.

    Args:
        terms: All terms of a file.
        source: The file.
        ontology: The ontology's name such as `mondo`; terms of others are imported. Where no term is of it,
            all are its own.

    Raises:
        VocabularyError: Its terms are kinds of each other in a circle, or there is none.
    """
    for term in terms:
        # The name of what is no longer used does not matter, and is often missing.
        source.add(term.curie, term.name or ("obsolete" if term.is_obsolete else ""), term.line)
    source.check_any("term")
    own = written_curie(f"{ontology}:").partition(":")[0].upper()
    if not any(prefix_of(term.curie).upper() == own for term in terms):
        own = ""
    former = _former(terms, source)
    found = []
    for term in terms:
        if term.is_obsolete:
            source.left_out["obsolete terms"] += 1
        elif own and prefix_of(term.curie).upper() != own:
            source.left_out["terms of other ontologies"] += 1
        else:
            found.append(_concept(term, former.get(term.curie, ())))
    if cycle := find_cycle({concept.curie: concept.parents for concept in found}):
        shown = cycle if len(cycle) <= _SHOWN else (*cycle[: _SHOWN - 1], "...", cycle[-1])
        path = " is_a ".join(shown)
        raise source.error(f"a cycle, {path}; take one is_a of it out", source.lines[cycle[0]])
    yield from found


def _concept(term: Term, former: Sequence[str]) -> Concept:
    return Concept(
        term.curie,
        term.name,
        category_of(prefix_of(term.curie)),
        synonyms=tuple(name for name in dict.fromkeys(term.synonyms) if name and name != term.name),
        same_as=tuple(other for other in dict.fromkeys(term.same_as) if other != term.curie),
        parents=tuple(dict.fromkeys(term.parents)),
        roles=tuple(dict.fromkeys(term.roles)),
        close=tuple(dict.fromkeys(term.close)),
        former=tuple(old for old in dict.fromkeys((*term.alternatives, *former)) if old != term.curie),
    )


def _former(terms: Sequence[Term], source: SourceFile) -> Mapping[str, Sequence[str]]:
    """Return the ids that terms in use had, by way of those that replaced one another."""
    by_curie = {term.curie: term for term in terms}
    final: dict[str, str] = {}
    former: defaultdict[str, list[str]] = defaultdict(list)
    for term in terms:
        if not term.is_obsolete:
            continue
        path: dict[str, None] = {}
        at: Term | None = term
        while at and at.is_obsolete and at.curie not in path and at.curie not in final:
            path[at.curie] = None
            at = by_curie.get(at.replaced_by)
        end = ""
        if at is not None and at.curie not in path:
            end = final.get(at.curie, "" if at.is_obsolete else at.curie)
        final.update(dict.fromkeys(path, end))
        if end:
            former[end] += (term.curie, *term.alternatives)
        else:
            source.left_out["ids of obsolete terms that nothing replaced"] += 1
    return former
