"""With a vocabulary installed in the home, `extract` looks with it; without, with the bundled sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from medkg_dagster.errors import VocabularyError
from medkg_dagster.stage_api import DocumentContext, Entity, StageContext
from medkg_dagster.stages.extract.dictionary import DictionaryParameters
from medkg_dagster.stages.extract.dictionary_extractor import DictionaryExtractor
from medkg_dagster.stages.extract.installed import InstalledVocabulary
from medkg_dagster.vocabulary.artefact import VocabularyArtefact, write_artefact
from medkg_dagster.vocabulary.library import Source, VocabularyLibrary
from medkg_dagster.vocabulary.unify import Thing
from medkg_dagster_tests.stages.extract.test_stage import document

TERMS = (
    ("X:1", "Breast Neoplasms", "biolink:Disease", "breast cancer|Cancer, Breast"),
    ("X:2", "mildium", "biolink:ChemicalEntity", "MLD"),
    ("X:3", "cancer", "biolink:Disease", ""),
    ("X:4", "cancer registry", "biolink:Procedure", ""),
    ("X:5", "WAS", "biolink:Gene", ""),
)


def install(home: Path, *terms: tuple[str, ...]) -> None:
    rows = ["curie\tname\tcategory\tsynonyms", *("\t".join(term) for term in terms)]
    file = home.parent / "terms.tsv"
    file.write_text("\n".join(rows), encoding="utf-8")
    VocabularyLibrary(home).add(file, Source("own", "tsv", file.name)).close()


def found(home: Path, text: str, parameters: DictionaryParameters | None = None) -> list[Entity]:
    extractor = DictionaryExtractor(parameters or DictionaryParameters())
    extractor.prepare(StageContext("demo", "extract", "job", home))
    return list(extractor.extract(DocumentContext(), document(text))[0])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_all_processes_of_a_step_look_with_what_it_began_with(home: Path) -> None:
    install(home, *TERMS)
    step = StageContext("demo", "extract", "job", home)
    began = DictionaryExtractor(DictionaryParameters()).fingerprints(step)
    step.fingerprints = began
    install(home, ("X:9", "mildium", "biolink:ChemicalEntity", ""))

    later = DictionaryExtractor(DictionaryParameters())
    later.prepare(step)

    assert later.fingerprints(step) == began
    entities, _ = later.extract(DocumentContext(), document("Mildium helped."))
    assert [one.curie for one in entities] == ["X:2"]
    assert [one.curie for one in found(home, "Mildium helped.")] == ["X:9"]


def test_a_step_that_began_with_the_sample_ends_with_it(home: Path) -> None:
    step = StageContext("demo", "extract", "job", home)
    step.fingerprints = DictionaryExtractor(DictionaryParameters()).fingerprints(step)
    install(home, *TERMS)

    later = DictionaryExtractor(DictionaryParameters())
    later.prepare(step)

    entities, _ = later.extract(DocumentContext(), document("Nivolumab and mildium."))
    assert [one.surface for one in entities] == ["Nivolumab"]


def test_the_longest_name_is_found_with_its_concept_and_place(home: Path) -> None:
    install(home, *TERMS)
    text = "Breast cancers respond to MLD, not to mildium, and cancer did not."

    entities = found(home, text)

    assert [(one.curie, one.surface, text[one.start : one.end]) for one in entities] == [
        ("X:1", "Breast cancers", "Breast cancers"),
        ("X:2", "MLD", "MLD"),
        ("X:2", "mildium", "mildium"),
        ("X:3", "cancer", "cancer"),
    ]
    assert entities[0].name == "Breast Neoplasms"


def test_a_longer_name_of_another_kind_stands_before_and_is_no_entity(home: Path) -> None:
    install(home, *TERMS)

    assert found(home, "The cancer registry has grown.") == []


def test_a_name_in_capitals_is_found_only_as_it_is_written(home: Path) -> None:
    install(home, *TERMS)

    assert [one.curie for one in found(home, "It was said that WAS is a gene.")] == ["X:5"]


def test_an_abbreviation_of_the_document_means_what_it_says_there(home: Path) -> None:
    install(home, *TERMS)

    entities = found(home, "Mild leg disorder (MLD) is known. MLD is rare.")
    assert "X:2" not in [one.curie for one in entities]


def test_the_bundled_sample_is_used_where_none_is_installed_or_another_is_named(
    home: Path, tmp_path: Path
) -> None:
    assert [one.curie for one in found(home, "Ipilimumab for melanoma.")]
    install(home, *TERMS)
    assert found(home, "Ipilimumab for melanoma.") == []
    named = tmp_path / "named.tsv"
    named.write_text("curie\tname\tcategory\tsynonyms\nY:1\tgrumps\tbiolink:Disease\t\n", encoding="utf-8")
    entities = found(home, "Grumps and cancer.", DictionaryParameters(vocabulary=named))
    assert [one.curie for one in entities] == ["Y:1"]


def test_what_is_remembered_depends_on_the_vocabulary_in_use(home: Path) -> None:
    ctx = StageContext("demo", "extract", "job", home)
    told = [DictionaryExtractor(DictionaryParameters()).fingerprints(ctx)]
    for terms in (TERMS, TERMS[:2], TERMS):
        install(home, *terms)
        told.append(DictionaryExtractor(DictionaryParameters()).fingerprints(ctx))

    assert told[1] == told[3]
    assert len({one["vocabulary"] for one in told}) == 3


def test_a_damaged_vocabulary_stops_the_stage_with_the_command_that_mends_it(home: Path) -> None:
    install(home, *TERMS)
    (built,) = (home / "vocabulary" / "built").iterdir()
    built.joinpath("names.marisa").write_bytes(b"")

    with pytest.raises(VocabularyError, match="`medkg vocab build`"):
        found(home, "anything")


def test_a_role_hides_no_chemical_in_it(home: Path) -> None:
    install(
        home,
        ("X:1", "dopamine", "biolink:ChemicalEntity", ""),
        ("X:2", "dopamine agonist", "biolink:ChemicalRole", ""),
    )

    assert [one.surface for one in found(home, "A dopamine agonist was given.")] == ["dopamine"]


def test_a_wide_class_of_chemicals_is_not_named_but_one_of_diseases_or_a_heading_of_mesh_is(
    tmp_path: Path,
) -> None:
    chemical, disease = "biolink:ChemicalEntity", "biolink:Disease"
    things = [
        Thing("A:0", "molecule", chemical),
        Thing("A:1", "steroids", chemical, tree_numbers=("D04.210.500",)),
        Thing("A:2", "neuropathy", disease),
        *(Thing(f"B:{n}", f"compound {n}", chemical, parents=("A:0", "A:1")) for n in range(151)),
        *(Thing(f"C:{n}", f"palsy {n}", disease, parents=("A:2",)) for n in range(151)),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as artefact:
        matcher = InstalledVocabulary(artefact).matcher(3)
        text = "The molecule compound 7 is one of the steroids; neuropathy."
        assert [one.concept.curie for one in matcher.find(text)] == ["B:7", "A:1", "A:2"]


def test_what_mesh_calls_a_heading_means_that_one(tmp_path: Path) -> None:
    things = [
        Thing("MONDO:1", "stone of the kidney", "biolink:Disease", ("kidney stones",), ("MESH:D1",)),
        Thing(
            *("MONDO:2", "calculus of the kidney", "biolink:Disease", ("kidney stones",), ("MESH:D2",)),
            headed=frozenset({"kidney stones"}),
        ),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as artefact:
        assert artefact.find("kidney stones") == (1, 0)


def test_a_disease_goes_before_the_behavior_of_its_name(tmp_path: Path) -> None:
    things = [
        Thing("MESH:D1", "Depression", "biolink:PhenotypicFeature", tree_numbers=("F01.145.126.350",)),
        Thing(
            *("MONDO:1", "depressive disorder", "biolink:Disease", ("depression",), ("MESH:D2",)),
            tree_numbers=("F03.600.300",),
        ),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as artefact:
        assert artefact.find("depression") == (1, 0)
        assert artefact.find("depressed") == (1, 0)


def test_words_that_say_the_same_name_the_same_disease(home: Path) -> None:
    install(
        home,
        ("MESH:D1", "Seizures", "biolink:Disease", ""),
        ("MESH:D2", "Kidney Neoplasms", "biolink:Disease", ""),
        ("MESH:D3", "Non-small Cell Itch", "biolink:Disease", ""),
    )

    entities = found(home, "Convulsions; a renal tumor, or cancer of the kidney; nonsmall cell itch.")

    assert [(one.curie, one.surface) for one in entities] == [
        ("MESH:D1", "Convulsions"),
        ("MESH:D2", "renal tumor"),
        ("MESH:D2", "cancer of the kidney"),
        ("MESH:D3", "nonsmall cell itch"),
    ]


def test_an_abbreviation_in_lower_case_is_no_name(home: Path) -> None:
    install(
        home, ("X:1", "fish eye disease", "biolink:Disease", "fed|FED"), ("X:2", "flu", "biolink:Disease", "")
    )

    assert [one.surface for one in found(home, "Fed: fed, FED and fish eye disease, or flu.")] == [
        "FED",
        "fish eye disease",
        "flu",
    ]


def test_the_name_of_another_kind_hides_nothing_from_inside_a_hyphenated_word(home: Path) -> None:
    install(home, *TERMS, ("X:6", "induced cancer", "biolink:Procedure", ""))

    assert [one.surface for one in found(home, "mildium-induced cancer")] == ["mildium", "cancer"]
    assert found(home, "an induced cancer") == []


def test_british_spelling_is_found_where_it_stands(home: Path) -> None:
    install(home, ("X:7", "hemorrhagic edema", "biolink:Disease", ""))
    text = "Haemorrhagic oedema, not hemorrhagic edema"

    assert [text[one.start or 0 : one.end] for one in found(home, text)] == [
        "Haemorrhagic oedema",
        "hemorrhagic edema",
    ]


def test_a_name_of_two_diseases_is_read_as_both(home: Path) -> None:
    terms = (("X:8", "nausea", "biolink:Disease", ""), ("X:9", "vomiting", "biolink:Disease", ""))
    install(home, *terms, ("X:10", "nausea and vomiting", "biolink:Disease", ""))

    assert [one.curie for one in found(home, "nausea and vomiting")] == ["X:8", "X:9"]


def test_of_two_things_a_name_means_the_one_that_more_sources_call_so(home: Path) -> None:
    terms = (
        ("MESH:D1", "Hyperaldosteronism", "biolink:Disease", "mineral excess|Cushing's syndrome"),
        ("MESH:D2", "Hypercortisolism", "biolink:Disease", "Cushing's Syndrome|cortisol excess"),
        ("MONDO:2", "hypercortisolism", "biolink:Disease", "salt hunger|Cushing's syndrome"),
    )
    install(home, *terms)

    assert [one.curie for one in found(home, "Cushing's syndrome")] == ["MONDO:2"]


def test_a_name_means_what_mesh_has_a_heading_for(home: Path) -> None:
    terms = (
        ("MONDO:1", "breast cancer", "biolink:Disease", ""),
        ("MONDO:2", "breast neoplasm", "biolink:Disease", ""),
        ("MESH:D1", "Breast Neoplasms", "biolink:Disease", "breast cancer"),
    )
    install(home, *terms)

    assert [one.curie for one in found(home, "breast cancer")] == ["MONDO:2"]


def test_what_a_gene_makes_is_not_one_of_the_chemicals_of_its_name(home: Path) -> None:
    install(
        home,
        ("CHEBI:1", "Mildin", "biolink:ChemicalEntity", ""),
        ("HGNC:1", "MLD", "biolink:Gene", "mildin"),
        ("MESH:D1", "Mildin", "biolink:Gene", ""),
    )

    assert [one.category for one in found(home, "Serum mildin rose.")] == ["biolink:Gene"]


def test_nothing_that_leads_to_something_is_the_metal(home: Path) -> None:
    install(home, ("X:1", "Lead", "biolink:ChemicalEntity", ""))

    text = "It may lead to, or leads to, harm; leads were placed; lead poisoning and lead."
    assert [one.start for one in found(home, text)] == [text.index("lead poisoning"), text.rindex("lead")]


def test_a_code_is_found_as_it_is_written(home: Path) -> None:
    install(home, ("X:1", "A 10", "biolink:ChemicalEntity", ""))

    assert [one.surface for one in found(home, "With a 10 mg dose of A 10.")] == ["A 10"]


def test_classes_of_chemicals_and_body_weight_are_not_named(tmp_path: Path) -> None:
    things = [
        Thing("A:1", "salts", "biolink:ChemicalEntity", tree_numbers=("D01.786",)),
        Thing("A:2", "mildium", "biolink:ChemicalEntity", tree_numbers=("D01.786.100",)),
        Thing("A:3", "body weight", "biolink:PhenotypicFeature", tree_numbers=("C23.888.144", "G07.100")),
        Thing("A:4", "obesity", "biolink:Disease", tree_numbers=("C23.888.144.699", "C18.654")),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as artefact:
        mentions = InstalledVocabulary(artefact).matcher(3).find("Salts, mildium, body weight and obesity.")
        assert [one.concept.curie for one in mentions] == ["A:2", "A:4"]


def test_organisms_that_infect_are_named_and_so_are_those_of_a_vocabulary_of_ones_own(tmp_path: Path) -> None:
    things = [
        Thing("A:1", "viruses", "biolink:OrganismTaxon", tree_numbers=("B04",)),
        Thing("A:2", "yellow fever virus", "biolink:OrganismTaxon", tree_numbers=("B04.820.250",)),
        Thing("A:3", "mice", "biolink:OrganismTaxon", tree_numbers=("B01.050.150",)),
        Thing("A:4", "greenfly", "biolink:OrganismTaxon"),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as artefact:
        matcher = InstalledVocabulary(artefact).matcher(3)
        mentions = matcher.find("Yellow fever virus in mice; viruses and greenfly.")
        assert [one.concept.curie for one in mentions] == ["A:2", "A:4"]


def test_an_abbreviation_of_two_words_in_lower_case_is_no_name(home: Path) -> None:
    install(home, ("X:1", "red adder bite", "biolink:Disease", "read|toxic bite"))

    assert [one.surface for one in found(home, "Who read of a toxic bite?")] == ["toxic bite"]


def test_a_disorder_is_a_disease_of_the_same_name(home: Path) -> None:
    install(
        home,
        ("MESH:D1", "Elbow Diseases", "biolink:Disease", ""),
        ("MESH:D2", "Genetic Diseases, Inborn", "biolink:Disease", ""),
        ("MESH:D3", "Bone Marrow Diseases", "biolink:Disease", ""),
    )

    entities = found(home, "Elbow disorder; an autosomal recessive disorder; myelosuppression.")
    assert [one.curie for one in entities] == ["MESH:D1", "MESH:D2", "MESH:D3"]


def test_a_receptor_is_named_after_a_chemical_which_no_claim_is_about(home: Path) -> None:
    install(
        home,
        ("X:1", "mildine", "biolink:ChemicalEntity", ""),
        ("X:2", "mildine receptor", "biolink:Protein", ""),
        ("X:3", "fast mildine channels", "biolink:Protein", ""),
        ("X:4", "anti-mildine factor", "biolink:Protein", ""),
    )

    entities = found(home, "Mildine receptors, fast mildine channels and anti-mildine factor.")

    assert [(one.curie, one.surface, one.start) for one in entities] == [
        ("X:2", "Mildine receptors", 0),
        ("X:1", "Mildine", 0),
        ("X:3", "fast mildine channels", 19),
        ("X:1", "mildine", 24),
        ("X:4", "anti-mildine factor", 45),
    ]


def test_a_single_word_is_another_name_of_a_disease_only_where_mesh_knows_the_disease(home: Path) -> None:
    install(
        home,
        ("HP:1", "Collectionism", "biolink:PhenotypicFeature", "Collecting|Glomerulopathy|Hoards things"),
        ("HP:2", "Clonus", "biolink:PhenotypicFeature", ""),
        ("MESH:D1", "Aches", "biolink:Disease", "smarting"),
        ("MONDO:1", "glazier syndrome", "biolink:Disease", "glazier"),
        ("OWN:1", "Itches", "biolink:Disease", "scratching"),
    )

    entities = found(
        home, "Collecting, glomerulopathy, hoards things, clonus, smarting, glazier, scratching."
    )

    assert [one.surface for one in entities] == [
        *("glomerulopathy", "hoards things", "clonus", "smarting", "scratching"),
    ]


def test_what_somebody_does_is_no_disease_unless_mesh_has_it(tmp_path: Path) -> None:
    behavior = "HP:0000708"
    things = [
        Thing(behavior, "Atypical behavior", "biolink:PhenotypicFeature"),
        Thing("HP:1", "Spinning", "biolink:PhenotypicFeature", parents=(behavior,)),
        Thing("HP:2", "Wheezing", "biolink:PhenotypicFeature"),
        Thing("HP:3", "Snoring", "biolink:PhenotypicFeature", (), ("MESH:D1",), parents=(behavior,)),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as artefact:
        mentions = InstalledVocabulary(artefact).matcher(3).find("Spinning, wheezing, snoring.")

    assert [one.concept.curie for one in mentions] == ["HP:2", "HP:3"]


def test_a_virus_is_called_after_the_disease_that_it_brings(tmp_path: Path) -> None:
    install(
        tmp_path / "home",
        ("X:1", "hepatitis B virus", "biolink:OrganismTaxon", ""),
        ("X:2", "hepatitis B", "biolink:Disease", ""),
    )

    assert [(one.curie, one.surface) for one in found(tmp_path / "home", "The hepatitis B virus.")] == [
        ("X:1", "hepatitis B virus"),
        ("X:2", "hepatitis B"),
    ]


def test_what_one_syndrome_is_called_like_each_is_no_name(home: Path) -> None:
    install(home, ("X:1", "hepatoenteric syndrome", "biolink:Disease", "THE syndrome|the syndrome"))

    assert [one.surface for one in found(home, "THE syndrome; the syndrome.")] == ["THE syndrome"]


def test_an_animal_is_not_the_disease_that_is_called_like_it(tmp_path: Path) -> None:
    things = [
        Thing("MESH:D1", "mole", "biolink:OrganismTaxon", tree_numbers=("B01.050",)),
        Thing("MESH:D2", "nevus", "biolink:Disease", ("mole",), tree_numbers=("C04.100",)),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as artefact:
        assert [
            one.concept.curie for one in InstalledVocabulary(artefact).matcher(3).find("A mole, a nevus.")
        ] == ["MESH:D2"]


def test_water_food_injuries_as_such_and_what_stands_at_the_root_are_not_named(tmp_path: Path) -> None:
    classes = [
        Thing(
            f"CHEBI:{number}", f"class {number}", "biolink:ChemicalEntity", parents=(f"CHEBI:{number - 1}",)
        )
        for number in range(1, 5)
    ]
    things = [
        Thing("CHEBI:0", "root", "biolink:ChemicalEntity"),
        *classes,
        Thing("MESH:D1", "water", "biolink:ChemicalEntity", tree_numbers=("D01.045.250.875",)),
        Thing("MESH:D2", "corn oil", "biolink:ChemicalEntity", tree_numbers=("D10.627", "J02.500")),
        Thing("MESH:D3", "injury", "biolink:Disease", tree_numbers=("C26",)),
        Thing("MESH:D4", "burns", "biolink:Disease", tree_numbers=("C26.200",)),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as artefact:
        matcher = InstalledVocabulary(artefact).matcher(3)
        text = "Water, corn oil, injury, burns, class 1, class 3, class 4."
        assert [text[one.start : one.end] for one in matcher.find(text)] == ["burns", "class 4"]


def test_what_others_are_measured_by_is_no_gold(home: Path) -> None:
    install(home, ("X:1", "gold", "biolink:ChemicalEntity", ""))

    assert [one.start for one in found(home, "The gold standard; gold was given.")] == [19]
