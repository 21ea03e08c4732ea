"""The neighbourhood as SVG: the node in the middle, its neighbours around it, each predicate together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from medkg_dagster.domain.biolink import MENTIONS
from medkg_dagster.query import Neighbour, NeighbourAnswer

_COLOURS = ("#1b6ca8", "#a8501b", "#2f7d4f", "#7a3fa0", "#8a6d00", "#a0305f", "#2a7f86", "#5b6770")
"""Each has a contrast of 4.5 or more against white."""
_RADIUS = 250.0
_LABEL_CHARACTERS = 28
_SPACING = 17.0
"""So far apart are neighbours on the circle at least, in pixels."""
_LABEL_SPACE = 230.0
_WIDEST = 7.0


def short(predicate: str) -> str:
    """Return a predicate as people read it."""
    return predicate.partition(":")[2].replace("_", " ") or predicate


def in_order(answer: NeighbourAnswer) -> list[Neighbour]:
    """Return the neighbours, those of a predicate together: what is said most often first, mentions last."""
    said: dict[str, int] = {}
    for one in answer.neighbours:
        said[one.predicate] = said.get(one.predicate, 0) + one.evidence_count
    return sorted(
        answer.neighbours,
        key=lambda one: (
            one.predicate == MENTIONS,
            -said[one.predicate],
            one.predicate,
            -one.evidence_count,
            one.other.name,
        ),
    )


def colours(ordered: Sequence[Neighbour]) -> Mapping[str, str]:
    """Return a colour for each predicate; where there are more than colours, they come again."""
    predicates = dict.fromkeys(one.predicate for one in ordered)
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(predicates)}


def drawing(answer: NeighbourAnswer, ordered: Sequence[Neighbour]) -> str:
    """Return the neighbourhood as SVG.

    Each edge is a link to what is told of it; one that is denied is dashed and crossed, one that is only held
    possible is dotted.
    """
    ends = list(dict.fromkeys(one.other.id for one in ordered))
    radius = max(_RADIUS, len(ends) * _SPACING / (2 * math.pi))
    places = {
        curie: (angle, radius * math.cos(angle), radius * math.sin(angle))
        for number, curie in enumerate(ends)
        for angle in (2 * math.pi * number / max(len(ends), 1) - math.pi / 2,)
    }
    size = radius + _LABEL_SPACE
    box = f"{-size:.0f} {-size:.0f} {2 * size:.0f} {2 * size:.0f}"
    parts = [
        f'<svg viewBox="{box}" role="group" aria-label="The neighbourhood as a drawing">',
        *_edges(ordered, places),
        *_nodes(ordered, places),
        f'<circle r="9" class="middle"/><text y="-16" class="middle">{_label(answer.node.name)}</text>',
        "</svg>",
    ]
    return "\n".join(parts)


def _edges(ordered: Sequence[Neighbour], places: Mapping[str, tuple[float, float, float]]) -> Iterator[str]:
    colour = colours(ordered)
    drawn: dict[str, int] = {}
    for number, one in enumerate(ordered):
        angle, x, y = places[one.other.id]
        # Several edges to one node are bent apart.
        bend = drawn.get(one.other.id, 0)
        drawn[one.other.id] = bend + 1
        aside = 22.0 * ((bend + 1) // 2) * (-1 if bend % 2 else 1)
        middle_x, middle_y = x / 2 - aside * math.sin(angle), y / 2 + aside * math.cos(angle)
        width = min(_WIDEST, 1.5 + math.log2(one.evidence_count))
        kind = kind_of(one)
        line = f"M0 0Q{middle_x:.1f} {middle_y:.1f} {x:.1f} {y:.1f}"
        told = escape(sentence_of(one), quote=True)
        cross_x, cross_y = (middle_x + x / 2) / 2, (middle_y + y / 2) / 2
        cross = f'<text x="{cross_x:.1f}" y="{cross_y + 5:.1f}" class="cross">×</text>' if one.negated else ""
        yield (
            f'<a href="#s{number}" class="edge {kind}" data-predicate="{escape(one.predicate, quote=True)}" '
            f'aria-label="{told}"><title>{told}</title><path d="{line}" class="reach"/>'
            f'<path d="{line}" stroke="{colour[one.predicate]}" stroke-width="{width:.1f}"/>{cross}</a>'
        )


def _nodes(ordered: Sequence[Neighbour], places: Mapping[str, tuple[float, float, float]]) -> Iterator[str]:
    names = {one.other.id: one.other.name for one in ordered}
    for curie, (angle, x, y) in places.items():
        degrees = math.degrees(angle)
        is_left = math.cos(angle) < -1e-9
        turn, anchor, shift = (degrees + 180, "end", -10) if is_left else (degrees, "start", 10)
        yield (
            f'<g aria-hidden="true" data-node="{escape(curie, quote=True)}" '
            f'transform="translate({x:.1f} {y:.1f})"><circle r="5"/>'
            f'<text transform="rotate({turn:.1f})" x="{shift}" y="4" text-anchor="{anchor}">'
            f"{_label(names[curie])}</text></g>"
        )


def sentence_of(one: Neighbour) -> str:
    """Return what an edge says in words."""
    predicate = f"{'does not: ' if one.negated else ''}{short(one.predicate)}"
    told = f"{one.subject.name} – {predicate} – {one.object.name}"
    return f"{told} (possible)" if _is_possible(one) else told


def kind_of(one: Neighbour) -> str:
    """Return whether an edge is `denied`, only held `possible`, or `stated`."""
    if one.negated:
        return "denied"
    return "possible" if _is_possible(one) else "stated"


def _is_possible(one: Neighbour) -> bool:
    return one.possible_count == one.evidence_count


def _label(name: str) -> str:
    flat = " ".join(name.split())
    return escape(flat if len(flat) <= _LABEL_CHARACTERS else f"{flat[: _LABEL_CHARACTERS - 1]}…")
