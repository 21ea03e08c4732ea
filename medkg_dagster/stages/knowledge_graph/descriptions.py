"""What the vocabulary says of concepts beside their names: synonyms, equivalents, where it has that from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medkg_dagster.stages.extract.terms import BUNDLED, Vocabulary, fingerprint, load
from medkg_dagster.vocabulary.artefact import VocabularyArtefact
from medkg_dagster.vocabulary.library import VocabularyLibrary


@dataclass(frozen=True, slots=True)
class Description:
    """What a vocabulary says of a concept.

    Attributes:
        synonyms: Its other names.
        equivalents: Its CURIEs in other sources.
        sources: The sources that know it, each with its version.
    """

    synonyms: tuple[str, ...] = ()
    equivalents: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


_NOTHING = Description()


class Descriptions(Protocol):
    """A vocabulary, looked up by CURIE."""

    @property
    def version(self) -> str:
        """What tells one vocabulary from another."""

    def of(self, curie: str) -> Description:
        """Return what is said of a concept; nothing for one that is not known."""


class InstalledDescriptions:
    """What the vocabulary of a home says.

    Args:
        artefact: The vocabulary.
    """

    def __init__(self, artefact: VocabularyArtefact) -> None:
        self._artefact = artefact
        self._sources = {
            source["name"]: " ".join(filter(None, (source["name"], source["version"])))
            for source in artefact.about["sources"]
        }

    @property
    def version(self) -> str:
        """The hash of its content."""
        return self._artefact.version

    def of(self, curie: str) -> Description:
        """Return what is said of a concept, by any of its CURIEs."""
        number = self._artefact.number_of(curie)
        if number is None:
            return _NOTHING
        thing = self._artefact.thing(number)
        others = tuple(other for other in (thing.curie, *thing.equivalents) if other != curie)
        sources = tuple(self._sources.get(name, name) for name in thing.sources)
        return Description(thing.synonyms, others, sources)


class FileDescriptions:
    """What the bundled vocabulary says, or another that is one file.

    Args:
        path: The file; None for the bundled one.
    """

    def __init__(self, path: Path | None) -> None:
        self.version = fingerprint(path)
        self._vocabulary: Vocabulary = load(path)
        self._source = f"{(path or BUNDLED).name} {self.version[:12]}"

    def of(self, curie: str) -> Description:
        """Return what is said of a concept."""
        found = self._vocabulary.by_curie(curie)
        return _NOTHING if found is None else Description(found.synonyms, (), (self._source,))


@contextmanager
def descriptions(home: Path, path: Path | None) -> Iterator[Descriptions]:
    """Open the vocabulary that `extract` uses with the same setting, for as long as it is needed.

    Raises:
        ConfigError: The file cannot be used.
        VocabularyError: The installed vocabulary cannot be opened.
    """
    artefact = VocabularyLibrary(home).current() if path is None else None
    if artefact is None:
        yield FileDescriptions(path)
        return
    with artefact:
        yield InstalledDescriptions(artefact)
