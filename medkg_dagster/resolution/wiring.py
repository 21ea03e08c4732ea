"""State keys as wires: every input comes from the nearest stage upstream that writes its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medkg_dagster.registry import StageRegistry
from medkg_dagster.stage_api import StageMetadata
from medkg_dagster.topology.structure import furthest_downstream


@dataclass(frozen=True, slots=True)
class Input:
    """A state key that a stage reads.

    Attributes:
        state_key: The key.
        required: Whether the pipeline must have a writer upstream.
        stage_type: The dependency that brought it in.
    """

    state_key: str
    required: bool
    stage_type: str


@dataclass(frozen=True, slots=True)
class Writers:
    """Which stages write a state key.

    Attributes:
        under_name: Positions of the stages that store something under the key.
        renamed: Positions of the stages whose type writes the key, and that store it under another.
    """

    under_name: Sequence[int] = ()
    renamed: Sequence[int] = ()


def find_writers(reader: int, writers: Writers, ancestors: Sequence[int]) -> list[int]:
    """Return the nearest writers of a key upstream of a stage; where several are, those under its own name.

    Args:
        reader: The stage's position.
        writers: The stages that write the key.
        ancestors: For each position a bit mask of what is upstream of it.

    Returns:
        One position where the wire is clear, none where nothing writes the key, several where it is
        ambiguous.
    """
    found = nearest_writers(reader, sorted({*writers.under_name, *writers.renamed}), ancestors)
    if len(found) == 1:
        return found
    return [writer for writer in found if writer in writers.under_name] or found


def nearest_writers(reader: int, writers: Sequence[int], ancestors: Sequence[int]) -> list[int]:
    """Return the nearest writers of a key upstream of a stage: those with no other such writer below them."""
    return furthest_downstream([writer for writer in writers if ancestors[reader] >> writer & 1], ancestors)


def inputs_of(metadata: StageMetadata, registry: StageRegistry) -> list[Input]:
    """Return the inputs of a stage type in the order of its dependencies, required ones first.

    Args:
        metadata: The stage type.
        registry: All stage types; a dependency that is not registered brings no input.
    """
    inputs: dict[str, Input] = {}
    for required, names in ((True, metadata.dependencies), (False, metadata.optional_dependencies)):
        for name in names:
            entry = registry.find(name)
            for key in entry.metadata.state_keys if entry else ():
                inputs.setdefault(key, Input(key, required, name))
    return list(inputs.values())


def types_that_write(key: str, registry: StageRegistry) -> list[str]:
    """Return the sorted names of the stage types that write a state key."""
    return [entry.metadata.stage_type for entry in registry if key in entry.metadata.state_keys]
