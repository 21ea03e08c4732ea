"""What sources say together of what is a kind of what leads in no circle."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.vocabulary.circles import CutLink, without_circles
from medkg_dagster.vocabulary.readers.hierarchy import find_cycle
from medkg_dagster.vocabulary.unify import Thing

CURIES = ("DOID:1", "DOID:2", "MESH:D1", "MESH:D2", "MONDO:1", "X:1")


def things(**parents: tuple[str, ...]) -> list[Thing]:
    named = {curie: parents.get(curie.replace(":", "_"), ()) for curie in CURIES}
    return [Thing(curie, curie, "biolink:Disease", parents=above) for curie, above in named.items()]


def test_of_a_circle_the_link_of_the_least_preferred_thing_is_cut_and_listed() -> None:
    found, cut = without_circles(
        things(MONDO_1=("DOID:1",), DOID_1=("MESH:D1", "DOID:2"), MESH_D1=("MONDO:1", "MESH:D2"))
    )

    assert cut == [CutLink("MESH:D1", "MONDO:1", "DOID:1 is_a MESH:D1 is_a MONDO:1 is_a DOID:1")]
    assert {thing.curie: thing.parents for thing in found if thing.parents} == {
        "DOID:1": ("MESH:D1", "DOID:2"),
        "MESH:D1": ("MESH:D2",),
        "MONDO:1": ("DOID:1",),
    }


@given(st.dictionaries(st.sampled_from(CURIES), st.lists(st.sampled_from(CURIES), unique=True, max_size=4)))
def test_no_circle_is_left_and_only_links_of_circles_are_cut(parents: dict[str, list[str]]) -> None:
    given_things = things(**{one.replace(":", "_"): tuple(above) for one, above in parents.items()})

    found, cut = without_circles(given_things)

    left = {thing.curie: thing.parents for thing in found}
    assert [thing.curie for thing in found] == list(CURIES)
    assert find_cycle(left) == ()
    said = {(one.curie, above) for one in given_things for above in one.parents}
    assert said - {(curie, above) for curie, aboves in left.items() for above in aboves} == {
        (link.child, link.parent) for link in cut
    }
    for link in cut:
        circle = set(pairwise(link.circle.split(" is_a ")))
        assert (link.child, link.parent) in circle <= said
