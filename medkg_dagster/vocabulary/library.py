"""The vocabularies of a home: the sources that were added, and the artefact that is made of all of them.

vocabulary/sources/NAME/     a copy of the source's file, and `source.json`
vocabulary/built/VERSION/    an artefact
vocabulary/current           the version that is in use
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from pydantic_core import from_json, to_json

from medkg_dagster.errors import VocabularyError, did_you_mean
from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.io.collector import collector_paused
from medkg_dagster.vocabulary.artefact import VocabularyArtefact, write_artefact
from medkg_dagster.vocabulary.circles import without_circles
from medkg_dagster.vocabulary.concepts import Concept, Equivalence
from medkg_dagster.vocabulary.readers import find_reader
from medkg_dagster.vocabulary.unify import unify

FOLDER = "vocabulary"
GRACE_SECONDS = 24 * 3600.0
"""So long a version stays that nothing has opened since, for the processes of steps that began with it."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile("[0-9a-f]{1,64}")
_SOURCE = "source.json"
_ABOUT = "about.json"


@dataclass(frozen=True, slots=True)
class Source:
    """A source that was added.

    Attributes:
        name: What it is called here.
        format: The name of its reader.
        file: The name of its file.
        version: Its version, as whoever added it says.
        licence: Its licence, the same.
    """

    name: str
    format: str
    file: str
    version: str = ""
    licence: str = ""


class VocabularyLibrary:
    """The vocabularies below a home.

    Args:
        home: The folder for all data.
    """

    def __init__(self, home: Path) -> None:
        self._root = home / FOLDER
        self._sources = self._root / "sources"
        self._built = self._root / "built"
        self._current = self._root / "current"

    def sources(self) -> tuple[Source, ...]:
        """Return the sources that were added, by name.

        Raises:
            VocabularyError: What is written of one cannot be read.
        """
        found = []
        for path in sorted(self._sources.glob(f"[!.]*/{_SOURCE}")):
            try:
                found.append(Source(**from_json(path.read_bytes())))
            except (OSError, ValueError, TypeError) as error:
                raise VocabularyError(
                    f"vocabulary source {path.parent.name}: {path} cannot be read: {error}; "
                    f"`medkg vocab remove {path.parent.name}` and add it again"
                ) from error
        return tuple(found)

    def add(self, file: Path, source: Source) -> VocabularyArtefact:
        """Add a source, or put another version in its place, and build anew.

        Args:
            file: Its file, of which a copy is kept.
            source: What it is.

        Raises:
            VocabularyError: The file is wrong, or the vocabulary cannot be written; all stays as it was.
        """
        if not _NAME.fullmatch(source.name):
            raise VocabularyError(
                f"{source.name!r} is no name for a source: use letters, digits, '.', '_' and '-'"
            )
        with self._locked():
            kept = self._sources / source.name
            staged = self._sources / f".{source.name}.{uuid4().hex}.partial"
            before = self._sources / f".{source.name}.{uuid4().hex}.before"
            try:
                self._copy(file, staged, source)
                if kept.exists():
                    kept.rename(before)
                staged.rename(kept)
                try:
                    return self._build()
                except BaseException:
                    shutil.rmtree(kept)
                    if before.exists():
                        before.rename(kept)
                    raise
            except OSError as error:
                raise self._refused(error) from error
            except VocabularyError as error:
                # Whoever adds a file mends it, and not the copy of it.
                said = str(error).replace(str(kept / source.file), str(file))
                raise VocabularyError(said) from error
            finally:
                shutil.rmtree(staged, ignore_errors=True)
                shutil.rmtree(before, ignore_errors=True)

    def remove(self, name: str) -> VocabularyArtefact | None:
        """Take a source out, and build anew of the others; None where there is none left.

        Raises:
            VocabularyError: There is no such source, or the file system refuses.
        """
        with self._locked_where_there_is_one():
            names = [path.name for path in self._sources.glob("[!.]*")]
            if name not in names:
                raise VocabularyError(f"no source is called {name!r}; {did_you_mean(name, names)}")
            try:
                aside = self._sources / f".{name}.{uuid4().hex}.removed"
                self._sources.joinpath(name).rename(aside)
                try:
                    found = self._build() if len(names) > 1 else None
                    if found is None:
                        self._forget()
                except BaseException:
                    aside.rename(self._sources / name)
                    raise
                shutil.rmtree(aside, ignore_errors=True)
                return found
            except OSError as error:
                raise self._refused(error) from error

    def build(self) -> VocabularyArtefact:
        """Build the vocabulary of all sources, and have it used from now on.

        Raises:
            VocabularyError: There is no source, one is wrong, or the file system refuses; the old one stays.
        """
        with self._locked_where_there_is_one():
            try:
                return self._build()
            except OSError as error:
                raise self._refused(error) from error

    def current(self) -> VocabularyArtefact | None:
        """Return the vocabulary that is in use; None where none was built.

        Raises:
            VocabularyError: It cannot be opened.
        """
        version = self.current_version()
        return None if version is None else self.opened(version)

    def current_version(self) -> str | None:
        """Return the version of the vocabulary that is in use; None where none was built.

        Raises:
            VocabularyError: It cannot be read.
        """
        try:
            return self._current.read_text("ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise VocabularyError(
                f"{self._current} cannot be read: {error}; run `medkg vocab build`"
            ) from error

    def has(self, version: str) -> bool:
        """Say whether a vocabulary of this version is kept."""
        return bool(_VERSION.fullmatch(version)) and self._built.joinpath(version).is_dir()

    def opened(self, version: str) -> VocabularyArtefact:
        """Return a vocabulary that was built.

        Raises:
            VocabularyError: It cannot be opened.
        """
        folder = self._built / version
        _touch(folder)
        return VocabularyArtefact(folder)

    def _build(self) -> VocabularyArtefact:
        sources = self.sources()
        if not sources:
            raise _nothing_to_build()
        left_out: dict[str, Counter[str]] = {one.name: Counter() for one in sources}
        said = {
            one.name: find_reader(one.format)(self._sources / one.name / one.file, left_out[one.name])
            for one in sources
        }
        # Millions of objects stay to the end, and each search for garbage would look at all of them.
        with collector_paused():
            return self._made(sources, said, left_out)

    def _made(
        self,
        sources: Sequence[Source],
        said: Mapping[str, Iterable[Concept | Equivalence]],
        left_out: Mapping[str, Counter[str]],
    ) -> VocabularyArtefact:
        joined, collisions = unify(said)
        things, cut = without_circles(joined)
        about = [{**asdict(one), "left_out": dict(sorted(left_out[one.name].items()))} for one in sources]
        before = self._version_before()
        folder = write_artefact(
            self._built, things, collisions, {"sources": about, "circles_cut": list(map(asdict, cut))}
        )
        write_atomically(self._current, f"{folder.name}\n".encode())
        self._replaced(before if before != folder.name else None)
        return VocabularyArtefact(folder)

    def _forget(self) -> None:
        before = self._version_before()
        self._current.unlink(missing_ok=True)
        self._replaced(before)

    def _version_before(self) -> str | None:
        """Return the version in use; None also where that cannot be read, for to build anew mends it."""
        with contextlib.suppress(VocabularyError):
            return self.current_version()
        return None

    def _replaced(self, version: str | None) -> None:
        """Keep a version that is in use no more for the steps that began with it; remove what is old."""
        if version is not None:
            _touch(self._built / version)
        current = self._version_before()
        for folder in self._built.glob("*"):
            if folder.name != current and time.time() - folder.stat().st_mtime > GRACE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _copy(self, file: Path, folder: Path, source: Source) -> None:
        folder.mkdir(parents=True)
        if file.is_dir():
            shutil.copytree(file, folder / source.file)
        else:
            shutil.copyfile(file, folder / source.file)
        folder.joinpath(_SOURCE).write_bytes(to_json(asdict(source), indent=1))

    def _refused(self, error: OSError) -> VocabularyError:
        return VocabularyError(
            f"{error.filename or self._root}: {error.strerror or error}; nothing was changed"
        )

    def _locked_where_there_is_one(self) -> contextlib.AbstractContextManager[None]:
        if not self._root.is_dir():
            raise _nothing_to_build()
        return self._locked()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold off every other process that changes the vocabularies, until this one is done or ends."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with self._root.joinpath(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise self._refused(error) from error


def _touch(folder: Path) -> None:
    """Say that a version is used; where that cannot be written it is kept for a while all the same."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def _nothing_to_build() -> VocabularyError:
    return VocabularyError(
        "there is no source to build a vocabulary of; `medkg vocab install open` or `medkg vocab add FILE`"
    )
