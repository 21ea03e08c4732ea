"""What the stores of a home answer, each with its evidence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from medkg_dagster.errors import LedgerError, QueryError, StoreError
from medkg_dagster.query import ClaimFilter, SearchFilter, SharedStatement, Stores
from medkg_dagster.settings import Settings
from medkg_dagster_tests.query.made_home import (
    BLOCKS,
    CAUSES,
    DENIES,
    FIRST,
    SECOND,
    THIRD,
    TREATS,
    Said,
    Written,
    make_home,
)


def stated(one: SharedStatement) -> tuple[str, str, str, bool]:
    return one.subject.id, one.predicate.removeprefix("biolink:"), one.object.id, one.negated


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("HGNC:1", "id"),
        ("hgnc:1", "id"),
        (" programmed cell death 1 ", "name"),
        ("pd-1", "other name"),
        ("PD1", "other name"),
        ("PD 1", "other name"),
    ],
)
def test_a_node_is_found_by_any_of_its_names_however_it_is_written(
    stores: Stores, name: str, how: str
) -> None:
    (found,) = stores.entities(name).found

    assert (found.id, found.how, found.claims, found.mentions) == ("HGNC:1", how, 1, 1)
    assert found.synthetic is False
    assert found.synonyms == ("PD-1",)


def test_a_name_that_no_node_has_comes_with_those_that_are_like_it(stores: Stores) -> None:
    answer = stores.entities("melanomma")

    assert answer.found == ()
    assert [one.name for one in answer.suggestions] == ["Melanoma"]
    with pytest.raises(QueryError, match=r"no node 'melanomma'; did you mean Melanoma \(MESH:1\)\?"):
        stores.neighbours("melanomma")


def test_neighbours_are_statements_with_how_often_and_where_they_are_made(stores: Stores) -> None:
    answer = stores.neighbours("melanoma", which=ClaimFilter())

    assert [(stated(one), one.outgoing, one.evidence_count) for one in answer.neighbours] == [
        (("DRUGBANK:1", "treats", "MESH:1", False), False, 2),
        (("DRUGBANK:1", "treats", "MESH:1", True), False, 1),
        (("HGNC:1", "associated_with", "MESH:1", False), False, 1),
    ]
    treats, denied, found = answer.neighbours
    assert [one.document.title for one in treats.evidence] == ["Title of PMID:1", "Title of PMID:2"]
    assert treats.document_count == 2
    assert (denied.evidence[0].negated, denied.evidence[0].sentence) == (True, DENIES.sentence)
    assert (found.synthetic, found.evidence[0].background) == (True, True)
    assert (answer.total, answer.cut) == (3, ())


def test_every_sentence_stands_where_its_evidence_says(stores: Stores) -> None:
    written = {one.id: one for one in (FIRST, SECOND, THIRD)}
    claims = stores.claims(which=ClaimFilter(mentions=True)).claims

    assert len(claims) == 5 + 7
    for claim in claims:
        where = claim.evidence
        document = written[where.document.id]
        assert document.text[where.start : where.end] == where.sentence
        assert where.document_hash == document.content_hash
        assert where.document.url == f"https://pubmed.ncbi.nlm.nih.gov/{document.id[5:]}/"
        assert where.synthetic is where.document.synthetic is document.synthetic


def test_what_is_cut_is_said_and_can_be_asked_for(stores: Stores) -> None:
    few = stores.neighbours("MESH:1", limit=1, evidence=1)
    assert few.total == 6
    assert len(few.cut) == 2
    assert few.cut[0].startswith("5 statements more")

    found, after = [], None
    while True:
        page = stores.claims(limit=2, after=after)
        found += [claim.evidence.id for claim in page.claims]
        after = page.next_after
        assert bool(page.cut) is (after is not None)
        if after is None:
            break
    assert found == sorted(found)
    assert len(found) == 5


@pytest.mark.parametrize(
    ("which", "sentences"),
    [
        (ClaimFilter(predicate="causes"), {CAUSES.sentence}),
        (ClaimFilter(predicate="biolink:causes"), {CAUSES.sentence}),
        (ClaimFilter(category="Gene"), {BLOCKS.sentence}),
        (ClaimFilter(category="biolink:PhenotypicFeature"), {CAUSES.sentence}),
        (ClaimFilter(polarity="denied"), {DENIES.sentence}),
        (ClaimFilter(polarity="affirmed", job="auto/other"), {TREATS.sentence}),
        (ClaimFilter(status="possible"), {CAUSES.sentence}),
        (ClaimFilter(status="background"), {BLOCKS.sentence}),
        (ClaimFilter(status="asserted"), {TREATS.sentence, DENIES.sentence}),
        (ClaimFilter(job="other"), {TREATS.sentence, DENIES.sentence}),
        (ClaimFilter(document="PMID:3"), {BLOCKS.sentence}),
        (ClaimFilter(document="PMID:3", job="other"), set()),
        (ClaimFilter(source="pubmed", subject="PD-1"), {BLOCKS.sentence}),
        (ClaimFilter(source="infores:medkg", object="colitis"), {CAUSES.sentence}),
        (ClaimFilter(source="infores:other"), set()),
        (ClaimFilter(node="colitis", subject="MESH:1"), set()),
    ],
)
def test_claims_are_those_for_which_every_filter_holds(
    stores: Stores, which: ClaimFilter, sentences: set[str]
) -> None:
    assert {claim.evidence.sentence for claim in stores.claims(which=which).claims} == sentences


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (ClaimFilter(predicate="treat"), r"predicate 'treat' is not known; did you mean 'treats'\?"),
        (ClaimFilter(polarity="no"), "polarity 'no' is not known; known: affirmed, denied"),
        (ClaimFilter(status="sure"), "status 'sure' is not known"),
        (ClaimFilter(category=" "), "category is empty"),
        (ClaimFilter(source="x" * 3000), "source is 3,000 long"),
        (ClaimFilter(document="a\x00b"), "holds what is no text"),
        (ClaimFilter(subject="nobody"), "no node 'nobody'"),
    ],
)
def test_a_filter_that_is_none_is_refused_with_what_would_be_one(
    stores: Stores, which: ClaimFilter, said: str
) -> None:
    with pytest.raises(QueryError, match=said):
        stores.claims(which=which)
    with pytest.raises(LedgerError, match="no job 'winter'"):
        stores.claims(which=ClaimFilter(job="winter"))
    with pytest.raises(LedgerError, match=r"no job 'a\\nb'"):
        stores.claims(which=ClaimFilter(job="a\nb"))


def test_a_path_is_the_shortest_way_with_the_evidence_of_each_step(stores: Stores) -> None:
    answer = stores.paths("PD-1", "colitis")

    (path,) = answer.paths
    assert [(step.start.id, step.end.id) for step in path.steps] == [
        ("HGNC:1", "MESH:1"),
        ("MESH:1", "DRUGBANK:1"),
        ("DRUGBANK:1", "HP:1"),
    ]
    sentences = [[one.sentence for one in step.statements[0].evidence] for step in path.steps]
    assert sentences == [[BLOCKS.sentence], [TREATS.sentence] * 2, [CAUSES.sentence]]
    assert answer.cut == ()


def test_of_several_paths_that_whose_weakest_step_is_said_most_often_comes_first(
    tmp_path: Path, repository: Path
) -> None:
    by_disease = [
        Said("HGNC:1", "affects", "MESH:1", "PD-1 one."),
        Said("MESH:1", "causes", "HP:1", "one two."),
    ]
    by_drug = [
        Said("HGNC:1", "affects", "DRUGBANK:1", "PD-1 three."),
        Said("DRUGBANK:1", "causes", "HP:1", "three four."),
    ]
    written = [Written("PMID:1", (*by_disease, *by_drug)), Written("PMID:2", tuple(by_drug))]
    home = make_home(tmp_path / "home", written)
    with Stores(Settings(home=home, config=repository / "config")) as stores:
        through = [path.steps[0].end.id for path in stores.paths("PD-1", "colitis").paths]
        best = stores.paths("PD-1", "colitis", limit=1)

    assert through == ["DRUGBANK:1", "MESH:1"]
    assert [path.steps[0].end.id for path in best.paths] == ["DRUGBANK:1"]
    assert best.cut == ("there are more paths than 1; raise the limit, or filter",)


def test_what_is_too_far_or_only_denied_is_not_connected(stores: Stores) -> None:
    assert stores.paths("PD-1", "colitis", max_length=2).paths == ()
    denied = stores.paths("MESH:1", "DRUGBANK:1", which=ClaimFilter(polarity="denied"))
    assert [step.statements[0].negated for path in denied.paths for step in path.steps] == [True]
    only_denied = ClaimFilter(job="other", status="possible")
    assert stores.paths("MESH:1", "DRUGBANK:1", which=only_denied).paths == ()
    with pytest.raises(QueryError, match="are the same node MESH:1"):
        stores.paths("Melanoma", "MONDO:1")


def test_a_document_comes_with_its_text_mentions_and_claims_at_their_places(stores: Stores) -> None:
    answer = stores.document("PMID:1")

    assert (answer.text, answer.characters, answer.cut) == (FIRST.text, len(FIRST.text), ())
    assert [one.title for one in answer.sections] == ["Results"]
    assert answer.licence == "CC0"
    assert {one.curie for one in answer.mentions} == {"DRUGBANK:1", "MESH:1", "HP:1"}
    for one in answer.mentions:
        assert FIRST.text[one.start : one.end] == one.surface
    assert [claim.evidence.sentence for claim in answer.claims] == [TREATS.sentence, CAUSES.sentence]


def test_a_part_of_a_text_comes_with_the_mentions_in_it(stores: Stores) -> None:
    end = len("Dabrafenib")
    answer = stores.document("PMID:1", text_limit=end)

    assert answer.text == "Dabrafenib"
    assert [one.surface for one in answer.mentions] == ["Dabrafenib"]
    assert answer.cut[0].startswith(f"of {len(FIRST.text)} characters 10 are shown, from 0 on")
    assert stores.document("PMID:1", text_start=end, text_limit=6).text == " helps"


def test_a_document_is_found_by_its_other_identifiers_and_without_their_scheme(stores: Stores) -> None:
    assert stores.document("1").document.id == "PMID:1"
    with pytest.raises(QueryError, match="there is no document 'PMID:9'"):
        stores.document("PMID:9")


def test_a_document_whose_text_is_gone_says_so_and_keeps_its_claims(stores: Stores, home: Path) -> None:
    for file in home.glob("state/auto/parse/*"):
        file.unlink()
    answer = stores.document("PMID:1")

    assert answer.text is None
    assert answer.cut == ("its text is not kept in the state of this home any more; run its pipeline again",)
    assert len(answer.claims) == 2


def test_a_shard_that_is_gone_is_one_sentence(stores: Stores, home: Path) -> None:
    for file in home.glob("shards/*/*/*"):
        file.unlink()
    assert stores.document("PMID:1").cut[0].startswith("its text cannot be read: ")


def test_documents_are_listed_page_by_page(stores: Stores) -> None:
    first = stores.documents(limit=2)
    assert [one.id for one in first.documents] == ["PMID:1", "PMID:2"]
    assert first.next_after == "PMID:2"
    assert [one.id for one in stores.documents(limit=2, after="PMID:2").documents] == ["PMID:3"]
    assert [one.id for one in stores.documents(job="auto/other").documents] == ["PMID:2"]
    assert [one.id for one in stores.documents(text="title of pmid:3", source="pubmed").documents] == [
        "PMID:3"
    ]
    assert stores.documents(source="infores:pmc").documents == ()


def test_a_search_finds_passages_with_their_documents(stores: Stores) -> None:
    answer = stores.search("colitis", limit=1)

    (hit,) = answer.hits
    assert (hit.document.id, hit.passage.section, hit.passage.text) == ("PMID:1", "Results", FIRST.text)
    assert hit.document.title == FIRST.title
    assert [FIRST.text[start:end] for start, end in hit.passage.marks] == ["Colitis"]
    assert (answer.total, answer.unknown) == (1, ())
    assert hit.status == "current"
    assert ([one.name for one in hit.concepts], hit.concept_count) == (
        ["Dabrafenib", "Colitis", "Melanoma"],
        3,
    )


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (SearchFilter(), {"PMID:1", "PMID:2", "PMID:3"}),
        (SearchFilter(job="other"), {"PMID:2"}),
        (SearchFilter(concept="MESH:1"), {"PMID:1", "PMID:2", "PMID:3"}),
        (SearchFilter(concept="Tafinlar"), {"PMID:1", "PMID:2"}),
        (SearchFilter(concept="Tafinlar", job="other"), {"PMID:2"}),
        (SearchFilter(synthetic=True), {"PMID:3"}),
        (SearchFilter(sources=("pmc",)), set()),
    ],
)
def test_a_search_looks_at_the_documents_for_which_every_filter_holds(
    stores: Stores, which: SearchFilter, found: set[str]
) -> None:
    assert {hit.document.id for hit in stores.search("melanoma", which=which).hits} == found


def test_a_search_goes_on_where_it_was_cut(stores: Stores) -> None:
    first = stores.search("melanoma", limit=2)
    assert first.cut == ("1 document has words of the query, too; raise the limit, or ask with offset=2",)
    then = stores.search("melanoma", limit=2, offset=2)
    assert len({hit.document.id for hit in (*first.hits, *then.hits)}) == 3
    assert then.cut == ()


def test_counts_tell_what_is_shown(stores: Stores) -> None:
    counts = stores.counts()

    assert (counts.documents, counts.graph_documents, counts.indexed_documents, counts.hidden) == (3, 3, 3, 0)
    assert (counts.nodes, counts.edges, counts.synthetic_edges) == (7, 12, 3)
    assert counts.predicates == {
        "biolink:mentions": 7,
        "biolink:treats": 3,
        "biolink:associated_with": 1,
        "biolink:causes": 1,
    }


def test_answers_see_what_a_run_writes_meanwhile(stores: Stores, home: Path) -> None:
    assert stores.counts().documents == 3
    fourth = Written("PMID:4", (Said("HGNC:1", "causes", "HP:1", "PD-1 causes Colitis."),), job="new")
    make_home(home, (fourth,))

    assert len(stores.paths("PD-1", "colitis").paths[0].steps) == 1
    assert stores.document("PMID:4").text == "PD-1 causes Colitis."


def test_a_home_without_stores_is_one_sentence_and_stays_as_it_is(tmp_path: Path, repository: Path) -> None:
    with Stores(Settings(home=tmp_path / "none", config=repository / "config")) as stores:
        asking: list[Callable[[], object]] = [
            lambda: stores.search("x"),
            lambda: stores.entities("x"),
            lambda: stores.neighbours("x"),
            stores.claims,
            lambda: stores.paths("x", "y"),
        ]
        for ask in asking:
            with pytest.raises(StoreError, match="nothing indexed yet in"):
                ask()
        with pytest.raises(LedgerError, match="no ledger yet in"):
            stores.documents()
        with pytest.raises(LedgerError, match="no ledger yet in"):
            stores.document("PMID:1")
        assert stores.counts().cut == ("there is no graph yet", "there is no index yet")
    assert not (tmp_path / "none").exists()
