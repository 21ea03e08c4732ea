"""Documents that are ZIP archives, from strangers: members are read one by one, within limits."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError, counted
from medkg_dagster.stages.parse.xml import Element, parse_xml

MAX_MEMBERS = 20_000
MAX_RATIO = 100
"""Documents unpack to a tenth of this; no more than it, once it is more than `LEAST_LIMIT` bytes."""

LEAST_LIMIT = 10_000_000
_ENCRYPTED = 0x1


class Archive:
    """The members of a ZIP archive.

    Args:
        content: The archive.
        origin: The file.
        limit: How many bytes all that is read of it may have, unpacked.

    Raises:
        UnreadableDocumentError: It is broken.
        UnsafeDocumentError: It has too many members.
    """

    def __init__(self, content: bytes, origin: str, limit: int) -> None:
        self._origin = origin
        self._limit = limit
        self._read = self._packed = 0
        with self._explained():
            self._zip = zipfile.ZipFile(BytesIO(content))
        self._members = {info.filename: info for info in self._zip.infolist()}
        if len(self._members) > MAX_MEMBERS:
            raise UnsafeDocumentError(
                f"{origin}: an archive of {counted(len(self._members), 'member')}, the limit is "
                f"{MAX_MEMBERS:,}"
            )

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all members."""
        return tuple(self._members)

    def read(self, name: str) -> bytes:
        """Return what a member holds.

        Raises:
            UnreadableDocumentError: There is none of this name, or it is broken or encrypted.
            UnsafeDocumentError: With it, more is unpacked than the limit.
        """
        info = self._members.get(name)
        if info is None:
            raise UnreadableDocumentError(
                f"{self._origin}: the file is broken: it lacks its part {name}; fetch it again"
            )
        if info.flag_bits & _ENCRYPTED:
            raise UnreadableDocumentError(
                f"{self._origin}: the file is encrypted and needs a password; supply it decrypted"
            )
        self._read += info.file_size
        self._packed += info.compress_size
        limit = min(self._limit, max(LEAST_LIMIT, MAX_RATIO * self._packed))
        if self._read > limit:
            raise UnsafeDocumentError(
                f"{self._origin}: unpacks to more than {limit:,} bytes with its part {name}, from "
                f"{self._packed:,} bytes; check it by hand, or raise max_content_bytes where that is reached"
            )
        with self._explained():
            return self._zip.read(info)

    def xml(self, name: str, *, namespaces: bool = False) -> Element:
        """Return the XML of a member, as `parse_xml` does."""
        return parse_xml(self.read(name), f"{self._origin}#{name}", namespaces=namespaces)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
            raise UnreadableDocumentError(
                f"{self._origin}: the file is a broken or unknown kind of archive ({error}); fetch it again"
            ) from error
