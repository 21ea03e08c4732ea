"""Whatever is asked, the answer is an answer or one sentence."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medkg_dagster.errors import MedkgError
from medkg_dagster.query import Answer, ClaimFilter, SearchFilter, Stores
from medkg_dagster.settings import Settings
from medkg_dagster_tests.query.asked import NUMBERS, TEXTS, examples

MAYBE = st.one_of(st.none(), TEXTS)
FILTERS = st.builds(
    ClaimFilter,
    **dict.fromkeys(("node", "subject", "object", "predicate", "category"), MAYBE),
    **dict.fromkeys(("source", "job", "status", "polarity", "document"), MAYBE),
    mentions=st.booleans(),
)
NAMES = st.lists(TEXTS, max_size=2).map(tuple)
SEARCHES = st.builds(
    SearchFilter,
    **dict.fromkeys(("sources", "languages", "phases"), NAMES),
    **dict.fromkeys(("job", "concept"), MAYBE),
    **dict.fromkeys(("since", "until"), st.one_of(st.none(), NUMBERS)),
    synthetic=st.sampled_from([None, True, False]),
)
Ask = Callable[[Stores], Answer]
QUESTIONS: st.SearchStrategy[Ask] = st.one_of(
    st.builds(
        lambda text, which, limit, offset: lambda s: s.search(text, which=which, limit=limit, offset=offset),
        *(TEXTS, SEARCHES, NUMBERS, NUMBERS),
    ),
    st.builds(lambda text, limit: lambda s: s.entities(text, limit=limit), TEXTS, NUMBERS),
    st.builds(
        lambda text, source, job, limit, after: (
            lambda s: s.documents(text=text, source=source, job=job, limit=limit, after=after)
        ),
        *(MAYBE, MAYBE, MAYBE, NUMBERS, MAYBE),
    ),
    st.builds(
        lambda name, start, length, limit: (
            lambda s: s.document(name, text_start=start, text_limit=length, limit=limit)
        ),
        *(TEXTS, NUMBERS, NUMBERS, NUMBERS),
    ),
    st.builds(
        lambda name, which, limit, evidence: (
            lambda s: s.neighbours(name, which=which, limit=limit, evidence=evidence)
        ),
        *(TEXTS, FILTERS, NUMBERS, NUMBERS),
    ),
    st.builds(
        lambda which, limit, after: lambda s: s.claims(which=which, limit=limit, after=after),
        *(FILTERS, NUMBERS, MAYBE),
    ),
    st.builds(
        lambda one, other, which, length, limit: (
            lambda s: s.paths(one, other, which=which, max_length=length, limit=limit)
        ),
        *(TEXTS, TEXTS, FILTERS, NUMBERS, NUMBERS),
    ),
)


@pytest.fixture(scope="module")
def opened(made: Path, repository: Path) -> Iterator[Stores]:
    with Stores(Settings(home=made, config=repository / "config")) as stores:
        yield stores


@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
@given(ask=QUESTIONS)
def test_any_question_is_answered_or_refused_in_one_sentence(opened: Stores, ask: Ask) -> None:
    try:
        answer = ask(opened)
    except MedkgError as error:
        said = str(error)
        assert said
        assert "\n" not in said
        said.encode()
    else:
        assert type(answer).model_validate_json(answer.model_dump_json()) == answer
