"""A vocabulary's file while it is read: piece by piece, within bounds, and with the line in every error."""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from medkg_dagster.errors import VocabularyError
from medkg_dagster.io.regular_files import open_regular
from medkg_dagster.vocabulary.concepts import CATEGORY, CURIE

MAX_BYTES = 4 << 30
MAX_LINE = 16 << 20
_GZIP_MARK = b"\x1f\x8b"
_BUFFER = 1 << 18


class SourceFile:
    """A file that concepts are read from.

    Attributes:
        path: The file; what begins as a gzip file does is unpacked.
        left_out: How much of what was left out, by its reason.
        line: The line that was read last, from 1.
        lines: The lines of the CURIEs that were seen.

    Args:
        path: The file.
        left_out: What counts what is left out; None where nobody asks.
        limit: The most bytes that it may hold, unpacked.
    """

    def __init__(self, path: Path, left_out: Counter[str] | None, *, limit: int = MAX_BYTES) -> None:
        self.path = path
        self.left_out: Counter[str] = Counter() if left_out is None else left_out
        self.line = 1
        self.lines: dict[str, int] = {}
        self._limit = limit

    def error(self, what: str, line: int | None = None) -> VocabularyError:
        """Return the error that says what is wrong on a line, by default the one that was read last."""
        return VocabularyError(f"vocabulary {self.path}:{self.line if line is None else line}: {what}")

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file, unpacked; what goes wrong with it while it is read is told with the line.

        Raises:
            VocabularyError: It is missing, unreadable, empty, broken, or holds more than the limit.
        """
        try:
            with open_regular(self.path) as raw, io.BufferedReader(raw, _BUFFER) as packed:
                is_gzip = packed.peek(2)[:2] == _GZIP_MARK
                plain: _Readable = gzip.GzipFile(fileobj=packed) if is_gzip else packed
                bounded = io.BufferedReader(_Bounded(plain, self._limit), _BUFFER)
                if not bounded.peek(1):
                    raise self.error("the file is empty; fetch it again", 1)
                yield cast("BinaryIO", bounded)
        except OSError as error:
            raise self.error(
                f"{error.strerror or error}; correct the path, or fetch the file again"
            ) from error

    def text_lines(self) -> Iterator[str]:
        """Yield the lines with their ends, as text without a byte order mark.

        Raises:
            VocabularyError: The file cannot be read, is not UTF-8, or has a line beyond all reason.
        """
        with self.opened() as stream:
            number = 0
            while True:
                self.line = number + 1
                raw = stream.readline(MAX_LINE + 1)
                if not raw:
                    self.line = max(number, 1)
                    return
                number += 1
                if len(raw) > MAX_LINE:
                    raise self.error(f"the line has more than {MAX_LINE:,} bytes; this is not the format")
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise self.error("not UTF-8; save the file as UTF-8") from error
                yield text

    def add(self, curie: str, name: str, line: int | None = None) -> None:
        """Note that a concept is described on a line, by default the one that was read last.

        Raises:
            VocabularyError: Its CURIE is none, or was there before, or it has no name.
        """
        at = self.line if line is None else line
        if not CURIE.fullmatch(curie):
            raise self.error(f"{curie!r} is not a CURIE such as MESH:D008545; correct it", at)
        if not name:
            raise self.error(f"{curie} has no name; add one, or take the record out", at)
        if curie in self.lines:
            raise self.error(f"{curie} is already on line {self.lines[curie]}; join the two", at)
        self.lines[curie] = at

    def check_category(self, category: str, line: int | None = None) -> None:
        """Refuse what is not written as a Biolink category is.

        Raises:
            VocabularyError: It is not.
        """
        if not CATEGORY.fullmatch(category):
            raise self.error(
                f"{category!r} is not a Biolink category such as biolink:Disease; correct it", line
            )

    def check_any(self, what: str) -> None:
        """Refuse a file that was read to its end without a concept.

        Raises:
            VocabularyError: It names none.
        """
        if not self.lines:
            raise self.error(f"the file names no {what}; check that it is whole and of this format", 1)


class _Readable(Protocol):
    def read1(self, size: int, /) -> bytes: ...


class _Bounded(io.RawIOBase):
    """What a stream holds, up to a limit; what is wrong with a gzip file is an error of the file."""

    def __init__(self, stream: _Readable, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # io hands in a memoryview
        try:
            piece = self._stream.read1(len(buffer))
        except EOFError as error:
            raise OSError("a gzip file that ends too early") from error
        except (zlib.error, gzip.BadGzipFile) as error:
            raise OSError(f"a broken gzip file: {error}") from error
        self._left -= len(piece)
        if self._left < 0:
            raise OSError("the file holds more than is read of one vocabulary; split it")
        buffer[: len(piece)] = piece
        return len(piece)
