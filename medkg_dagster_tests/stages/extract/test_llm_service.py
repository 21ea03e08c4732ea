"""The extractor `llm` and a service that fails, or answers wrongly in every way; what is asked once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from medkg_dagster.errors import (
    BatchInterruptedError,
    PermanentSourceError,
)
from medkg_dagster_tests.stages.extract.asking import FIRST, RIGHT, SECOND, Asked
from medkg_dagster_tests.stages.extract.chat_service import (
    KEY,
    Reply,
    Service,
    claim,
    claims,
    completion,
    cut_off,
    hanging,
    huge,
    raw,
    trickling,
)
from medkg_dagster_tests.stages.extract.test_stage import document

REPOSITORY = Path(__file__).parent.parent.parent.parent
PATIENCE = 240
"""Seconds that nothing comes to, however busy the machine is."""


UNUSABLE: dict[str, tuple[Reply, str, int]] = {
    "not JSON": (raw(completion("Here are the claims: Nivolumab")), "not JSON", 2),
    "JSON in a fence": (raw(completion("```json\n{}\n```")), "not JSON", 2),
    "cut JSON": (raw(completion('{"claims": [')), "not JSON", 2),
    "another shape": (raw(completion('{"facts": []}')), "other shape", 2),
    "a list": (raw(completion("[]")), "other shape", 2),
    "more than the shape": (raw(completion('{"claims": [], "more": 1}')), "other shape", 2),
    "claims that are none": (raw(completion('{"claims": "many"}')), "other shape", 2),
    "no choices": (raw({"choices": []}), "empty", 2),
    "no content": (raw(completion(None)), "empty", 2),
    "blank content": (raw(completion("  ")), "empty", 2),
    "a refusal": (raw(completion(None, refusal="I cannot help with that.")), "refused", 1),
    "a filter": (raw(completion("", "content_filter")), "refused", 1),
    "too much": (huge, "too large", 1),
}


@pytest.mark.parametrize(("reply", "reason", "requests"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_passage_without_an_answer_is_counted_by_its_reason_and_the_others_are_read(
    asked: Asked, reply: Reply, reason: str, requests: int
) -> None:
    asked.service.replies = [reply] * requests + [claims(claim(SECOND, "Ipilimumab", "treats", "melanoma"))]
    ctx = asked.context()
    found = document("Nivolumab caused colitis. " * 8, SECOND)

    _, kept, shown = asked.run(found, ctx=ctx, passage_characters=220)

    assert [one.sentence for one in kept] == [SECOND]
    assert shown[f"unanswered: {reason}"] == 1
    assert ctx.quarantined == []
    assert len(asked.service.requests) == requests + 1


def test_an_answer_that_is_cut_off_is_asked_for_in_halves(asked: Asked) -> None:
    asked.service.replies = [
        raw(completion('{"claims": [{"quo', "length")),
        claims(RIGHT),
        claims(claim(SECOND, "Ipilimumab", "treats", "melanoma")),
    ]

    _, kept, shown = asked.run()

    assert asked.service.passages() == [f"{FIRST}\n\n{SECOND}", FIRST, SECOND]
    assert len(kept) == 2
    assert "unanswered: truncated" not in shown


def test_a_single_sentence_whose_answer_is_cut_off_is_counted(asked: Asked) -> None:
    asked.service.otherwise = raw(completion("", "length"))

    _, kept, shown = asked.run()

    assert (kept, shown["unanswered: truncated"], len(asked.service.requests)) == ([], 2, 3)


PASSING: dict[str, tuple[Reply, str]] = {
    "429": (raw({}, 429, Retry_After="0.01"), r"status 429 \(attempt 2\)"),
    "500": (raw(b"oops", 500), r"status 500 \(attempt 2\)"),
    "503 for long": (raw({}, 503, Retry_After="9999"), r"status 503 \(attempt 1\)"),
    "a page of a proxy": (raw(b"<html>Sign in</html>", content_type="text/html"), "a reply that is no JSON"),
    "cut off": (cut_off, "the connection failed"),
    "hanging": (hanging, "no answer in time"),
    "trickling": (trickling, "not whole after 0.2 s"),
    "an error under 200": (
        raw({"error": {"code": 502, "message": "upstream"}}),
        "the service says: upstream",
    ),
}


@pytest.mark.parametrize(("reply", "message"), PASSING.values(), ids=PASSING)
def test_a_fault_of_the_service_is_none_of_the_document_and_ends_the_batch_to_be_tried_again(
    asked: Asked, reply: Reply, message: str
) -> None:
    asked.service.otherwise = reply
    ctx = asked.context(timeout_seconds=0.2)

    with pytest.raises(BatchInterruptedError, match=message):
        asked.run(ctx=ctx)

    assert ctx.quarantined == []


SOON_OVER = PASSING.keys() - {"503 for long"}


@pytest.mark.parametrize("fault", sorted(SOON_OVER))
def test_a_fault_that_passes_is_not_seen(asked: Asked, fault: str) -> None:
    reply, _ = PASSING[fault]
    asked.service.replies = [reply, claims(RIGHT)]

    _, kept, shown = asked.run(ctx=asked.context(timeout_seconds=0.2))

    assert len(kept) == 1
    assert "rejected" not in str(shown)


REFUSED: dict[str, tuple[Reply, str]] = {
    "a wrong key": (raw(f"wrong key {KEY}".encode(), 401), r"status 401, the service says: wrong key \*\*\*"),
    "an unknown model": (raw({"error": "no model m"}, 404), "status 404"),
    "too long a passage": (raw({"error": "context length"}, 400), "status 400.*context length"),
    "a redirection": (raw({}, 302, Location="http://elsewhere.invalid/"), "status 302"),
    "no chat endpoint": (raw({"hello": "world"}), "none of a chat endpoint"),
    "a list": (raw([1]), "none of a chat endpoint"),
    "choices that are none": (raw({"choices": [1]}), "none of a chat endpoint"),
    "content that is none": (raw({"choices": [{"message": {"content": ["x"]}}]}), "none of a chat endpoint"),
    "an error under 200": (raw({"error": {"message": "bad"}}), "the service says: bad"),
}


@pytest.mark.parametrize(("reply", "message"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_refused_again_fails_the_step_and_quotes_no_key(
    asked: Asked, reply: Reply, message: str
) -> None:
    asked.service.otherwise = reply
    ctx = asked.context()

    with pytest.raises(PermanentSourceError, match=message) as caught:
        asked.run(ctx=ctx)

    assert KEY not in str(caught.value)
    assert ctx.quarantined == []


def test_a_model_that_never_answers_by_the_schema_is_not_asked_for_ever(asked: Asked) -> None:
    asked.service.otherwise = raw(completion("Certainly! Here they are."))
    many = [document(FIRST).model_copy(update={"id": f"PMID:{n}", "title": f"{n}"}) for n in range(50)]

    with pytest.raises(PermanentSourceError, match=r"of 5 passages none .*\(not JSON\).*response_format"):
        asked.run(*many)

    assert len(asked.service.requests) == 10


def test_answers_are_used_again_and_what_came_before_a_fault_is_not_asked_for_twice(asked: Asked) -> None:
    found = document(*[f"Nivolumab caused colitis in {n} patients. " * 5 for n in range(3)])
    asked.service.replies = [claims(), claims(), raw({}, 500), raw({}, 500)]

    with pytest.raises(BatchInterruptedError):
        asked.run(found, passage_characters=250)
    _, _, shown = asked.run(found, passage_characters=250)

    assert (shown["requests"], shown["answers_reused"], shown["passages"]) == (1, 2, 3)
    assert len(asked.service.requests) == 5


REPORTS = document(*[f"Nivolumab caused colitis in {n} patients. " * 5 for n in range(3)])


def ask_of_reports(base_url: str, home: str) -> None:
    """What a process does that is killed while it waits for an answer."""
    Asked(Service(base_url=base_url), Path(home)).run(REPORTS, passage_characters=250)


def test_what_was_answered_before_a_kill_is_not_asked_for_twice(asked: Asked) -> None:
    asked.service.replies = [claims(), claims(), hanging]
    module = "medkg_dagster_tests.stages.extract.test_llm_service"
    code = f"import sys; from {module} import ask_of_reports; ask_of_reports(*sys.argv[1:])"
    words = [sys.executable, "-c", code, asked.service.base_url, str(asked.home)]
    with subprocess.Popen(words, cwd=REPOSITORY) as process:
        end = time.monotonic() + PATIENCE
        while len(asked.service.requests) < 3 and time.monotonic() < end:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()

    _, _, shown = asked.run(REPORTS, passage_characters=250)

    assert (shown["requests"], shown["answers_reused"]) == (1, 2)


def test_only_what_may_be_answered_better_is_asked_again(asked: Asked) -> None:
    for reply, again in ((raw(completion(None, refusal="No.")), 0), (raw(completion("{")), 1)):
        asked.service.replies = [reply, reply]
        before = asked.run(document(FIRST), model=f"m{again}")[2]
        after = asked.run(document(FIRST), model=f"m{again}")[2]

        assert before["requests"] > 0
        assert after.get("requests", 0) == again


def test_a_damaged_answer_is_asked_for_again(asked: Asked) -> None:
    asked.service.otherwise = claims(RIGHT)
    first = asked.run()[:2]
    (kept,) = asked.home.glob("answers/*/*.json")
    kept.write_bytes(kept.read_bytes()[:20])

    assert asked.run()[:2] == first
    assert len(asked.service.requests) == 2


def test_another_model_schema_or_option_is_another_question(asked: Asked) -> None:
    for parameters in ({}, {"model": "n"}, {"options": {"seed": 1}}):
        asked.run(**parameters)

    assert len(asked.service.requests) == 3


def test_tokens_and_seconds_of_this_run_are_shown(asked: Asked) -> None:
    shown = asked.run()[2]

    assert (shown["prompt_tokens"], shown["completion_tokens"], shown["requests"]) == (100, 10, 1)
    assert shown["service_seconds"] > 0
    assert "prompt_tokens" not in asked.run()[2]


def test_the_stages_policy_bounds_attempts_and_sets_the_pace(asked: Asked) -> None:
    asked.service.otherwise = raw({}, 503)
    turns: list[str] = []

    def reserve(host: str, _interval: float) -> float:
        turns.append(host)
        return 0.0

    ctx = asked.context(max_attempts=3, rate_limit_per_second=100.0, reserve=reserve)
    with pytest.raises(BatchInterruptedError, match=r"attempt 3"):
        asked.run(ctx=ctx, max_attempts=9)

    assert turns == ["127.0.0.1"] * len(asked.service.requests) == ["127.0.0.1"] * 3


def test_what_takes_too_long_is_left_to_the_next_run(asked: Asked) -> None:
    found = document(*[f"Nivolumab caused colitis in {n} patients. " * 5 for n in range(4)])

    shown = [
        asked.run(found, passage_characters=250, max_seconds=seconds)[2] for seconds in (1e-9, 100.0, 100.0)
    ]

    assert [one.get("passages left for later", 0) for one in shown] == [4, 0, 0]
    assert [one.get("requests", 0) for one in shown] == [0, 4, 0]


def test_what_is_not_sent_is_counted(asked: Asked) -> None:
    found = document("Nivolumab caused colitis. " * 9, "x" * 300, "Nivolumab caused colitis. " * 9)

    shown = asked.run(found, passage_characters=240, max_passages=1)[2]

    assert (shown["passages"], shown["passages left out"], shown["sentences left out"]) == (1, 1, 1)
    assert all(len(text) <= 240 for text in asked.service.passages())
