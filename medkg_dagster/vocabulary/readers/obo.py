"""Ontologies as OBO files: stanzas of tags and values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.readers.source_file import SourceFile
from medkg_dagster.vocabulary.readers.terms import (
    CLOSE,
    KEPT_SCOPES,
    Term,
    add_reference,
    concepts_of,
    written_curie,
)

_STANZA = re.compile(r"\[(\w+)\]")
_TAG = re.compile(r"([\w.-]+):\s?(.*)", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*([A-Z]*)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPACES = {"n": " ", "t": " ", "W": " "}
_ROLES = frozenset({"has_role", "RO:0000087"})
_EXACT = frozenset({"exactMatch", "skos:exactMatch"})
_MONDO = re.compile(r'source="MONDO:(\w+)"')
"""MONDO says of each of its references whether it means the same."""


def read(path: Path, left_out: Counter[str] | None = None) -> Iterator[Concept]:
    """Read the terms of an OBO file.

    Args:
        path: The file.
        left_out: Counts what is left out, by its reason.

    Raises:
        VocabularyError: The file is not OBO or says what cannot be; the message names the line.
    """
    source = SourceFile(path, left_out)
    ontology, stanza = "", ""
    terms: list[Term] = []
    for written in source.text_lines():
        line = written.strip()
        if not line or line.startswith("!"):
            continue
        if found := _STANZA.fullmatch(line):
            stanza = found[1]
            if stanza == "Term":
                terms.append(Term(line=source.line))
            continue
        tag_value = _TAG.fullmatch(line)
        if tag_value is None:
            raise source.error(f"{line[:60]!r} is no `tag: value`; this is not an OBO file, or it is damaged")
        tag, value = tag_value.groups()
        if stanza == "Term":
            _set(terms[-1], tag, value, source)
        elif not stanza and tag == "ontology":
            ontology = value
    for term in terms:
        if not term.curie:
            raise source.error("a [Term] without an id; add one, or take it out", term.line)
    yield from concepts_of(terms, source, ontology)


def _set(term: Term, tag: str, value: str, source: SourceFile) -> None:
    match tag:
        case "id":
            term.curie, term.line = _reference(value), source.line
        case "name":
            term.name = _plain(_without_modifiers(value))
        case "synonym":
            _add_synonym(term, value, source)
        case "is_obsolete":
            term.is_obsolete = _first_word(value) == "true"
        case _:
            _relate(term, tag, value, source)


def _relate(term: Term, tag: str, value: str, source: SourceFile) -> None:
    match tag:
        case "xref":
            said = _MONDO.findall(value)
            if said and "equivalentTo" not in said:
                source.left_out["references to what is not the same"] += 1
            else:
                add_reference(term, _plain(_first_word(value)), source)
        case "alt_id":
            term.alternatives.append(_reference(value))
        case "is_a":
            term.parents.append(_reference(value))
        case "replaced_by":
            term.replaced_by = term.replaced_by or _reference(value)
        case "relationship" | "property_value":
            relation, _, other = value.partition(" ")
            if relation in _ROLES:
                term.roles.append(_reference(other))
            elif relation in CLOSE:
                term.close.append(_reference(other))
            elif relation in _EXACT:
                add_reference(term, _plain(_first_word(other)).strip('"'), source)


def _add_synonym(term: Term, value: str, source: SourceFile) -> None:
    found = _QUOTED.match(value)
    if found is None:
        raise source.error(f"the synonym {value[:60]!r} is not in quotation marks; put it in some")
    if found[2] in KEPT_SCOPES:
        term.synonyms.append(_plain(found[1]))
    else:
        source.left_out[f"{found[2].lower()} synonyms"] += 1


def _first_word(value: str) -> str:
    words = value.split(None, 1)
    return words[0] if words else ""


def _reference(value: str) -> str:
    return written_curie(_plain(_first_word(value)))


def _without_modifiers(value: str) -> str:
    """Return a value without what may stand behind it in braces, as in `{source="MONDO:patterns"}`."""
    start = value.rfind(" {") if value.endswith("}") else -1
    return value[:start] if start >= 0 and '="' in value[start:] else value


def _plain(text: str) -> str:
    if "\\" in text:
        text = _ESCAPED.sub(lambda found: _SPACES.get(found[1], found[1]), text)
    return text.strip()
