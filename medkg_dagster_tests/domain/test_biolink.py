"""The pinned names of the Biolink Model against the model itself, as the package `biolink-model` ships it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from medkg_dagster.domain.biolink import _ANCESTORS as ANCESTORS
from medkg_dagster.domain.biolink import (
    ASSOCIATION,
    MENTIONS,
    MIXINS,
    OWN_PROPERTIES,
    PREDICATES,
    RELEASE,
    SLOTS,
    association,
    categories,
    document_curies,
    fits,
    node_categories,
)
from medkg_dagster.stage_api import Entity
from medkg_dagster.stages.extract.mention_lists import role_of
from medkg_dagster.stages.extract.relations import RELATIONS
from medkg_dagster.stages.extract.terms import load
from medkg_dagster.vocabulary.categories import category_of, category_of_mesh

ROOT = Path(__file__).parents[2] / "medkg_dagster"
NAME = re.compile(r"\bbiolink:([A-Za-z_]+)")
ENTITY = "entity"


@cache
def model() -> Mapping[str, Any]:
    """The model with the slots that it imports; `words` of names as the model writes them."""
    schema = files("biolink_model") / "schema"
    said, more = (
        yaml.load(schema.joinpath(name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        for name in ("biolink_model.yaml", "attributes.yaml")
    )
    return {"classes": said["classes"], "slots": {**more["slots"], **said["slots"]}}


@cache
def classes() -> Mapping[str, str]:
    """The name of each class as a CURIE, with its name in the model."""
    return {
        f"biolink:{''.join(w[:1].upper() + w[1:] for w in name.split())}": name for name in model()["classes"]
    }


@cache
def slots() -> Mapping[str, str]:
    """The name of each slot, with its name in the model."""
    return {name.replace(" ", "_").replace("-", "_"): name for name in model()["slots"]}


def lineage(name: str) -> Iterator[str]:
    """Yield a class and those it is a kind of; `entity`, which is above all, is left out."""
    while name and name != ENTITY:
        yield name
        name = model()["classes"][name].get("is_a", "")


def kinds(name: str) -> set[str]:
    """All classes and mixins that a class is a kind of."""
    found, pending = set(), [name]
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            said = model()["classes"].get(one, {})
            pending += [*said.get("mixins", ()), *filter(None, [said.get("is_a")])]
    return found


def predicate_kinds(name: str) -> set[str]:
    found, pending = set(), [name]
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            said = model()["slots"][one]
            pending += [*said.get("mixins", ()), *filter(None, [said.get("is_a")])]
    return found


def test_the_release_is_the_one_that_is_installed() -> None:
    assert version("biolink-model") == RELEASE


def test_every_category_has_the_ancestors_that_the_model_gives_it() -> None:
    found = {one: [classes()[each] for each in categories(one)] for one in ANCESTORS}

    assert found == {one: list(lineage(classes()[one])) for one in ANCESTORS}


def test_every_predicate_has_the_domain_and_range_that_the_model_gives_it() -> None:
    def ends(predicate: str) -> tuple[str | None, str | None]:
        said = model()["slots"][slots()[predicate.removeprefix("biolink:")]]
        return said.get("domain"), said.get("range")

    assert {p: tuple(e and classes()[e] for e in pinned) for p, pinned in PREDICATES.items()} == {
        predicate: ends(predicate) for predicate in PREDICATES
    }
    assert all("related to" in predicate_kinds(slots()[name.removeprefix("biolink:")]) for name in PREDICATES)


def test_mixins_hold_the_pinned_categories_that_the_model_has_below_them() -> None:
    below = {
        mixin: {one for one in ANCESTORS if classes()[mixin] in kinds(classes()[one])} for mixin in MIXINS
    }

    assert below == {
        mixin: {one for one in ANCESTORS if not members.isdisjoint(categories(one))}
        for mixin, members in MIXINS.items()
    }


def test_what_an_export_writes_are_slots_of_the_model_or_has_a_reason() -> None:
    assert set(slots()) >= SLOTS
    assert not set(slots()) & OWN_PROPERTIES.keys()
    assert all(OWN_PROPERTIES.values())


def test_every_name_of_the_model_in_the_package_exists_and_is_pinned() -> None:
    written = {
        match[0]: path.name
        for path in ROOT.rglob("*.py")
        for match in NAME.finditer(path.read_text(encoding="utf-8"))
    }
    named = {name for name in written if name[len("biolink:")].isupper()}
    associations = {name for name in named if name.endswith("Association")}
    above = {one for each in ANCESTORS for one in categories(each)}

    assert {name: written[name] for name in named - classes().keys()} == {}
    assert {name: written[name] for name in named - associations - above - MIXINS.keys()} == {}
    assert {name: written[name] for name in written.keys() - named - PREDICATES.keys()} == {}


def admits(curie: str, found: Sequence[str]) -> bool:
    """Whether one of some categories takes identifiers of that prefix, or none says which it takes."""
    taken = [model()["classes"][classes()[one]].get("id_prefixes") for one in found]
    said = [prefixes for prefixes in taken if prefixes]
    return not said or any(curie.partition(":")[0] in prefixes for prefixes in said)


def test_the_prefixes_of_concepts_are_those_of_their_categories() -> None:
    named = {(concept.curie.partition(":")[0], concept.category) for concept in load(None).concepts}
    named |= {
        (prefix, category_of(prefix))
        for prefix in ("MONDO", "DOID", "HP", "CHEBI", "DRUGBANK", "HGNC", "NCBIGene")
    }
    named |= {
        ("MESH", category_of_mesh([number])) for number in ("C01", "C23.888", "D27", "D12.776", "D01", "F03")
    }
    named |= {("MESH", category_of_mesh([number])) for number in ("A01", "B01", "E01", "Z01")}
    named |= {("CHEBI", "biolink:ChemicalRole"), ("HP", "biolink:NamedThing")}

    assert [
        pair for pair in sorted(named) if not admits(f"{pair[0]}:1", node_categories(f"{pair[0]}:1", pair[1]))
    ] == []


@pytest.mark.parametrize(
    ("document_id", "identifiers", "curies"),
    [
        (
            "PMCID:PMC12",
            {"PMID": "7", "DOI": "10.1000/AbC", "PMCID": "PMC12"},
            ("PMID:7", "doi:10.1000/abc", "PMC:12"),
        ),
        ("PMCID:PMC12", {}, ("PMC:12",)),
        ("DOI:10.1000/X", {"DOI": "10.1000/X"}, ("doi:10.1000/x",)),
        ("clinicaltrials:NCT00000001", {"PMID": "7"}, ("CLINICALTRIALS:NCT00000001",)),
        ("PMID:7", {"clinicaltrials": "NCT00000001"}, ("PMID:7",)),
        ("sha256:ab", {}, ("sha256:ab",)),
    ],
)
def test_a_document_is_named_with_prefixes_of_the_model(
    document_id: str, identifiers: dict[str, str], curies: tuple[str, ...]
) -> None:
    assert document_curies(document_id, identifiers) == curies


def constraint(name: str, slot: str, key: str) -> str | None:
    """What a class of associations, or one that it is a kind of, says of its subject, predicate or object."""
    for one in lineage(name):
        said = model()["classes"][one].get("slot_usage", {}).get(slot, {}) or {}
        if key in said:
            return str(said[key])
    return None


def test_every_edge_is_of_a_class_whose_ends_and_predicates_the_model_allows() -> None:
    wrong = []
    for predicate, one, other in product(PREDICATES, ANCESTORS, ANCESTORS):
        subject, object_ = categories(one), categories(other)
        if not fits(predicate, subject, object_):
            continue
        found = classes()[association(predicate, subject, object_)]
        for slot, key, has in (
            ("subject", "range", kinds(classes()[one])),
            ("subject", "domain", kinds(classes()[one])),
            ("object", "range", kinds(classes()[other])),
            ("predicate", "subproperty_of", predicate_kinds(slots()[predicate.removeprefix("biolink:")])),
        ):
            wanted = constraint(found, slot, key)
            if wanted is not None and wanted not in has:
                wrong.append((predicate, one, other, found, slot, wanted))

    assert wrong == []


def entity(category: str) -> Entity:
    return Entity(document_id="", curie="", name="", category=category, surface="", method="")


def test_what_the_rules_of_extraction_state_is_within_domain_and_range() -> None:
    """Procedures and interventions become treatments, see the stage `knowledge-graph`."""
    done = {"biolink:Procedure", "biolink:ClinicalIntervention"}
    by_role: dict[object, set[str]] = {}
    for category in sorted(ANCESTORS.keys() - done):
        by_role.setdefault(role_of(entity(category)), set()).add(category)
    misfits = {
        (relation.name, one, other)
        for (left, right), relations in RELATIONS.items()
        for relation in relations
        for one, other in product(by_role[left], by_role[right])
        if not fits(relation.predicate, *map(categories, (other, one) if relation.reverse else (one, other)))
    }

    assert misfits == set()


def test_a_mention_is_of_its_class_where_a_publication_makes_it() -> None:
    disease = categories("biolink:Disease")

    assert association(MENTIONS, categories("biolink:Article"), disease) != ASSOCIATION
    assert association(MENTIONS, categories("biolink:ClinicalTrial"), disease) == ASSOCIATION
