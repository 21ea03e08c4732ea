"""Counts how much of a source its document holds, apart from parsing: all text nodes, all leaves, all lines.

Words are counted as often as they stand there, wherever the document has them. A word is a run of letters or
one digit, so that `10^5` has the digits of `10<sup>5</sup>`, and what stands between is no matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from types import MappingProxyType
from typing import Any

from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.stage_api import BlockKind, Document, StageContext, TextKept
from medkg_dagster.stages.parse.document_text import clean
from medkg_dagster.stages.parse.xml import Element, child_nodes, plain_text
from medkg_dagster.stages.parse.xml.elements import INSIDE_WORDS
from medkg_dagster.stages.parse.xml.formulas import LEAVES, formula_text
from medkg_dagster.stages.parse.xml.inline import opens_a_block

_WORD = re.compile(r"[^\W\d_]+|\d")
_CHARACTER = re.compile(r"\w")
_SCRIPT_MARK = re.compile(r"[\^_]")
_WORST = 10

Texts = Mapping[str, str]
"""The texts of a source by the reason why they are left out; under the empty reason what is to be kept."""

_NONE: Texts = MappingProxyType({})


def with_text_kept(document: Document, source: Texts, between: Texts = _NONE) -> Document:
    """Return a document that says how much of its source it holds.

    Args:
        document: The document as parsed.
        source: All texts of what it was parsed from.
        between: What a form in between left out, by reason; it explains what is lost of the source, no more.
    """
    expected = _count(source.get("", ""))
    kept = (expected & _count(" ".join(_held(document)))).total()
    left_out = {reason: _count(text).total() for reason, text in sorted(source.items()) if reason}
    lost = expected.total() - kept
    for reason, text in between.items():
        explained = min(lost, _count(text).total() if reason else 0)
        left_out[reason] = left_out.get(reason, 0) + explained
        lost -= explained
    left_out[UNEXPLAINED] = lost
    left_out = {reason: count for reason, count in left_out.items() if count}
    found = kept + sum(left_out.values())
    text_kept = TextKept(found=found, kept=kept, left_out=left_out, tables=count_tables(document))
    return document.model_copy(update={"text_kept": text_kept})


def count_tables(document: Document) -> int:
    """Return how many tables the text of a document has."""
    blocks = (block for section in document.sections for block in section.blocks)
    return sum(block.kind is BlockKind.TABLE for block in blocks)


def xml_texts(root: Element, reason_of: Callable[[Element, str], str]) -> Texts:
    """Return all text nodes below an element.

    Args:
        root: The element.
        reason_of: Says why an element and all in it is left out; empty for one that is not.
    """
    texts: dict[str, list[str]] = {}
    _gather(root, "", reason_of, texts)
    return {reason: "".join(parts) for reason, parts in texts.items()}


def _gather(
    element: Element,
    reason: str,
    reason_of: Callable[[Element, str], str],
    texts: dict[str, list[str]],
) -> None:
    for node, tag in child_nodes(element):
        if isinstance(node, str):
            texts.setdefault(reason, []).append(node)
            continue
        inner = reason or reason_of(node, tag)
        joined = inner == reason and tag in INSIDE_WORDS and not (tag == "sup" and opens_a_block(node))
        if not joined:
            texts.setdefault(inner, []).append(" ")
        if tag == "math":
            texts.setdefault(inner, []).append(_formula(node))
        else:
            _gather(node, inner, reason_of, texts)
        if not joined:
            texts.setdefault(reason, []).append(" ")
            texts[inner].append(" ")


def _formula(element: Element) -> str:
    """Return a formula on one line where that has all letters and digits of the leaves, else the leaves."""
    leaves = " ".join(plain_text(leaf) for leaf in element.iter(*LEAVES))
    line = formula_text(element) or ""
    is_whole = Counter(_CHARACTER.findall(leaves)) <= Counter(_CHARACTER.findall(line))
    return line if is_whole else leaves


def _count(text: str) -> Counter[str]:
    return Counter(_WORD.findall(_SCRIPT_MARK.sub("", clean(text)).casefold()))


def _held(document: Document) -> Iterator[str]:
    yield document.text
    yield from document.authors
    yield from document.identifiers.values()
    yield from _told(document.date, document.licence, document.url, document.title)
    for reference in document.references:
        yield from _told(reference.text, *reference.identifiers.values())
    for annotation in document.annotations:
        yield from _told(annotation.name, annotation.curie, annotation.intervention_type)


def _told(*values: str | None) -> Iterable[str]:
    return filter(None, values)


def describe_text_kept(ctx: StageContext, documents: Sequence[Mapping[str, Any]], warning: float) -> None:
    """Show how much of their sources documents hold, in percent, and which of them hold least, and why.

    Args:
        ctx: The stage's surroundings.
        documents: The documents' headers.
        warning: The share of what is to be read below which something is wrong with a document.
    """
    sums = [(kept.kept, kept.found) for _, kept in _counted(documents)]
    found = sum(of for _, of in sums)
    if not found:
        return
    ctx.describe("text_kept_percent", _percent(sum(held for held, _ in sums), found))
    _describe_lost(ctx, [(header, kept) for header, kept in _counted(documents) if kept.share < warning])
    rows = (
        {
            "document": header["id"],
            "title": header["title"],
            "percent": _percent(kept.kept, kept.found),
            "left_out": ", ".join(f"{reason}: {count}" for reason, count in kept.left_out.items()),
        }
        for header, kept in _counted(documents)
        if kept.kept < kept.found
    )
    if worst := nsmallest(_WORST, rows, key=_least_first):
        ctx.describe("text_left_out", worst)


def _counted(documents: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], TextKept]]:
    """Yield the headers that say how much is held, one at a time: there may be a great many."""
    for header in documents:
        if header["text_kept"]:
            yield header, TextKept.model_validate(header["text_kept"])


def _least_first(row: Mapping[str, Any]) -> tuple[float, str]:
    return row["percent"], row["document"]


def _describe_lost(ctx: StageContext, low: Sequence[tuple[Mapping[str, Any], TextKept]]) -> None:
    ctx.describe("text_kept_low", len(low))
    if not low:
        return
    rows = (
        {
            "document": header["id"],
            "title": header["title"],
            "percent": round(100 * kept.share, 2),
            "lost": "; ".join(kept.losses()),
            "what_to_do": "; ".join(dict.fromkeys(kept.losses().values())),
        }
        for header, kept in low
    )
    ctx.describe("text_lost", nsmallest(_WORST, rows, key=_least_first))


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2)
