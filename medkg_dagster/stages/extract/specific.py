"""What of a vocabulary is worth finding in text, by its place in the tree of MeSH.

The tree is at https://meshb.nlm.nih.gov/treeView. A thing that stands at several places is judged by those
that speak for it.
"""

from __future__ import annotations

import re

from medkg_dagster.vocabulary.categories import CHEMICALS, DISEASES
from medkg_dagster.vocabulary.everyday_words import ONTOLOGIES
from medkg_dagster.vocabulary.unify import Thing

_HEADINGS = ("C", "F03", "D")
_BRANCH_OF_CHEMICALS = re.compile(r"D\d\d(?:\.\d{3})?")
"""A branch of the tree, and the classes that it begins with (salts, acids, antigens)."""

_NOT_BY_ITSELF = (
    # Disease, and attributes such as acute, chronic and recurrence: they say something of a disease.
    "C23.550.288",
    "C23.550.291",
    # Body weight: what is measured of everybody. And that a tumour comes to be, which none has yet.
    "C23.888.144",
    "C04.697.098",
    "C23.550.727.098",
    # Pathological conditions, signs and symptoms: whatever ails somebody.
    "C23$",
    "C23.888$",
    # Wounds and injuries: something has them, and which they are is said with it.
    "C26$",
    # Water, in which everything is dissolved.
    "D01.045.250.875",
    "D01.248.497.158.459.650",
    "D01.650.550.925",
    # Nucleic acids: what is measured, and nothing that is given or affected.
    "D13.444",
    # Dosage forms, solutions and placebos: how something is given.
    "D20.280",
    "D26.255",
    "D26.650",
    "D26.660",
    "D26.776",
)

_FOOD_OR_MATERIAL = ("J01.637", "J02")

ORGANISM = "biolink:OrganismTaxon"
_INFECTING = (
    # Bacteria and viruses; fungi.
    "B03",
    "B04",
    "B01.300",
    # Protozoa: apicomplexa and others, amoebae, diplomonads, kinetoplastids, trichomonads.
    "B01.043",
    "B01.046",
    "B01.237",
    "B01.268",
    "B01.630",
    # Worms.
    "B01.050.500.500",
)


_OF_MEDICINE = re.compile(
    r"(?:path(?:y|ies)|itis|itides|os[ei]s|ias[ei]s|a?emia|algias?|plegia|pares[ei]s|asthenia|uria|omas?|trophy|"
    r"lys[ei]s|rrh(?:o?ea|age)|dynia|ectas(?:ia|is)|penia|esthesia|kinesia|phagia|inflammation)$",
    re.IGNORECASE,
)
"""As only words of medicine end."""


def infects(thing: Thing) -> bool:
    """Say whether an organism is a microbe, a virus or a worm, and not all of them ("the virus").

    One that stands nowhere in the tree comes from a vocabulary of someone's own, who wants to find it.
    """
    numbers = thing.tree_numbers
    return not numbers or any(
        number.startswith(_INFECTING) and number not in _INFECTING for number in numbers
    )


def is_heading(thing: Thing) -> bool:
    """Say whether a thing is a heading of MeSH for diseases or chemicals."""
    return any(number.startswith(_HEADINGS) for number in thing.tree_numbers)


def is_named_by_itself(thing: Thing) -> bool:
    """Say whether a thing is more than an attribute of another one, or the form in which it is given.

    Food and materials ("corn oil", "cellulose") are none that is given or affected.
    """
    numbers = [number for number in thing.tree_numbers if number.startswith(_HEADINGS)]
    if thing.category in CHEMICALS and any(one.startswith(_FOOD_OR_MATERIAL) for one in thing.tree_numbers):
        return False
    return not numbers or not all(
        f"{number}$".startswith(_NOT_BY_ITSELF) or _BRANCH_OF_CHEMICALS.fullmatch(number)
        for number in numbers
    )


def is_in_mesh(thing: Thing) -> bool:
    """Say whether MeSH knows a thing."""
    return any(curie.startswith("MESH:") for curie in (thing.curie, *thing.equivalents))


def is_plain_word(thing: Thing, word: str) -> bool:
    """Say whether a single word that is another name of a thing is in text most often just that word.

    It is where that is a disease of an ontology of which MeSH has no heading ("collecting" for a mania),
    unless it ends as only words of medicine do. A vocabulary of someone's own lists what its owner wants to
    find.
    """
    is_of_ontology = thing.category in DISEASES and thing.curie.startswith(ONTOLOGIES)
    return is_of_ontology and not _OF_MEDICINE.search(word) and not is_heading(thing)


def is_doing(thing: Thing, word: str) -> bool:
    """Say whether a thing is what somebody does ("spinning"), and none that MeSH knows."""
    return thing.curie.startswith("HP:") and word.endswith("ing") and not is_in_mesh(thing)
