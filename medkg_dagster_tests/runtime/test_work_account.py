"""What an archive tells of the work on each document, among however many."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.runtime.state import work_account
from medkg_dagster.runtime.state.archives import archive_state, shards_of
from medkg_dagster.runtime.state.work_account import WorkAccount, work_on

IDS = st.text(st.characters(codec="utf-8"), max_size=8)
KEYS = st.text("0123456789abcdef", min_size=64, max_size=64)


def write(path: Path, account: WorkAccount) -> None:
    path.write_bytes(archive_state({}, {}, account, path))


def account(*names: str, key: str = "a" * 64, reused: bool = False, **depends_on: str) -> WorkAccount:
    return WorkAccount(set(), "c" * 64, depends_on, dict.fromkeys(names, (key, reused)))


def because(path: Path, name: str) -> str | None:
    found = work_on(path, [name])
    return None if found is None else found.because


@given(st.dictionaries(IDS, st.tuples(KEYS, st.booleans()), max_size=30), IDS, st.integers(1, 4))
def test_each_document_is_found_and_no_other(
    tmp_path_factory: pytest.TempPathFactory,
    documents: dict[str, tuple[str, bool]],
    other: str,
    in_a_member: int,
) -> None:
    path = tmp_path_factory.mktemp("work") / "archive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work_account, "_IN_A_MEMBER", in_a_member)
        write(path, WorkAccount({"some/shard"}, "c" * 64, {}, documents))

        for name, (key, is_reused) in documents.items():
            found = work_on(path, [name])
            assert found is not None
            assert (found.key, found.is_reused) == (f"{'c' * 32}/{key[:32]}", is_reused)
        assert (work_on(path, [other]) is None) is (other not in documents)
        assert shards_of(path) == {"some/shard"}


def test_why_work_was_done_is_told_against_the_run_before(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    write(path, account("a", config="1", model="1"))
    assert because(path, "a") == "it is new here"

    write(path, account("a", key="b" * 64, config="1", model="1"))
    assert because(path, "a") == "what it is made of changed"

    write(path, account("a", "b", key="b" * 64, config="1", model="1"))
    assert because(path, "a") == "it was asked for again, or not remembered any more"
    assert because(path, "b") == "it is new here"

    write(path, account("a", key="b" * 64, config="2", package="1"))
    assert because(path, "a") == "config, model, package changed"

    write(path, account("a", key="b" * 64, reused=True, config="2", package="1"))
    assert because(path, "a") == ""


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_of_what_is_no_archive_nothing_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "archive"
    path.write_bytes(content)

    assert work_on(path, ["a"]) is None
    write(path, account("a"))
    assert because(path, "a") == "it is new here"


def test_one_document_is_found_without_reading_what_is_told_of_all(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    write(path, account(*map(str, range(20_000))))

    with zipfile.ZipFile(path) as archive:
        sizes = [item.file_size for item in archive.infolist()]
    assert max(sizes) < sum(sizes) / 3
    assert because(path, "19999") == "it is new here"
