import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    DagsterType,
    Failure,
    PartitionKeyRange,
    StaticPartitionsDefinition,
    build_input_context,
    build_output_context,
)
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from medkg_dagster.errors import StateError
from medkg_dagster.runtime.state.archives import archive_state
from medkg_dagster.runtime.state.io_manager import STATE_KEY, StateIOManager
from medkg_dagster.runtime.state.shards import ShardStore

STAGE = ("trials", "extract")
TYPES = {STAGE: {"entities": tuple[str, ...], "claims": tuple[int, ...]}}
VALUE = {"entities": ("MESH:D008545",), "claims": (1, 2)}


def manager(folder: Path) -> StateIOManager:
    return StateIOManager(UPath(folder), TYPES, ShardStore(folder / "shards"))


def write(folder: Path, value: Mapping[str, object], partition: str = "default") -> None:
    content = archive_state(value, TYPES[STAGE])
    with build_output_context(asset_key=AssetKey(STAGE), partition_key=partition) as context:
        manager(folder).store(context, lambda _path: content)


def read(folder: Path, key: str, partition: str = "default") -> object:
    with build_input_context(
        asset_key=AssetKey(STAGE),
        dagster_type=DagsterType(lambda _context, _value: True, name="AssetOfAnother"),
        partition_key=partition,
        asset_partitions_def=StaticPartitionsDefinition([partition]),
        asset_partition_key_range=PartitionKeyRange(partition, partition),
        definition_metadata={STATE_KEY: key},
    ) as context:
        return manager(folder).load_input(context)


def test_each_state_key_is_read_on_its_own(tmp_path: Path) -> None:
    write(tmp_path, VALUE)

    assert read(tmp_path, "entities") == ("MESH:D008545",)
    assert read(tmp_path, "claims") == (1, 2)


def test_equal_states_are_stored_byte_for_byte_equal(tmp_path: Path) -> None:
    write(tmp_path / "first", VALUE)
    write(tmp_path / "second", VALUE)

    contents = [next((tmp_path / name).rglob("*.zip")).read_bytes() for name in ("first", "second")]
    assert contents[0] == contents[1]


def test_a_value_that_cannot_be_stored_leaves_the_earlier_state(tmp_path: Path) -> None:
    write(tmp_path, VALUE)

    with pytest.raises(StateError, match="claims"):
        write(tmp_path, {"entities": (), "claims": ("not a number",)})

    assert read(tmp_path, "claims") == (1, 2)
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".zip"]


def test_a_missing_state_says_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="run the stage 'extract' for this partition first"):
        read(tmp_path, "claims")


@pytest.mark.parametrize("damage", [b"", b"PK\x05\x06", b"plain text"])
def test_a_damaged_state_says_which_stage_to_run_again(tmp_path: Path, damage: bytes) -> None:
    write(tmp_path, VALUE)
    next(tmp_path.rglob("*.zip")).write_bytes(damage)

    with pytest.raises(Failure, match="run the stage 'extract' again"):
        read(tmp_path, "claims")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_no_partition_key_leaves_the_folder_of_its_asset(partition: str) -> None:
    base = UPath("/state/trials/extract")

    path = manager(Path("/state")).make_safe_partition_path(base, partition)

    assert path.parent == base
    assert path.name not in {"", ".", ".."}


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=10), unique=True, min_size=2))
def test_two_partition_keys_never_share_a_file(partitions: list[str]) -> None:
    base = UPath("/state/trials/extract")
    paths = {str(manager(Path("/state")).make_safe_partition_path(base, key)) for key in partitions}

    assert len(paths) == len(partitions)


def test_a_process_killed_while_writing_leaves_the_earlier_state(tmp_path: Path) -> None:
    write(tmp_path, VALUE)
    script = (
        "import os, pathlib, signal\n"
        "from medkg_dagster.io.atomic_files import write_atomically\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"target = next(pathlib.Path({str(tmp_path)!r}).rglob('*.zip'))\n"
        "write_atomically(target, b'half a state')\n"
    )

    killed = subprocess.run([sys.executable, "-c", script], env=os.environ, check=False, timeout=480)

    assert killed.returncode == -9
    assert read(tmp_path, "claims") == (1, 2)
    assert zipfile.is_zipfile(next(tmp_path.rglob("*.zip")))
