"""What a stage type tells the system about itself."""

from __future__ import annotations

import keyword
import re
import typing
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from medkg_dagster.errors import StageRegistryError
from medkg_dagster.stage_api._stage_types.outcome_checks import OutcomeCheck
from medkg_dagster.stage_api._stage_types.work_at_gates import WorkAtGate

API_VERSION = 1

OutputHandler = Callable[[MutableMapping[str, Any], str, Any], None]
OutputCounter = Callable[[Any], int]

_STAGE_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
_NO_TYPES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SubprocessIsolation:
    """A stage runs in a child process that is ended where it takes too much.

    Attributes:
        memory_mb: The memory the stage may take, in mebibytes, beyond what the child needs to start.
        timeout_seconds: The longest time of one execution, in seconds.

    Raises:
        StageRegistryError: A limit is not a positive number.
    """

    memory_mb: int = 2048
    timeout_seconds: float = 600.0

    def __post_init__(self) -> None:
        for name in ("memory_mb", "timeout_seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise StageRegistryError(f"isolation: {name} must be a positive number, got {value!r}")


@dataclass(frozen=True, slots=True)
class StageMetadata:
    """The description of a stage type, validated when made; lists of names are taken for tuples.

    Attributes:
        stage_type: The name used in YAML, for example `ir-validation`.
        state_key: The key, or keys, the stage writes; None for a stage that writes nothing.
        output_handler: Puts the output onto the scoped state: `(state, stage_name, output) -> None`.
        output_counter: Counts the output; shown as `output_count` and plotted.
        description: One sentence for people.
        dependencies: Stage types whose state keys are this type's inputs.
        optional_dependencies: Stage types whose state keys are inputs where the pipeline has a writer; the
            type itself stands for an earlier stage of the same type.
        config_model: Pydantic model that validates the stage's `config` and becomes the op's config schema.
        state_types: State key to the type of its value; gives the serializer.
        version: The type's own version, part of the asset's code version.
        api_version: The stage API it was written for.
        kinds: Up to three labels shown on the asset, for example `("python", "sqlite")`.
        max_failure_ratio: The share of documents, 0 to 1, that may fail before the step does; one of several
            always may, unless it is 0.
        isolation: The limits of the child process the stage wants to run in; None for the step's own.
        work_at_gates: Work to be done while a job waits at a gate behind a stage of this type.
        per_document: Whether `execute` gets the inputs of one document and returns what is made of it.
        batch: How many documents `execute` of such a type gets at once, as lists; 1 gives it one, as it is.
        streams_documents: Whether a batch stage gets its inputs as `DocumentValues`, and may return an
            iterator of items.
        checks: What is judged of the outcome each time a stage of this type has run.

    Raises:
        StageRegistryError: A field is invalid; the message names the stage type, the field and the rule.
    """

    stage_type: str
    state_key: str | tuple[str, ...] | None
    output_handler: OutputHandler
    output_counter: OutputCounter
    description: str
    dependencies: tuple[str, ...] = ()
    optional_dependencies: tuple[str, ...] = ()
    config_model: type[BaseModel] | None = None
    state_types: Mapping[str, Any] = field(default_factory=lambda: _NO_TYPES, hash=False)
    version: str = "1"
    api_version: int = API_VERSION
    kinds: tuple[str, ...] = ()
    max_failure_ratio: float = 0.2
    isolation: SubprocessIsolation | None = None
    work_at_gates: tuple[WorkAtGate, ...] = ()
    per_document: bool = False
    batch: int = 1
    streams_documents: bool = False
    checks: tuple[OutcomeCheck, ...] = ()

    def __post_init__(self) -> None:
        for name in ("state_key", "dependencies", "optional_dependencies"):
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        problems = _invalid(self)
        if problems:
            raise StageRegistryError(f"stage type {self.stage_type!r}: {'; '.join(problems)}")

    @property
    def state_keys(self) -> tuple[str, ...]:
        """The keys the stage writes, always as a tuple."""
        if self.state_key is None:
            return ()
        return (self.state_key,) if isinstance(self.state_key, str) else self.state_key

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict for display; callables and types by qualified name."""
        return {
            "stage_type": self.stage_type,
            "state_key": list(self.state_key) if isinstance(self.state_key, tuple) else self.state_key,
            "output_handler": qualified_name(self.output_handler),
            "output_counter": qualified_name(self.output_counter),
            "description": self.description,
            "dependencies": list(self.dependencies),
            "optional_dependencies": list(self.optional_dependencies),
            "config_model": qualified_name(self.config_model) if self.config_model else None,
            "state_types": {key: qualified_name(value) for key, value in self.state_types.items()},
            "version": self.version,
            "api_version": self.api_version,
            "kinds": list(self.kinds),
            "max_failure_ratio": self.max_failure_ratio,
            "isolation": asdict(self.isolation) if self.isolation else None,
            "work_at_gates": [work.name for work in self.work_at_gates],
            "per_document": self.per_document,
            "batch": self.batch,
            "streams_documents": self.streams_documents,
            "checks": [check.name for check in self.checks],
        }


def qualified_name(target: object) -> str:
    """Return `module.qualname` of a callable or type, or its repr where it has none (`tuple[int, ...]`)."""
    name = getattr(target, "__qualname__", None)
    if name is None or hasattr(target, "__args__"):
        return repr(target)
    return f"{getattr(target, '__module__', '?')}.{name}"


def _invalid(metadata: StageMetadata) -> list[str]:
    return [
        *_invalid_names(metadata),
        *_invalid_state_keys(metadata),
        *_invalid_callables(metadata),
        *_invalid_values(metadata),
    ]


def _invalid_names(metadata: StageMetadata) -> list[str]:
    name = metadata.stage_type
    problems = []
    if not isinstance(name, str) or not _STAGE_TYPE.fullmatch(name):
        problems.append("stage_type must be letters, digits, '-' and '_', beginning with a letter")
    for label in ("dependencies", "optional_dependencies"):
        values = getattr(metadata, label)
        if not isinstance(values, tuple) or not all(isinstance(value, str) and value for value in values):
            problems.append(f"{label} must be a tuple of stage types, for example ('parse',)")
            continue
        if len(set(values)) != len(values):
            problems.append(f"{label} names a stage type twice: {', '.join(values)}")
        if name in values and label == "dependencies":
            problems.append(f"{label} names the stage type itself; it may be an optional dependency")
    return problems


def _invalid_state_keys(metadata: StageMetadata) -> list[str]:
    key = metadata.state_key
    if key is None:
        return []
    if isinstance(key, tuple) and not key:
        return ["state_key is an empty tuple; write None for a stage that writes nothing"]
    keys = key if isinstance(key, tuple) else (key,)
    problems = [
        f"state_key {value!r} must be a valid Python identifier and no keyword"
        for value in keys
        if not isinstance(value, str) or not value.isidentifier() or keyword.iskeyword(value)
    ]
    if not problems and len(set(keys)) != len(keys):
        problems.append(f"state_key names a key twice: {keys!r}")
    return problems


def _invalid_callables(metadata: StageMetadata) -> list[str]:
    problems = [
        f"{label} must be callable, got {getattr(metadata, label)!r}"
        for label in ("output_handler", "output_counter")
        if not callable(getattr(metadata, label))
    ]
    model = metadata.config_model
    if model is not None and not (isinstance(model, type) and issubclass(model, BaseModel)):
        problems.append(f"config_model must be a pydantic model class, got {model!r}")
    return problems


def _invalid_values(metadata: StageMetadata) -> list[str]:
    problems = []
    if not isinstance(metadata.description, str) or not metadata.description.strip():
        problems.append("description must not be empty; one sentence for people")
    if not isinstance(metadata.version, str) or not metadata.version:
        problems.append("version must be a non-empty string")
    if metadata.api_version != API_VERSION:
        problems.append(
            f"api_version {metadata.api_version!r} is not supported; this release speaks {API_VERSION}"
        )
    if not isinstance(metadata.max_failure_ratio, int | float) or not 0 <= metadata.max_failure_ratio <= 1:
        problems.append(f"max_failure_ratio must lie between 0 and 1, got {metadata.max_failure_ratio!r}")
    if not isinstance(metadata.kinds, tuple) or len(metadata.kinds) > 3:
        problems.append("kinds must be a tuple of three labels at most, for example ('python', 'sqlite')")
    problems += [*_invalid_state_types(metadata), *_invalid_unit(metadata)]
    isolation = metadata.isolation
    if isolation is not None and not isinstance(isolation, SubprocessIsolation):
        problems.append(f"isolation must be a SubprocessIsolation or None, got {isolation!r}")
    works = metadata.work_at_gates
    if not isinstance(works, tuple) or not all(isinstance(work, WorkAtGate) for work in works):
        problems.append(f"work_at_gates must be a tuple of WorkAtGate, got {works!r}")
    elif len({work.name for work in works}) != len(works) or len({work.sets for work in works}) != len(works):
        problems.append("work_at_gates declares a name or a field twice")
    checks = metadata.checks
    if not isinstance(checks, tuple) or not all(isinstance(check, OutcomeCheck) for check in checks):
        problems.append(f"checks must be a tuple of OutcomeCheck, got {checks!r}")
    elif len({check.name for check in checks}) != len(checks):
        problems.append("checks declares a name twice")
    return problems


def _invalid_unit(metadata: StageMetadata) -> list[str]:
    if isinstance(metadata.batch, bool) or not isinstance(metadata.batch, int) or metadata.batch < 1:
        return [f"batch must be a whole number, 1 or more, got {metadata.batch!r}"]
    if not metadata.per_document:
        return ["batch is of a type that is per_document"] if metadata.batch > 1 else []
    if metadata.streams_documents:
        return ["a type is per_document, or it streams documents, not both"]
    if not metadata.dependencies:
        return ["a type that is per_document needs a dependency: what it works on"]
    return [
        f"state key {key!r} of a type that is per_document must have a type that can be put together: "
        "tuple[T, ...], or a class with the class method joined(parts)"
        for key in metadata.state_keys
        if not can_be_joined(metadata.state_types.get(key))
    ]


def can_be_joined(value_type: Any) -> bool:
    """Say whether values of this type, one for each document, make one value of it."""
    is_tuple = typing.get_origin(value_type) is tuple and typing.get_args(value_type)[1:] == (Ellipsis,)
    return is_tuple or hasattr(value_type, "joined")


def _invalid_state_types(metadata: StageMetadata) -> list[str]:
    types = metadata.state_types
    if not isinstance(types, Mapping):
        return [f"state_types must be a mapping of state keys to types, got {types!r}"]
    if _invalid_state_keys(metadata):
        return []
    unknown = [key for key in types if key not in metadata.state_keys]
    if unknown:
        return [f"state_types names keys the stage does not write: {', '.join(sorted(map(str, unknown)))}"]
    return []
