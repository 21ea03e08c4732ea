"""One work is one document, whatever it came as: by identifiers and rank, never by order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.domain.identity import (
    SCHEMES,
    Form,
    group_forms,
    merged_identifiers,
    normal_identifier,
    rank_of,
    select,
)
from medkg_dagster.domain.payloads import PayloadFormat


def form(name: str, *, rank: tuple[int, int] = (1, 0), text: str | None = None, **identifiers: str) -> Form:
    return Form(id=name, identifiers=identifiers, content_hash=text, rank=rank)


def names(forms: Sequence[Form]) -> set[frozenset[str]]:
    """Return the works as sets of what identifies their forms."""
    return {frozenset(forms[place].id for place in group) for group in group_forms(forms)}


NUMBERS = st.sampled_from("123")
FORMS = st.lists(
    st.builds(
        Form,
        id=st.sampled_from([f"sha256:{letter}" for letter in "abcdefgh"]),
        identifiers=st.dictionaries(st.sampled_from(("PMID", "PMCID")), NUMBERS)
        | st.fixed_dictionaries({"DOI": st.sampled_from(("10.1/a", "10.1/A", "10.1/b"))}),
        content_hash=st.none() | st.sampled_from("xy"),
        rank=st.tuples(st.integers(0, 2), st.integers(0, 3)),
        apart=st.booleans() | st.just(False),
    ),
    max_size=7,
    unique_by=lambda one: one.id,
)


@given(FORMS, st.randoms())
def test_groups_and_the_form_that_is_used_do_not_depend_on_the_order(
    forms: list[Form], random: Random
) -> None:
    mixed = list(forms)
    random.shuffle(mixed)

    def outcome(some: Sequence[Form]) -> dict[str, str]:
        return {some[place].id: reason for place, reason in select(some).items()}

    assert names(forms) == names(mixed)
    assert outcome(forms) == outcome(mixed)


@given(FORMS)
def test_every_form_is_in_one_work_and_no_two_identifiers_of_a_scheme_are(forms: list[Form]) -> None:
    groups = group_forms(forms)

    assert sorted(place for group in groups for place in group) == list(range(len(forms)))
    for group in groups:
        for scheme in SCHEMES:
            assert len({named[scheme] for named in (forms[at].named for at in group) if scheme in named}) <= 1
        assert len(group) == 1 or not any(forms[place].apart for place in group)
        assert sum(place not in select(forms) for place in group) == 1


@pytest.mark.parametrize(
    ("scheme", "written", "normal"),
    [
        ("DOI", "10.1002/(SICI)1<1::AID-C1>3.0.CO;2-#", "10.1002/(sici)1<1::aid-c1>3.0.co;2-#"),
        ("DOI", "https://doi.org/10.1000/A%3C1%3E", "10.1000/a<1>"),
        ("DOI", "doi:10.1000/ABC", "10.1000/abc"),
        ("DOI", "10.1000", None),
        ("PMID", "00026492265", "26492265"),
        ("PMCID", "pmc9999001.2", "PMC9999001"),
        ("PMCID", "9999001", "PMC9999001"),
        ("OpenAlex", "https://openalex.org/w123", "W123"),
        ("PMID", "n/a", None),
    ],
)
def test_an_identifier_is_compared_as_it_is_meant(scheme: str, written: str, normal: str | None) -> None:
    assert normal_identifier(scheme, written) == normal


def test_one_article_is_one_whatever_it_came_as() -> None:
    forms = [
        form("PMCID:PMC1", PMCID="PMC1", DOI="10.1/X", rank=(2, 9)),
        form("PMID:1", PMID="1", DOI="10.1/x"),
        form("DOI:10.1/x"),
        form("OpenAlex:W1", OpenAlex="W1", PMID="1", rank=(0, 5)),
        form("PMID:2", PMID="2"),
    ]

    assert names(forms) == {
        frozenset({"PMCID:PMC1", "PMID:1", "DOI:10.1/x", "OpenAlex:W1"}),
        frozenset({"PMID:2"}),
    }
    assert merged_identifiers(forms[:4]) == {"PMCID": "PMC1", "DOI": "10.1/X", "PMID": "1", "OpenAlex": "W1"}
    assert select(forms)[3] == "duplicate: it is PMCID:PMC1, by way of other forms"
    assert select(forms)[1] == "duplicate: it is PMCID:PMC1, which has the same DOI 10.1/x"


def test_the_number_of_a_trial_identifies_its_registry_record_and_is_a_link_in_an_article() -> None:
    trial = form("clinicaltrials:NCT00000001", clinicaltrials="NCT00000001")
    articles = [form(f"PMID:{n}", PMID=f"{n}", clinicaltrials="NCT00000001") for n in (1, 2)]

    assert len(group_forms([trial, *articles])) == 3
    assert len(group_forms([trial, form("sha256:x").model_copy(update={"id": trial.id})])) == 1


def test_an_identifier_that_different_articles_share_identifies_none_of_them() -> None:
    supplement = [form(f"PMID:{n}", PMID=f"{n}", DOI="10.1/supplement") for n in (1, 2, 3)]

    assert len(group_forms([*supplement, form("DOI:10.1/supplement")])) == 4


def test_versions_are_one_work_where_one_says_so() -> None:
    preprint, paper = form("DOI:10.1/p.v1"), form("DOI:10.1/p", rank=(2, 1))
    stated = paper.model_copy(update={"versions": ("DOI:10.1/P.V1",)})

    assert len(group_forms([preprint, paper])) == 2
    assert len(group_forms([preprint, stated])) == len(group_forms([stated, preprint])) == 1
    assert list(select([preprint, stated])) == [0]


def test_the_best_form_is_used_and_not_the_first() -> None:
    ranked = [
        rank_of(PayloadFormat.ARTICLE_RECORD, 9000),
        rank_of(PayloadFormat.PUBMED_XML, 900),
        rank_of(PayloadFormat.PDF, 40_000),
        rank_of(PayloadFormat.JATS_XML, 20_000),
    ]

    assert sorted(ranked) == ranked
    for last in range(1, 4):
        forms = [form(f"sha256:{n}", DOI="10.1/x", rank=ranked[n]) for n in range(last + 1)]
        assert select(forms).keys() == set(range(last))


def test_one_title_makes_two_articles_one_only_with_a_text_that_is_the_same() -> None:
    def record(name: str, characters: int) -> Form:
        header: dict[str, object] = {
            "id": name,
            "identifiers": {},
            "title": "A reply",
            "content_hash": "h",
            "format": None,
        }
        return Form.of({**header, "versions": []}, characters)

    assert len(group_forms([record("sha256:a", 7), record("sha256:b", 7)])) == 2
    assert len(group_forms([record("sha256:a", 90), record("sha256:b", 90)])) == 1


def test_what_somebody_split_stays_apart() -> None:
    one, other = form("PMID:1", DOI="10.1/x"), form("PMCID:PMC1", DOI="10.1/x")

    assert len(group_forms([one, other])) == 1
    assert len(group_forms([one, other.model_copy(update={"apart": True})])) == 2


def test_the_work_grows_with_the_forms_and_not_with_their_square() -> None:
    def calls(count: int) -> int:
        forms = [form(f"PMID:{number}", DOI=f"10.1/{number // 3}", text="same") for number in range(count)]
        counted = 0

        def count_call(_frame: object, event: str, _value: object) -> None:
            nonlocal counted
            counted += event == "call"

        sys.setprofile(count_call)
        try:
            select(forms)
        finally:
            sys.setprofile(None)
        return counted

    assert calls(1200) < 3 * calls(600)
