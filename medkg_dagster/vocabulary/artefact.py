"""A vocabulary as it is used: files that are mapped into memory, so that a process has it at once.

A folder, named by the hash of its content, holds

    names.marisa     a trie of all names, folded and in American spelling, each with a number; those of genes
                     once more as `symbols.key_of` writes them, behind a mark
    named.npy        by number of a name where what it names begins in `meant.npy`; one more at the end
    meant.npy        what a name means, the likeliest first: the number of a thing, and which name of it
    curies.marisa    a trie of all CURIEs, also equivalent and former ones, each with a number
    things.npy       by number of a CURIE the number of the thing
    places.npy       by number of a thing where it begins in `things.jsonl`
    things.jsonl     a line for each thing
    collisions.tsv   what is said to be the same and was not joined, and why
    about.json       the sources with their versions and licences, and how much there is
"""

from __future__ import annotations

import hashlib
import io
import mmap
import shutil
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from pydantic_core import from_json, to_json

from medkg_dagster.errors import VocabularyError
from medkg_dagster.vocabulary.categories import DISEASES
from medkg_dagster.vocabulary.concepts import prefix_of
from medkg_dagster.vocabulary.name_search import NameSearch
from medkg_dagster.vocabulary.names import acronyms, american, fold, forms
from medkg_dagster.vocabulary.unify import Collision, Thing
from medkg_dagster.vocabulary.written_names import written_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMAT = 3
_PARENTS, _CLOSE = ([field.name for field in fields(Thing)].index(name) for name in ("parents", "close"))
_MOST_REMEMBERED = 1 << 15
"""So many names are kept with what they mean."""

_MOST_STEPS = 4
"""So far up is looked for a kind of disease that another scheme knows."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name can mean.

    Attributes:
        thing: The number of the thing.
        name: Which of its names it is, the preferred one is 0.
        acronyms: The words in it that must be written so, each with its place.
    """

    thing: int
    name: int
    acronyms: tuple[tuple[int, str], ...]


def write_artefact(
    root: Path, things: Sequence[Thing], collisions: Sequence[Collision], about: Mapping[str, Any]
) -> Path:
    """Write a vocabulary to a folder below another, named by its content.

    Args:
        root: Where all are.
        things: In the order of their CURIEs.
        collisions: What was not joined.
        about: What is to be kept with it.

    Returns:
        The folder. What was there before stays until all of it is written.

    Raises:
        VocabularyError: There is nothing to write, or the file system refuses.
    """
    if not things:
        raise VocabularyError("a vocabulary without concepts; add a source with `medkg vocab add`")
    files = dict(_files(things, collisions, about))
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\x00{len(content)}\x00".encode())
        digest.update(content)
    folder = root / digest.hexdigest()[:16]
    partial = root / f".{folder.name}.{uuid4().hex}.partial"
    try:
        partial.mkdir(parents=True)
        for name, content in files.items():
            partial.joinpath(name).write_bytes(content)
        if folder.exists():
            shutil.rmtree(partial)
        else:
            partial.rename(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise VocabularyError(
            f"the vocabulary cannot be written to {root}: {error.strerror or error}"
        ) from error
    return folder


def _files(
    things: Sequence[Thing], collisions: Sequence[Collision], about: Mapping[str, Any]
) -> Iterator[tuple[str, bytes]]:
    import marisa_trie
    import numpy as np

    numbers = {thing.curie: number for number, thing in enumerate(things)}
    written: list[str] = []
    told = array("I")
    for name, *numbered in written_names(things):
        written.append(name)
        told.extend(numbered)
    names = marisa_trie.Trie(written)
    named = np.fromiter(map(names.key_id, written), np.uint32, len(written))
    likely, meanings, which = np.frombuffer(told, np.uint32).reshape(-1, 3).T
    del written
    # Sorted by name, then by how likely the meaning is, then by how often the thing is called so.
    order = np.lexsort((meanings, which, likely, named))
    meant = np.stack([named, likely, which, meanings], axis=1)[order]
    del named, likely, which, meanings, order
    repeated = (meant[1:, (0, 2, 3)] == meant[:-1, (0, 2, 3)]).all(axis=1)
    meant = meant[np.concatenate(([True], ~repeated))[: len(meant)]]
    yield "names.marisa", names.tobytes()
    yield "named.npy", _array(np.searchsorted(meant[:, 0], np.arange(len(names) + 1)).astype(np.uint32))
    yield "meant.npy", _array(np.ascontiguousarray(meant[:, (3, 2)]))
    curies = _curies(things)
    trie = marisa_trie.Trie(curies)
    by_number = sorted((number, curies[curie]) for curie, number in trie.items())
    yield "curies.marisa", trie.tobytes()
    yield "things.npy", _array(np.array([thing for _, thing in by_number], dtype=np.uint32))
    children: dict[int, list[int]] = {}
    for number, thing in enumerate(things):
        for parent in thing.parents:
            children.setdefault(numbers[parent], []).append(number)
    lines = [
        to_json(_line(thing, numbers, children.get(number, []))) + b"\n"
        for number, thing in enumerate(things)
    ]
    yield "places.npy", _array(np.cumsum([0, *map(len, lines)], dtype=np.uint64))
    yield "things.jsonl", b"".join(lines)
    rows = ["one\tother\treason", *(f"{each.one}\t{each.other}\t{each.reason}" for each in collisions)]
    yield "collisions.tsv", "\n".join(rows).encode() + b"\n"
    counts = {"things": len(things), "names": len(names), "collisions": len(collisions)}
    yield "about.json", to_json({"format": _FORMAT, **about, **counts}, indent=1)


def _words(thing: Thing) -> frozenset[str]:
    return frozenset(fold(thing.name).split())


def _curies(things: Sequence[Thing]) -> dict[str, int]:
    """Return which thing a CURIE is; a former one may be one of another thing today."""
    found = {thing.curie: number for number, thing in enumerate(things)}
    for group in ("equivalents", "former"):
        for number, thing in enumerate(things):
            for curie in getattr(thing, group):
                found.setdefault(curie, number)
    return found


def _line(thing: Thing, numbers: Mapping[str, int], children: Sequence[int]) -> list[Any]:
    """Return what stands in the line of a thing: its children, then the fields of `Thing` in order."""
    parents = [numbers[parent] for parent in thing.parents]
    before = [children, thing.curie, thing.name, thing.category, thing.synonyms, thing.equivalents, parents]
    close = [numbers[one] for one in thing.close]
    return [*before, thing.tree_numbers, thing.roles, thing.former, close, thing.sources]


def _array(values: NDArray[Any]) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


class VocabularyArtefact:
    """A vocabulary that was written by `write_artefact`.

    Args:
        folder: Where it is.

    Raises:
        VocabularyError: It is not there, damaged, or of another version of this package.
    """

    def __init__(self, folder: Path) -> None:
        import marisa_trie
        import numpy as np

        self._folder = folder
        try:
            self.about: Mapping[str, Any] = from_json(folder.joinpath("about.json").read_bytes())
            if self.about.get("format") != _FORMAT:
                raise ValueError(f"it is of format {self.about.get('format')}, not {_FORMAT}")
            self._names = marisa_trie.Trie().mmap(str(folder / "names.marisa"))
            self._curies = marisa_trie.Trie().mmap(str(folder / "curies.marisa"))
            self._named, self._meant, self._things, self._places = (
                # A number of a view costs a tenth of one of an array.
                memoryview(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False).reshape(-1))
                for name in ("named", "meant", "things", "places")
            )
            with folder.joinpath("things.jsonl").open("rb") as lines:
                self._lines = mmap.mmap(lines.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError, RuntimeError) as error:
            raise VocabularyError(
                f"the vocabulary {folder} cannot be used: {error}; make it anew with `medkg vocab build`"
            ) from error
        self.search = NameSearch(self._names)
        self._known: dict[int, Thing] = {}
        self._meanings: dict[int, tuple[Meaning, ...]] = {}

    @property
    def version(self) -> str:
        """The hash of its content."""
        return self._folder.name

    def meanings(self, name: int) -> tuple[Meaning, ...]:
        """Return what a name can mean, the likeliest first."""
        found = self._meanings.get(name)
        if found is None:
            if len(self._meanings) >= _MOST_REMEMBERED:
                self._meanings.clear()
            found = self._meanings[name] = self._read_meanings(name)
        return found

    def _read_meanings(self, name: int) -> tuple[Meaning, ...]:
        meant = self._meant
        return tuple(
            Meaning(thing, which, self._acronyms(thing, which))
            for thing, which in (
                (meant[2 * place], meant[2 * place + 1])
                for place in range(self._named[name], self._named[name + 1])
            )
        )

    def find(self, name: str) -> tuple[int, ...]:
        """Return the numbers of the things with this name, in any case, the likeliest first."""
        for form in forms(name.strip()):
            number = self._names.get(american(fold(form)))
            if number is not None:
                return tuple(dict.fromkeys(one.thing for one in self.meanings(number)))
        return ()

    def number_of(self, curie: str) -> int | None:
        """Return the number of the thing that a CURIE is, also by an equivalent or a former one."""
        number = self._curies.get(curie)
        return None if number is None else self._things[number]

    def thing(self, number: int) -> Thing:
        """Return a thing."""
        if number not in self._known:
            _, *values = self._line(number)
            for place in (_PARENTS, _CLOSE):
                values[place] = [self._line(one)[1] for one in values[place]]
            told: list[Any] = [value if isinstance(value, str) else tuple(value) for value in values]
            self._known[number] = Thing(*told)
        return self._known[number]

    def in_scheme(self, curie: str, schemes: Sequence[str]) -> str | None:
        """Return by which CURIE of some scheme a concept is known there, or what comes next to it.

        That is its own or that of what is nearly the same (`Thing.close`); else, of a disease, that of the
        nearest kind of disease that it is one of, and of several the one whose name has more in common.

        Args:
            curie: The concept, by any of its CURIEs.
            schemes: Prefixes such as `MESH`, the preferred one first.
        """
        number = self.number_of(curie)
        level = [] if number is None else [self.thing(number)]
        words = {word for thing in level for word in _words(thing)}
        for _ in range(_MOST_STEPS):
            close = [self.of(one) for thing in level for one in thing.close]
            near = (*level, *close, *(self.of(one) for thing in close for one in thing.close))
            known = [one for thing in near for one in (thing.curie, *thing.equivalents)]
            for scheme in schemes:
                if found := next((one for one in known if prefix_of(one) == scheme), None):
                    return found
            above = (self.of(one) for thing in level if thing.category in DISEASES for one in thing.parents)
            level = sorted(above, key=lambda thing: -sum(map(len, words & _words(thing))))
        return None

    def of(self, curie: str) -> Thing:
        """Return the thing that a CURIE of the vocabulary is."""
        return self.thing(self._things[self._curies[curie]])

    def descendants(self, number: int) -> frozenset[int]:
        """Return the numbers of all things that are of the kind of a thing, itself included."""
        found, pending = {number}, [number]
        while pending:
            new = set(self._line(pending.pop())[0]) - found
            found |= new
            pending += new
        return frozenset(found)

    def has_descendants(self, number: int, most: int) -> bool:
        """Say whether more than so many things are of the kind of a thing, without counting them all."""
        found, pending = {number}, [number]
        while pending and len(found) <= most + 1:
            new = set(self._line(pending.pop())[0]) - found
            found |= new
            pending += new
        return len(found) > most + 1

    def close_names(self, name: str, limit: int = 5) -> tuple[str, ...]:
        """Return names that begin as a name that was not found does."""
        folded = american(fold(name.strip()))
        for length in range(len(folded), 2, -1):
            if found := self._names.keys(folded[:length])[:limit]:
                return tuple(found)
        return ()

    def close(self) -> None:
        """Release the file of things; the rest goes with this object."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _written(self) -> dict[tuple[int, int], tuple[tuple[int, str], ...]]:
        return {}

    def _acronyms(self, thing: int, which: int) -> tuple[tuple[int, str], ...]:
        found = self._written.get((thing, which))
        if found is None:
            known = self.thing(thing)
            found = self._written[thing, which] = acronyms((known.name, *known.synonyms)[which])
        return found

    def _line(self, number: int) -> list[Any]:
        begin, end = self._places[number], self._places[number + 1]
        line: list[Any] = from_json(self._lines[begin:end])
        return line
