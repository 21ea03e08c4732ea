"""One concept for one thing: by what sources say, by one rule, in whatever order they are read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.vocabulary.concepts import Concept, Equivalence, prefix_of
from medkg_dagster.vocabulary.unify import Thing, unify

DISEASE, CHEMICAL, GENE = "biolink:Disease", "biolink:ChemicalEntity", "biolink:Gene"
PROTEIN = "biolink:Protein"


def things(*items: Concept | Equivalence) -> dict[str, Thing]:
    return {thing.curie: thing for thing in unify({"source": items})[0]}


def test_a_drug_is_one_thing_with_the_names_of_all_its_sources() -> None:
    found = things(
        Concept("MESH:D1", "Aspirin", CHEMICAL, ("Acetysal",), tree_numbers=("D02.1",)),
        Concept("CHEBI:1", "acetylsalicylic acid", CHEMICAL, roles=("CHEBI:2",)),
        Concept("CHEBI:2", "analgesic", CHEMICAL),
        Concept("DRUGBANK:1", "Aspirin", CHEMICAL, same_as=("MESH:D1",)),
        Equivalence("MESH:D1", "CHEBI:1"),
    )

    assert found["CHEBI:1"] == Thing(
        "CHEBI:1",
        "acetylsalicylic acid",
        CHEMICAL,
        synonyms=("Aspirin", "Acetysal"),
        equivalents=("MESH:D1", "DRUGBANK:1"),
        tree_numbers=("D02.1",),
        roles=("CHEBI:2",),
        sources=("source",),
    )
    assert set(found) == {"CHEBI:1", "CHEBI:2"}


def test_of_two_that_claim_one_the_surest_gets_it_and_the_other_is_listed() -> None:
    concepts = (
        Concept("MESH:D1", "Grumps", DISEASE),
        Concept("MONDO:1", "broad grumps", DISEASE, same_as=("MESH:D1",)),
        Concept("MONDO:2", "grumps", DISEASE, same_as=("MESH:D1",)),
    )
    found, collisions = unify({"source": concepts})

    assert {thing.curie: thing.equivalents for thing in found} == {"MONDO:1": (), "MONDO:2": ("MESH:D1",)}
    assert [(one.one, one.other, one.reason) for one in collisions] == [
        ("MESH:D1", "MONDO:1", "it would be MONDO:2 as well as MONDO:1")
    ]
    curated = unify({"source": (*concepts, Equivalence("MONDO:1", "MESH:D1", is_curated=True))})[0]
    assert curated == found


def test_of_two_that_claim_one_the_other_is_close_to_it() -> None:
    found = things(
        Concept("MESH:D1", "Grumps", DISEASE),
        Concept("MONDO:1", "broad grumps", DISEASE, same_as=("MESH:D1",)),
        Concept("MONDO:2", "grumps", DISEASE, same_as=("MESH:D1",)),
    )

    assert {curie: thing.close for curie, thing in found.items()} == {
        "MONDO:1": ("MONDO:2",),
        "MONDO:2": ("MONDO:1",),
    }


def test_a_salt_and_an_ion_are_close_to_what_they_are_made_of() -> None:
    found = things(
        Concept("CHEBI:1", "mildium", CHEMICAL),
        Concept("CHEBI:2", "Mildium hydrochloride", CHEMICAL),
        Concept("CHEBI:3", "disodium mildate", CHEMICAL),
        Concept("CHEBI:4", "mildate", CHEMICAL, close=("CHEBI:5", "CHEBI:9")),
        Concept("CHEBI:5", "mildic acid", CHEMICAL),
    )

    assert {curie: thing.close for curie, thing in found.items()} == {
        "CHEBI:1": ("CHEBI:2",),
        "CHEBI:2": ("CHEBI:1",),
        "CHEBI:3": ("CHEBI:4",),
        "CHEBI:4": ("CHEBI:5", "CHEBI:3"),
        "CHEBI:5": (),
    }


def test_what_no_source_describes_is_an_equivalent_where_references_to_it_are_one_for_one() -> None:
    found = things(
        Concept("MONDO:1", "grumps", DISEASE, same_as=("OMIM:1", "UMLS:1", "ICD10:1")),
        Concept("DOID:1", "grumps", DISEASE, same_as=("OMIM:1", "UMLS:2")),
        Concept("MONDO:2", "frets", DISEASE, same_as=("OMIM:2",)),
        Concept("MONDO:3", "moods", DISEASE, same_as=("OMIM:2",)),
    )

    assert {curie: thing.equivalents for curie, thing in found.items()} == {
        "MONDO:1": ("DOID:1", "OMIM:1"),
        "MONDO:2": (),
        "MONDO:3": (),
    }


def test_of_two_with_names_as_like_the_one_gets_it_that_a_person_curated() -> None:
    concepts = (
        Concept("MESH:D1", "Grumps", DISEASE),
        Concept("MONDO:1", "broad grumps", DISEASE, ("grumps",), same_as=("MESH:D1",)),
        Concept("MONDO:2", "deep grumps", DISEASE, ("grumps",), same_as=("MESH:D1",)),
    )
    curated, _ = unify({"source": (*concepts, Equivalence("MONDO:2", "MESH:D1", is_curated=True))})

    assert {thing.curie: thing.equivalents for thing in curated} == {"MONDO:1": (), "MONDO:2": ("MESH:D1",)}


def test_what_has_no_word_in_common_is_joined_only_where_a_mapping_says_so() -> None:
    concepts = (
        Concept("MESH:D1", "Seizures", DISEASE),
        Concept("MONDO:1", "visual epilepsy", DISEASE, same_as=("MESH:D1",)),
    )
    found, collisions = unify({"source": concepts})
    curated, _ = unify({"source": (*concepts, Equivalence("MONDO:1", "MESH:D1"))})

    assert [thing.equivalents for thing in found] == [(), ()]
    assert [one.reason for one in collisions] == [
        "they have no word in common, and only one refers to the other"
    ]
    assert [thing.equivalents for thing in curated] == [("MESH:D1",)]


def test_two_things_that_are_others_by_name_are_not_joined_without_a_word_in_common() -> None:
    found, collisions = unify(
        {
            "source": (
                Concept("MESH:D1", "Seizures", DISEASE),
                Concept("HP:1", "Seizure", DISEASE, same_as=("MESH:D1",)),
                Concept("MONDO:1", "visual epilepsy", DISEASE),
                Concept("DOID:1", "visual epilepsy", DISEASE, same_as=("MONDO:1",)),
                Equivalence("DOID:1", "MESH:D1", is_curated=True),
            )
        }
    )

    assert {thing.curie: thing.equivalents for thing in found} == {
        "HP:1": ("MESH:D1",),
        "MONDO:1": ("DOID:1",),
    }
    assert [one.reason for one in collisions] == [
        "they have no word in common, and each is something else by name"
    ]


def test_what_is_chronic_is_joined_by_a_common_name_only() -> None:
    chronic = Concept("MESH:D1", "Grumps, Chronic", DISEASE)
    plain = Concept("MONDO:1", "drug-induced grumps", DISEASE, ("chronic drug-induced grumps",))
    found, collisions = unify({"source": (chronic, plain, Equivalence("MONDO:1", "MESH:D1"))})

    assert [thing.equivalents for thing in found] == [(), ()]
    assert [one.reason for one in collisions] == ["one of them is chronic, and no name is common to both"]


def test_a_disease_is_close_to_the_heading_that_says_the_same_in_other_words() -> None:
    found = things(
        Concept("MESH:D1", "Kidney Neoplasms", DISEASE),
        Concept("MONDO:1", "renal neoplasm", DISEASE),
        Concept("MONDO:2", "renal itch", DISEASE),
    )

    assert {curie: thing.close for curie, thing in found.items()} == {
        "MESH:D1": (),
        "MONDO:1": ("MESH:D1",),
        "MONDO:2": (),
    }


def test_what_one_calls_by_the_preferred_name_of_another_is_joined_where_no_third_has_the_name() -> None:
    found = things(
        Concept("CHEBI:1", "5-mildium", CHEMICAL),
        Concept("MESH:D1", "Mildium", CHEMICAL, ("5-Mildium",)),
        Concept("CHEBI:2", "salt", CHEMICAL),
        Concept("MESH:D2", "Halite", CHEMICAL, ("Salts",)),
        Concept("MESH:D3", "Table Salt", CHEMICAL, ("Salt",)),
    )

    assert found["CHEBI:1"].equivalents == ("MESH:D1",)
    assert found.keys() == {"CHEBI:1", "CHEBI:2", "MESH:D2", "MESH:D3"}


def test_a_protein_that_another_source_has_among_its_chemicals_is_a_protein() -> None:
    found = things(Concept("CHEBI:1", "prolactin", CHEMICAL), Concept("MESH:D1", "Prolactin", PROTEIN))

    assert {thing.curie: thing.category for thing in found.values()} == {"CHEBI:1": PROTEIN}


def test_things_of_different_kinds_are_not_joined() -> None:
    found, collisions = unify(
        {"source": (Concept("HGNC:1", "GRU", GENE), Concept("MONDO:1", "gru", DISEASE, same_as=("HGNC:1",)))}
    )

    assert [thing.curie for thing in found] == ["HGNC:1", "MONDO:1"]
    assert [one.reason for one in collisions] == ["one is a biolink:Gene and the other a disease"]


def test_namesakes_of_one_kind_are_joined_where_nobody_says_otherwise() -> None:
    found = things(
        Concept("CHEBI:1", "mildium", CHEMICAL),
        Concept("MESH:D1", "Mildium", CHEMICAL),
        Concept("MONDO:1", "mildium", DISEASE),
        Concept("CHEBI:3", "salt", CHEMICAL),
        Concept("MESH:D3", "Salt", CHEMICAL),
        Concept("MESH:D4", "salt", CHEMICAL),
    )

    assert found["CHEBI:1"].equivalents == ("MESH:D1",)
    assert found.keys() == {"CHEBI:1", "MONDO:1", "CHEBI:3", "MESH:D3", "MESH:D4"}


def test_a_former_curie_is_the_thing_it_became() -> None:
    found = things(
        Concept("MONDO:1", "grumps", DISEASE, former=("MONDO:9",)),
        Concept("DOID:1", "the grumps", DISEASE, same_as=("MONDO:9",), parents=("MONDO:9", "DOID:2")),
        Concept("DOID:2", "moods", DISEASE),
    )

    assert (found["MONDO:1"].equivalents, found["MONDO:1"].former) == (("DOID:1",), ("MONDO:9",))
    assert found["MONDO:1"].parents == ("DOID:2",)


def test_one_curie_of_two_sources_is_one_concept_that_both_know() -> None:
    (thing,), _ = unify(
        {
            "b": [Concept("MONDO:1", "grumps", DISEASE, ("grumpiness",))],
            "a": [Concept("MONDO:1", "the grumps", DISEASE)],
        }
    )

    assert (thing.name, thing.synonyms, thing.sources) == ("the grumps", ("grumps", "grumpiness"), ("a", "b"))


CURIES = st.builds(
    "{}:{}".format, st.sampled_from(("MONDO", "HP", "MESH", "CHEBI", "HGNC")), st.integers(1, 3)
)
ITEMS = st.lists(
    st.one_of(
        st.builds(
            Concept,
            CURIES,
            st.sampled_from(("a", "b", "A")),
            st.sampled_from((DISEASE, CHEMICAL, GENE, "biolink:NamedThing")),
            same_as=st.lists(CURIES, max_size=2, unique=True).map(tuple),
            parents=st.lists(CURIES, max_size=2, unique=True).map(tuple),
        ),
        st.builds(Equivalence, CURIES, CURIES, st.booleans()),
    ),
    max_size=12,
    unique_by=lambda item: item.curie if isinstance(item, Concept) else (item.one, item.other, "pair"),
)


@given(ITEMS, st.randoms(use_true_random=False))
def test_the_order_of_what_is_read_makes_no_difference(
    items: list[Concept | Equivalence], random: object
) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # Hypothesis gives a Random

    assert unify({"source": items}) == unify({"source": shuffled})


@given(ITEMS)
def test_every_concept_is_in_one_thing_that_has_one_of_each_source(
    items: list[Concept | Equivalence],
) -> None:
    found, _ = unify({"source": items})

    members = [curie for thing in found for curie in (thing.curie, *thing.equivalents)]
    assert sorted(members) == sorted(item.curie for item in items if isinstance(item, Concept))
    for thing in found:
        prefixes = [prefix_of(curie) for curie in (thing.curie, *thing.equivalents)]
        assert len(prefixes) == len(set(prefixes))
