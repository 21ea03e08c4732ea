"""The IO manager: one archive per stage and partition, see `archives`, written atomically."""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import (
    DagsterType,
    Failure,
    InitResourceContext,
    InputContext,
    IOManagerDefinition,
    MetadataValue,
    OutputContext,
    UPathIOManager,
    io_manager,
)

from medkg_dagster.domain.job_ids import file_name
from medkg_dagster.errors import StateError
from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.runtime.state.archives import EXTENSION, read_archive, use_shards
from medkg_dagster.runtime.state.shards import ShardStore
from medkg_dagster.stage_api._documents import DocumentValues, whole_value

if TYPE_CHECKING:
    from upath import UPath

STATE_KEY = "state_key"


class StateType(DagsterType):
    """The Dagster type of what a stage of ours reads: it loads its inputs itself, see `StateReference`."""


@dataclass(frozen=True, slots=True)
class StateReference:
    """A state key that a step is to load when it has begun, so that what is wrong with it is told there.

    Attributes:
        load: Returns the value.
    """

    load: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class StoredState:
    """What a step has stored already.

    Attributes:
        metadata: Where, and how much, for the asset catalog.
    """

    metadata: Mapping[str, MetadataValue[Any]]


class StateIOManager(UPathIOManager):
    """Stores what a stage wrote: a zip archive with one member per state key.

    A reader takes only the member it needs. The archive is written to a temporary file, flushed to disk
    and renamed, so that a kill leaves the earlier state or the new one. Stages store their state and load
    their inputs themselves; for assets of others that read a state key, Dagster does it.
    """

    extension: str = EXTENSION

    def __init__(
        self, base_path: "UPath", state_types: Mapping[tuple[str, str], Mapping[str, Any]], shards: ShardStore
    ) -> None:
        """Make an IO manager.

        Args:
            base_path: The folder, local or any fsspec URL.
            state_types: By `(pipeline, stage)` as in the asset key: state key to value type.
            shards: Where the parts of documents are.
        """
        super().__init__(base_path=base_path)
        self._state_types = state_types
        self.shards = shards

    def load_input(self, context: InputContext) -> Any:
        """Read one state key; what is missing or damaged stays so until its stage runs again."""
        if isinstance(context.dagster_type, StateType):
            return StateReference(partial(super().load_input, context))
        try:
            return whole_value(super().load_input(context))
        except StateError as error:
            raise Failure(str(error), allow_retries=False) from error

    def store(self, context: OutputContext, archive: Callable[["UPath"], bytes]) -> StoredState:
        """Write one stage's state.

        Args:
            context: Which stage and partition.
            archive: Returns what `archive_state` makes, given the path, where an earlier run may have
                written.

        Raises:
            StateError: It cannot be written: the disk is full, the name is too long.
        """
        try:
            super().handle_output(context, archive)
        except OSError as error:
            raise _refused(error, "stored") from error
        return StoredState(context.consume_logged_metadata())

    def archive(self, context: OutputContext) -> "UPath":
        """Return where the state of a stage is, or is to be."""
        if context.has_asset_partitions:
            (path,) = self._get_paths_for_partitions(context).values()
            return path
        return self._get_path(context)

    def handle_output(self, context: OutputContext, obj: StoredState) -> None:
        """Tell of a state what Dagster is to show; the step has stored it."""
        context.add_output_metadata(obj.metadata)

    def make_safe_partition_path(self, base_path: "UPath", partition: str) -> "UPath":
        """Join a partition key so that no key, whatever it holds, leaves the folder of its asset."""
        return base_path / file_name(partition)

    def dump_to_path(self, context: OutputContext, obj: Callable[["UPath"], bytes], path: "UPath") -> None:
        """Write one stage's state; see `store`."""
        content = obj(path)
        _write(path, content)
        context.add_output_metadata({"bytes": MetadataValue.int(len(content))})

    def load_from_path(self, context: InputContext, path: "UPath") -> Any:
        """Read one state key of a stage, by document where it is kept so."""
        key = (context.definition_metadata or {})[STATE_KEY]
        stage = context.asset_key.path[-1]
        value_type = self._types(_asset(context))[key]
        seen = None
        while True:
            content = _read(path, key, stage)
            try:
                value = read_archive(content, key, value_type, self.shards)
            except ValueError as error:
                raise StateError(
                    f"state key {key!r}: {path} is damaged or from another version of the stage: {error}; "
                    f"run the stage {stage!r} again"
                ) from error
            # What nobody used any more may be gone where another run has written another archive meanwhile.
            if not isinstance(value, DocumentValues) or use_shards(value) or content == seen:
                return value
            seen = content

    def _types(self, asset: tuple[str, str]) -> Mapping[str, Any]:
        return self._state_types[asset]


def load_reference(value: Any) -> Any:
    """Return an input of a step: the value itself, where Dagster gave a reference to it."""
    return value.load() if isinstance(value, StateReference) else value


def state_io_manager(
    folder: Path, state_types: Mapping[tuple[str, str], Mapping[str, Any]]
) -> IOManagerDefinition:
    """Return the IO manager as a resource, so that what it needs is imported in steps and not by every load.

    Args:
        folder: The folder of all state; shards lie in `shards` beside it.
        state_types: By `(pipeline, stage)` as in the asset key: state key to value type.
    """

    @io_manager(description="Keeps what stages wrote, one file per stage and partition.")
    def state(_context: InitResourceContext) -> StateIOManager:
        from upath import UPath

        return StateIOManager(UPath(folder), state_types, ShardStore(folder.parent / "shards"))

    return state


def _refused(error: OSError, what: str) -> StateError:
    """Return the error of a file system that refused."""
    said = f"the state cannot be {what}: {error.strerror or error}: {error.filename or 'no file is named'}"
    hint = "give the job a shorter id" if error.errno == errno.ENAMETOOLONG else "see to the folder `state`"
    return StateError(f"{said}; {hint}, and run the stage again")


def _read(path: "UPath", key: str, stage: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise StateError(
            f"state key {key!r}: nothing is stored at {path}; "
            f"run the stage {stage!r} for this partition first"
        ) from error
    except OSError as error:
        raise _refused(error, f"read (state key {key!r})") from error


def _asset(context: InputContext | OutputContext) -> tuple[str, str]:
    *_, pipeline, stage = context.asset_key.path  # a deployment may put a prefix before them
    return pipeline, stage


def _write(path: "UPath", content: bytes) -> None:
    if path.protocol not in {"", "file", "local"}:
        # Object stores make an object visible only when all of it has arrived.
        path.write_bytes(content)
        return
    write_atomically(Path(path.path), content)
