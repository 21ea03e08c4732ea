"""Shards: what is kept is found again, and what is damaged is done again and said."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from medkg_dagster.errors import StateError
from medkg_dagster.runtime.state import shards as shards_module
from medkg_dagster.runtime.state.shards import ShardStore, StoredPart
from medkg_dagster.stage_api import Document, DocumentPart, MemoryPart, QuarantinedDocument
from medkg_dagster.stage_api._document_loop import DocumentOutcome
from medkg_dagster_tests.runtime.document_stages import (
    DOCUMENTS,
    Word,
    document,
    outcomes_of,
    store_documents,
    workers,
)

TYPES = {"words": tuple[Word, ...], "document": tuple[Document, ...], "others": tuple[Word, ...]}
WORDS = (Word(document_id="a", text="one"), Word(document_id="a", text="ü"))


def made(*words: Word, key: str = "words") -> dict[str, DocumentPart]:
    return {key: MemoryPart("a", key, words, TYPES[key])}


def keep(root: Path, key: str, outcome: DocumentOutcome) -> DocumentOutcome:
    memo = ShardStore(root).memo("folder", TYPES)
    kept = memo.keep(key, outcome)
    memo.close()
    return kept


def find(root: Path, key: str) -> DocumentOutcome | None:
    memo = ShardStore(root).memo("folder", TYPES)
    return memo.find(memo.places(key))


def shard_files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.shard"))


def test_what_is_kept_is_found_again_and_equal(tmp_path: Path) -> None:
    kept = keep(tmp_path, "key", DocumentOutcome(made(*WORDS), 2))

    found = find(tmp_path, "key")

    assert found is not None
    assert found.parts["words"].load() == kept.parts["words"].load() == WORDS
    assert found.parts["words"].version == kept.parts["words"].version == made(*WORDS)["words"].version
    assert (found.parts["words"].document_id, found.parts["words"].header) == ("a", {"items": 2})
    assert (found.count, found.is_reused, kept.is_reused) == (2, True, False)
    assert find(tmp_path, "another key") is None


def test_a_fault_and_what_was_left_out_are_found_again(tmp_path: Path) -> None:
    fault = QuarantinedDocument("a", "split", "UnreadableDocumentError", "broken")
    keep(tmp_path, "fault", DocumentOutcome(fault=fault))
    keep(tmp_path, "left out", DocumentOutcome(is_left_out=True))
    keep(tmp_path, "limit", DocumentOutcome(fault=fault, is_remembered=False))

    found = [find(tmp_path, key) for key in ("fault", "left out", "limit")]

    assert [one and (one.fault, one.is_left_out) for one in found] == [(fault, False), (None, True), None]


def test_the_same_work_written_twice_is_one_file(tmp_path: Path) -> None:
    for _ in range(2):
        keep(tmp_path, "key", DocumentOutcome(made(*WORDS), 2))

    assert len(shard_files(tmp_path)) == 1


def test_more_than_one_shard_holds_is_found_in_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards_module, "SHARD_RECORDS", 2)
    memo = ShardStore(tmp_path).memo("folder", TYPES)
    for number in range(5):
        memo.keep(str(number), DocumentOutcome(made(Word(document_id="a", text=str(number)))))
    memo.close()

    found = [find(tmp_path, str(number)) for number in range(5)]

    assert len(shard_files(tmp_path)) == 3
    assert [one and one.parts["words"].load()[0].text for one in found] == list("01234")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-5],
        lambda content: content[: len(content) // 2],
        lambda _content: b"",
        lambda _content: b"PK\x05\x06 this is an archive of somebody else, and quite long",
        lambda content: content[:-20] + content[-1:] * 20,
    ],
    ids=["a little cut", "half cut", "emptied", "foreign", "another end"],
)
def test_a_shard_that_is_none_is_not_used_and_told(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path, "key", DocumentOutcome(made(*WORDS), 2))
    (file,) = shard_files(tmp_path)
    file.write_bytes(damage(file.read_bytes()))

    with caplog.at_level(logging.WARNING, "medkg.state"):
        assert find(tmp_path, "key") is None

    (said,) = caplog.messages
    assert said.startswith(f"{file} is not used: ")
    assert said.endswith("what it remembers is done again")
    keep(tmp_path, "key", DocumentOutcome(made(*WORDS), 2))
    again = find(tmp_path, "key")
    assert again is not None
    assert again.parts["words"].load() == WORDS


def test_what_is_done_again_is_found_beside_a_damaged_record(tmp_path: Path) -> None:
    for number in range(8):
        keep(tmp_path, "key", DocumentOutcome(made(*WORDS), number))
    *damaged, good = shard_files(tmp_path)
    for file in damaged:
        content = file.read_bytes()
        place = content.rindex(b"\x28\xb5\x2f\xfd") + 20  # the records are the last that is compressed
        file.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])

    found = find(tmp_path, "key")

    assert found is not None
    assert found.parts["words"].load() == WORDS
    (only,) = (part for part in found.parts.values() if isinstance(part, StoredPart))
    assert only.shard.path == good


def test_a_damaged_part_names_its_key_and_is_done_again(tmp_path: Path) -> None:
    keep(tmp_path, "key", DocumentOutcome(made(*WORDS), 2))
    (file,) = shard_files(tmp_path)
    content = bytearray(file.read_bytes())
    content[10] ^= 0xFF
    file.write_bytes(content)
    found = find(tmp_path, "key")
    assert found is not None

    with pytest.raises(StateError, match=r"state key 'words'.*run the stage that writes it again"):
        found.parts["words"].load()

    assert find(tmp_path, "key") is None
    keep(tmp_path, "key", DocumentOutcome(made(*WORDS), 2))
    again = find(tmp_path, "key")
    assert again is not None
    assert again.parts["words"].load() == WORDS


def test_a_part_that_was_passed_on_is_not_reused_when_its_shard_is_gone(tmp_path: Path) -> None:
    values = store_documents(ShardStore(tmp_path), "one")
    kept = keep(tmp_path, "key", DocumentOutcome({"document": values.parts[0]}, 1))
    assert kept.parts["document"] is values.parts[0]
    assert find(tmp_path, "key") is not None

    for file in (tmp_path / "in").rglob("*.shard"):
        file.unlink()

    assert find(tmp_path, "key") is None
    with pytest.raises(StateError, match=r"state key 'document': .* is gone"):
        values.parts[0].load()


@pytest.mark.parametrize("left", [0, 1])
def test_of_two_records_of_the_same_work_the_one_whose_part_is_there_is_used(
    tmp_path: Path, left: int
) -> None:
    parts = []
    for number in range(2):
        other = ShardStore(tmp_path).memo(f"before {number}", DOCUMENTS.state_types)
        value = (document("a", str(number)),)
        parts.append(other.keep_part(MemoryPart("a", "document", value, TYPES["document"])))
        other.close()
        keep(tmp_path, "key", DocumentOutcome({"document": parts[-1]}, 1))
    parts[1 - left].shard.path.unlink()

    found = find(tmp_path, "key")

    assert found is not None
    assert found.parts["document"].load() == parts[left].load()


def test_parts_of_two_keys_that_hold_the_same_are_of_their_own_key(tmp_path: Path) -> None:
    for _ in range(2):
        memo = ShardStore(tmp_path).memo("folder", TYPES)
        kept = [memo.keep_part(MemoryPart("a", key, WORDS, TYPES[key])) for key in ("words", "others")]
        memo.close()

        assert [part.key for part in kept] == ["words", "others"]


def test_a_full_disk_is_told_and_leaves_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(shards_module, "write_atomically", full)

    with pytest.raises(StateError, match=r"cannot be stored: No space left on device: .*make room"):
        keep(tmp_path, "key", DocumentOutcome(made(*WORDS), 2))

    assert shard_files(tmp_path) == []


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_worker_holds_a_damaged_shard_against_no_document(tmp_path: Path, *, is_gone: bool) -> None:
    root = tmp_path / "shards"
    values = store_documents(ShardStore(root), "one", "two")
    (file,) = shard_files(root)
    content = file.read_bytes()
    file.unlink()
    if not is_gone:
        file.write_bytes(content[:10] + bytes([content[10] ^ 0xFF]) + content[11:])

    with pytest.raises(StateError, match="state key 'document'"):
        outcomes_of(workers(1), values, tmp_path)

    assert shard_files(root) == []
