"""Sources, embedders, extractors, rerankers, stores, gate conditions: named parts behind protocols.

They are found through entry points: one of a group below names an `Extension`, and only the chosen one is
imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from medkg_dagster.domain.payloads import Payload
from medkg_dagster.domain.scalar_types import Place, find_mistyped, named_field
from medkg_dagster.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from medkg_dagster.stage_api._calls import ExternalCalls
    from medkg_dagster.stage_api._context import StageContext


class ExtensionKind(StrEnum):
    """What an extension is, and the entry point group it is found in."""

    SOURCE = "medical_kg.orchestration.sources"
    EMBEDDER = "medical_kg.orchestration.embedders"
    EXTRACTOR = "medical_kg.orchestration.extractors"
    RERANKER = "medical_kg.orchestration.rerankers"
    INDEX_STORE = "medical_kg.orchestration.index_stores"
    GRAPH_STORE = "medical_kg.orchestration.graph_stores"
    GATE_CONDITION = "medical_kg.orchestration.gate_conditions"

    @property
    def label(self) -> str:
        """What people call it: `index store`."""
        return self.name.lower().replace("_", " ")

    @property
    def plural(self) -> str:
        """The last word of the group, also the key in `replaces`: `index_stores`."""
        return self.value.rpartition(".")[2]


CONTEXT_KEY = "extensions"


class Source(Protocol):
    """Fetches raw documents; the adapter of an `ingest` stage."""

    def fetch(self, ctx: StageContext) -> Iterable[Payload]:
        """Yield payloads one by one; quarantine one bad document through `ctx`.

        Raises:
            SourceError: Nothing can be fetched at all.
        """


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file or an answer as fetched, which holds payloads.

    Attributes:
        version: SHA-256 (hex) of all that its payloads depend on: its name and bytes, the parameters, and a
            version of how it is split.
        split: Returns the payloads; what is no payload is quarantined there.
    """

    version: str
    split: Callable[[], Iterable[Payload]]


@runtime_checkable
class FileListingSource(Source, Protocol):
    """A source whose files are split only where that was not done before."""

    def files(self, ctx: StageContext) -> Iterable[FetchedFile]:
        """Yield the files that hold what `fetch` yields, in the same order; raises the same."""


@runtime_checkable
class ListingSource(Source, Protocol):
    """A source that can say whether it listed all it has: then what it no longer lists is withdrawn.

    Of other sources nothing is: what they fetch is taken for what has changed.
    """

    @property
    def lists_all(self) -> bool:
        """Whether what `fetch` gave is all there is; asked when it was read to its end.

        False where it was limited, or where a part could not be read.
        """


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def model(self) -> str:
        """Names model and settings, so that vectors of different models are never compared.

        Of the form `<extension name>:<canonical JSON of parameters, no secrets>`; see `open_embedder`.
        """

    @property
    def lexical(self) -> bool:
        """True where closeness means shared words, not shared meaning."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 of shape (texts, dimension), rows of Euclidean length 1, or 0 for an empty text."""


@runtime_checkable
class RemoteEmbedder(Embedder, Protocol):
    """An embedder that asks a service, and lets the stage's policy say how often and how fast."""

    def using(self, calls: ExternalCalls) -> Embedder:
        """Return an embedder that makes its requests through `calls`, within its attempts and seconds."""


@runtime_checkable
class QueryEmbedder(Embedder, Protocol):
    """An embedder that makes the vectors of queries otherwise than those of what is looked for."""

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of queries, as `embed` does those of documents."""


class Reranker(Protocol):
    """Reads a query with each of the best documents, and says how well each answers it.

    It is asked in a search, while somebody waits: what it does has to end soon.
    """

    @property
    def depth(self) -> int:
        """So many of the best documents are given to it."""

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return a finite number for each text: the higher, the better it answers the query.

        Args:
            query: The query as it was asked.
            texts: The title and best passage of each document.

        Raises:
            MedkgError: It cannot say; the documents then stay in the order they had, and the answer says why.
        """


class NoParameters(BaseModel):
    """The configuration of an extension that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Extension:
    """A named source, embedder, extractor, reranker, store or gate condition.

    Attributes:
        kind: What it is.
        name: Its name in YAML; the entry point's name.
        description: One sentence for people.
        config_model: Pydantic model of its parameters, `extra="forbid"`.
        build: `(parameters, home) -> object`, where `home` is the folder for all data; called inside a
            step or a command, never while definitions load, so heavy imports belong in here. Only that of a
            gate condition is called at load time: it returns the `GateCondition` that the parameters mean.
        keeps_documents: Of a store: whether it has `held` and `apply`, so that a run writes only what changed
            and takes out what is withdrawn. A store without them keeps what it was once given.
    """

    kind: ExtensionKind
    name: str
    description: str
    config_model: type[BaseModel]
    build: Callable[[Any, Path], Any]
    keeps_documents: bool = False

    def open(self, parameters: dict[str, Any], home: Path) -> Any:
        """Validate parameters and build the part.

        Args:
            parameters: The parameters as written in YAML or a request.
            home: The folder for all data.

        Returns:
            An object of the protocol that belongs to `kind`.

        Raises:
            ConfigError: A parameter is unknown, missing or wrong.
        """
        return self.build(self.validate(parameters), home)

    def validate(self, parameters: dict[str, Any]) -> BaseModel:
        """Validate parameters without building anything; raises `ConfigError` like `open`."""
        made, wrong = self.check(parameters)
        if made is None or wrong:
            raise ConfigError("; ".join(sentence for _, sentence in wrong))
        return made

    def check(self, parameters: dict[str, Any]) -> tuple[BaseModel | None, list[tuple[Place, str]]]:
        """Validate parameters, scalars strictly.

        Args:
            parameters: The parameters as written.

        Returns:
            The model's instance, None where it could not be made; and what is wrong, each with its place.
        """
        wrong = [
            (found.path, f"{self._parameter(found.path)}: {found.message}; {found.hint}")
            for found in find_mistyped(self.config_model, parameters)
        ]
        try:
            return self.config_model.model_validate(parameters), wrong
        except ValidationError as error:
            known = {path for path, _ in wrong}
            items = [item for item in error.errors() if item["loc"] not in known]
            return None, wrong + [self._explain(item, parameters) for item in items]

    def _parameter(self, path: tuple[str | int, ...]) -> str:
        return f"{self.name}: parameter '{'.'.join(map(str, path))}'" if path else self.name

    def _explain(self, item: Any, parameters: dict[str, Any]) -> tuple[Place, str]:
        place: Place = item["loc"]
        if item["type"] == "extra_forbidden":
            written = ".".join(map(str, place))
            hint = did_you_mean(written, self.config_model.model_fields)
            return place, f"{self.name}: unknown parameter '{written}'; {hint}"
        sentence = item["msg"].removeprefix("Value error, ")
        if not place and (field := named_field(sentence, parameters)):
            place = (field,)
        return place, f"{self._parameter(place)}: {sentence}"


class Extensions(Protocol):
    """Where a stage finds the extensions that are let in: `ctx.extensions`."""

    def names(self, kind: ExtensionKind) -> tuple[str, ...]:
        """Return the sorted names of the extensions of a kind."""

    def find(self, kind: ExtensionKind, name: str) -> Extension:
        """Return an extension; only that one is imported.

        Args:
            kind: What is wanted.
            name: The name written in YAML.

        Raises:
            ConfigError: No such name, one that is not let in, several of that name, or it cannot be loaded.
        """


class GivenExtensions:
    """Extensions that are handed over, none of them installed.

    Args:
        extensions: All there are.
    """

    def __init__(self, extensions: Iterable[Extension] = ()) -> None:
        self._extensions = {(extension.kind, extension.name): extension for extension in extensions}

    def names(self, kind: ExtensionKind) -> tuple[str, ...]:
        """Return the sorted names of the extensions of a kind."""
        return tuple(sorted(name for one, name in self._extensions if one is kind))

    def find(self, kind: ExtensionKind, name: str) -> Extension:
        """Return an extension; raises `ConfigError` where there is none of that name."""
        found = self._extensions.get((kind, name))
        if found is None:
            raise ConfigError(f"unknown {kind.label} {name!r}; {did_you_mean(name, self.names(kind))}")
        return found


def embed_query(embedder: Embedder, text: str) -> NDArray[np.float32]:
    """Return the vector of a query."""
    made = embedder.embed_queries if isinstance(embedder, QueryEmbedder) else embedder.embed
    vector: NDArray[np.float32] = made([text])[0]
    return vector


def named_with_parameters(written: str) -> tuple[str, dict[str, Any]]:
    """Return the name and parameters of `<extension name>:<JSON of its parameters>`; none need be there.

    Raises:
        ValueError: It is not of that form.
    """
    name, _, text = written.partition(":")
    parameters = json.loads(text) if text.strip() else {}
    if not name or not isinstance(parameters, dict):
        raise ValueError("no parameters")
    return name, parameters


def open_embedder(extensions: Extensions, model: str, home: Path) -> Embedder:
    """Open the embedder that made an index's vectors, so that a query is embedded like the chunks were.

    Args:
        extensions: Where the embedder is found.
        model: What `Embedder.model` returned: `<extension name>:<canonical JSON of its parameters>`.
        home: The folder for all data.

    Raises:
        ConfigError: The text is not of that form, or the embedder is not installed or cannot be opened.
    """
    name, _, text = model.partition(":")
    try:
        parameters = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"embedding model {model!r} cannot be reopened: {error}; embed again") from error
    if not isinstance(parameters, dict):
        raise ConfigError(f"embedding model {model!r} cannot be reopened: no parameters; embed again")
    embedder: Embedder = extensions.find(ExtensionKind.EMBEDDER, name).open(parameters, home)
    return embedder


def check_extension(kind: ExtensionKind, name: str, parameters: dict[str, Any], info: ValidationInfo) -> None:
    """Let an unknown extension or parameter be an error of the YAML file, not of a run.

    Call it from a validator of a config model. It does nothing where the model is validated without a
    catalogue in its context, as inside a step: there the extension is opened right afterwards.

    Args:
        kind: What is wanted.
        name: The name written in YAML.
        parameters: Its parameters as written.
        info: What pydantic gives the validator.

    Raises:
        ValueError: There is no such extension, or the parameters do not fit it; each error has the place of
            its parameter under `params`.
    """
    catalogue = (info.context or {}).get(CONTEXT_KEY)
    if catalogue is None:
        return
    try:
        _, wrong = catalogue.find(kind, name).check(parameters)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    if wrong:
        raise ValidationError.from_exception_data(
            name,
            [
                {
                    "type": PydanticCustomError("parameter", "{sentence}", {"sentence": sentence}),
                    "loc": ("params", *path),
                    "input": parameters,
                }
                for path, sentence in wrong
            ],
        )
