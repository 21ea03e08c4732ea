import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from medkg_dagster.io.atomic_files import replacing, write_atomically


def test_a_file_is_written_with_its_folder_and_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "file"
    write_atomically(file, b"first, and long")
    write_atomically(file, b"second")
    assert file.read_bytes() == b"second"
    assert list(file.parent.iterdir()) == [file]


def test_others_may_read_it_where_the_process_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_block_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_atomically(file, b"before")
    with pytest.raises(TypeError), replacing(file) as stream:
        stream.writelines((b"half of what", None))  # type: ignore[arg-type] # it is to fail there
    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]


def test_a_process_killed_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_atomically(file, b"before")
    code = (
        "import os, signal, sys, pathlib\n"
        "from medkg_dagster.io.atomic_files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as stream:\n"
        "    stream.write(b'half of what')\n"
        "    stream.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert file.read_bytes() == b"before"


def test_a_file_in_the_way_of_the_folder_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken" / "file", b"x")
