"""What sources say together of what is a kind of what: no thing is a kind of itself.

Each source is held to that alone, see `readers.hierarchy`; where several are joined, what is above in one may
be below in another. Then of the links in a circle that one is cut whose child comes last in the order of
`PREFERENCE`, and by CURIE, until no circle is left; it is listed with the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from medkg_dagster.vocabulary.readers.hierarchy import find_cycle
from medkg_dagster.vocabulary.unify import Thing, preference


@dataclass(frozen=True, slots=True, order=True)
class CutLink:
    """A link from a thing to what it is said to be a kind of, which led in a circle.

    Attributes:
        child: The CURIE of the thing.
        parent: What it was said to be a kind of.
        circle: The circle, in words.
    """

    child: str
    parent: str
    circle: str


def without_circles(things: Sequence[Thing]) -> tuple[list[Thing], list[CutLink]]:
    """Take the links out that lead in circles.

    Args:
        things: The things, in the order of their CURIEs.

    Returns:
        The things, in the same order; and what was cut.
    """
    parents = {thing.curie: thing.parents for thing in things}
    cut: list[CutLink] = []
    # To cut a link makes no new circle, so that what reached none needs no second look.
    done: set[str] = set()
    while circle := find_cycle(parents, done):
        child, parent = max(pairwise(circle), key=lambda link: (preference(link[0]), link))
        parents[child] = tuple(one for one in parents[child] if one != parent)
        cut.append(CutLink(child, parent, " is_a ".join(circle)))
    children = {link.child for link in cut}
    return [
        replace(thing, parents=parents[thing.curie]) if thing.curie in children else thing for thing in things
    ], sorted(cut)
