"""The `files` source: a folder, or one file, of documents in the formats `parse` understands."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from functools import cache, partial
from importlib.resources import as_file, files
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from medkg_dagster.errors import (
    DocumentError,
    PermanentSourceError,
    SourceError,
    UnreadableDocumentError,
    UnsafeDocumentError,
    counted,
)
from medkg_dagster.io.regular_files import RefusedFileError, read_regular, resolve_link
from medkg_dagster.stage_api import Config, Extension, ExtensionKind, FetchedFile, StageContext

if TYPE_CHECKING:
    from medkg_dagster.stage_api import Payload

CORPUS_ORIGIN = "medkg_dagster/corpus/documents"
_GZIP_MARK = b"\x1f\x8b"
_ZEROS = re.compile(rb"\x00*")
_PIECE = 256


class FilesParameters(Config):
    """What to read."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="A folder or one file; relative paths start from the working directory, `~` is the home "
        "folder. Without a path, the corpus bundled with the package.",
    )
    recursive: bool = Field(default=True, description="Whether to read subfolders too.")
    include: tuple[str, ...] = Field(
        default=("*",),
        min_length=1,
        description="Glob patterns of file names or relative paths to read, for example `*.json`.",
    )
    exclude: tuple[str, ...] = Field(
        default=(), description="Glob patterns of file names or relative paths to leave out."
    )
    max_file_bytes: int = Field(
        default=100 * 1024 * 1024,
        ge=1,
        description="Larger files, also larger after unpacking gzip, are quarantined; bytes.",
    )
    max_files: int = Field(
        default=100_000, ge=1, description="A folder with more files than this is refused as a whole."
    )
    synthetic: bool = Field(
        default=False,
        description="Whether the documents are invented; they are marked so in index and graph. The bundled "
        "corpus and copies of its files always are.",
    )


class FileSource:
    """Reads documents from files; each is recognised by its content, never by its extension.

    Args:
        parameters: What to read.
        name: The source's name, for the record.
    """

    def __init__(self, parameters: FilesParameters, name: str = "files") -> None:
        self._parameters = parameters
        self._name = name
        self._lists_all = True

    @property
    def lists_all(self) -> bool:
        """Whether every folder and file could be read."""
        return self._lists_all

    def fetch(self, ctx: StageContext) -> Iterator[Payload]:
        """Yield one payload per document, files in order of their relative paths.

        Args:
            ctx: The surroundings of this run; files that are no documents are quarantined there.

        Raises:
            SourceError: The path does not exist or cannot be read, or holds too many files.
        """
        for file in self.files(ctx):
            yield from file.split()

    def files(self, ctx: StageContext) -> Iterator[FetchedFile]:
        """Yield the files, in order of their relative paths; raises the same as `fetch`."""
        self._lists_all = True
        if self._parameters.path is None:
            with as_file(files("medkg_dagster") / "corpus" / "documents") as folder:
                yield from self._files_of(folder, CORPUS_ORIGIN, ctx)
        else:
            root = Path(self._parameters.path).expanduser()
            yield from self._files_of(root, self._parameters.path, ctx)

    def _files_of(self, root: Path, shown: str, ctx: StageContext) -> Iterator[FetchedFile]:
        for relative, path in self._list(root, shown, ctx):
            name = _printable(relative or path.name)
            origin = _printable(f"{shown.rstrip('/')}/{relative}" if relative else shown)
            try:
                content = self._read(name, path, within=root if relative else None)
            except DocumentError as error:
                ctx.quarantine(name, error)
                continue
            synthetic = self._parameters.synthetic or _is_bundled(content)
            said = f"{self._name}\x00{name}\x00{origin}\x00{synthetic}\x00".encode()
            version = hashlib.sha256(said + hashlib.sha256(content).digest()).hexdigest()
            made = partial(self._split, name, origin, content, ctx, synthetic=synthetic)
            yield FetchedFile(version, made)

    def _split(
        self, name: str, origin: str, content: bytes, ctx: StageContext, *, synthetic: bool
    ) -> Iterator[Payload]:
        from medkg_dagster.adapters.sources.payload_formats import Refused, split_content

        try:
            for part in split_content(name, origin, content, self._name):
                if isinstance(part, Refused):
                    ctx.quarantine(part.document_id, part.error)
                else:
                    yield part.model_copy(update={"synthetic": True}) if synthetic else part
        except DocumentError as error:
            ctx.quarantine(name, error)

    def _list(self, root: Path, shown: str, ctx: StageContext) -> list[tuple[str, Path]]:
        try:
            if root.is_file():
                return [("", root)]
            if not root.exists():
                raise PermanentSourceError(
                    f"path {shown} does not exist (looked for {root.absolute()}); correct `path`"
                )
            if not root.is_dir():
                raise PermanentSourceError(f"path {shown} is neither a folder nor a regular file")
            os.scandir(root).close()
        except OSError as error:
            raise SourceError(f"path {shown} cannot be read: {error.strerror or error}") from error
        return sorted(self._walk(root, ctx))

    def _walk(self, root: Path, ctx: StageContext) -> Iterator[tuple[str, Path]]:
        seen = {os.path.realpath(root)}
        pending, linked = [(root, "")], list[tuple[Path, str]]()
        count = 0
        while pending or linked:
            # Links come last: what they lead to inside the folder is read under its own name.
            folder, prefix = pending.pop() if pending else linked.pop()
            if folder is not root:
                target = os.path.realpath(folder)
                if target in seen:
                    ctx.log.info("%s leads to a folder that is read already; left out", folder)
                    continue
                seen.add(target)
            for entry in self._entries(root, folder, ctx):
                relative, path = f"{prefix}{entry.name}", folder / entry.name
                if _is_folder(entry):
                    if self._parameters.recursive:
                        (linked if entry.is_symlink() else pending).append((path, f"{relative}/"))
                elif self._wanted(relative):
                    count += 1
                    if count > self._parameters.max_files:
                        raise PermanentSourceError(
                            f"{root} holds more than max_files = {self._parameters.max_files} files; "
                            f"raise it or name a subfolder"
                        )
                    yield relative, path

    def _wanted(self, relative: str) -> bool:
        def matches(patterns: tuple[str, ...]) -> bool:
            name = relative.rpartition("/")[2]
            return any(
                fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(relative, pattern)
                for pattern in patterns
            )

        return matches(self._parameters.include) and not matches(self._parameters.exclude)

    def _read(self, name: str, path: Path, within: Path | None) -> bytes:
        limit = self._parameters.max_file_bytes
        try:
            content = read_regular(
                path, limit, within=within, option="max_file_bytes", is_folder_resolved=within is not None
            )
        except OSError as error:
            raise self._refused(name, error) from error
        return _gunzip(name, content, limit) if content.startswith(_GZIP_MARK) else content

    def _entries(self, root: Path, folder: Path, ctx: StageContext) -> list[os.DirEntry[str]]:
        try:
            resolve_link(folder, root)
            with os.scandir(folder) as entries:
                shown = [entry for entry in entries if not entry.name.startswith(".")]
            return sorted(shown, key=attrgetter("name"))
        except OSError as error:
            name = _printable(folder.relative_to(root).as_posix())
            ctx.quarantine(name, self._refused(name, error))
            return []

    def _refused(self, name: str, error: OSError) -> DocumentError:
        if isinstance(error, RefusedFileError):
            return UnsafeDocumentError(f"{name}: is not read: {_printable(str(error.strerror))}")
        # What is in there now is not known: what it held before is not gone.
        self._lists_all = False
        return UnreadableDocumentError(f"{name}: cannot be read: {error.strerror or error}")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # What a link leads to may not be looked at; reading it tells why.
        return False


@cache
def _bundled_files() -> Mapping[int, frozenset[str]]:
    """Return the hashes of the files of the bundled corpus by their sizes."""
    found: dict[int, set[str]] = {}
    with as_file(files("medkg_dagster") / "corpus" / "documents") as folder:
        for path in folder.rglob("*.*"):
            content = path.read_bytes()
            found.setdefault(len(content), set()).add(hashlib.sha256(content).hexdigest())
    return {size: frozenset(hashes) for size, hashes in found.items()}


def _is_bundled(content: bytes) -> bool:
    hashes = _bundled_files().get(len(content))
    return hashes is not None and hashlib.sha256(content).hexdigest() in hashes


def _gunzip(name: str, content: bytes, limit: int) -> bytes:
    try:
        unpacked = bytearray()
        for part in _members(content, limit + 1):
            unpacked += part
    except EOFError as error:
        raise UnreadableDocumentError(f"{name}: a gzip file that ends too early; fetch it again") from error
    except zlib.error as error:
        raise UnreadableDocumentError(f"{name}: a broken gzip file: {error}; fetch it again") from error
    if len(unpacked) > limit:
        raise UnsafeDocumentError(
            f"{name}: a gzip file that unpacks to more than max_file_bytes = {limit} from "
            f"{counted(len(content), 'byte')}; unpack and check it by hand"
        )
    return bytes(unpacked)


def _members(content: bytes, limit: int) -> Iterator[bytes]:
    """Yield what a gzip file's members hold, up to a limit; zeros may fill it up.

    A member is fed in pieces that grow, as what a piece holds behind its end is copied: of many small members
    each would cost as much as the rest of the file.
    """
    position = 0
    while limit > 0 and position < len(content):
        member, size = zlib.decompressobj(wbits=31), _PIECE
        while limit > 0 and not member.eof:
            if position >= len(content):
                raise EOFError
            piece = content[position : position + size]
            unpacked = member.decompress(piece, limit)
            limit -= len(unpacked)
            yield unpacked
            position += len(piece) - len(member.unused_data)
            size *= 2
        position = _ZEROS.match(content, position).end()  # type: ignore[union-attr] # it matches anywhere


def _printable(text: str) -> str:
    # A file name that is no valid UTF-8 reaches Python with lone surrogates, which no store accepts.
    return os.fsencode(text).decode("utf-8", "backslashreplace")


FILES = Extension(
    kind=ExtensionKind.SOURCE,
    name="files",
    description="Documents from a folder or one file: ClinicalTrials.gov JSON, JATS, PubMed XML, PDF, HTML, "
    "EPUB, Word, text.",
    config_model=FilesParameters,
    build=lambda parameters, home: FileSource(parameters),  # noqa: ARG005 - the protocol of Extension.build
)

AUTO = dataclasses.replace(FILES, name="auto", description="Another name of `files`.")
