"""YAML text to plain values, with the line of every key, every problem at once, and bounds on everything.

Values are built from parser events, because composing deep nesting recurses in C and kills the process.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from medkg_dagster.errors import Problem
from medkg_dagster.io.regular_files import RefusedFileError, read_regular
from medkg_dagster.topology.yaml_scalars import MERGE_TAG, BadScalarError, construct_scalar, resolve_tag

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 50
MAX_NODES = 100_000
MAX_PROBLEMS = 100
SUFFIXES = (".yaml", ".yml")

YamlPath = tuple[str | int, ...]

_YAML_TAGS = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class SourceLines:
    """The line of each key and list item of a YAML file, counted from 1."""

    by_path: dict[YamlPath, int]

    def line(self, path: YamlPath) -> int | None:
        """Return the line of a path, or of the closest ancestor that has one."""
        for end in range(len(path), -1, -1):
            found = self.by_path.get(path[:end])
            if found is not None:
                return found
        return None


@dataclass(frozen=True, slots=True)
class YamlSource:
    """A YAML file read.

    Attributes:
        file: The file.
        value: Its content as dicts, lists and scalars; None where the file could not be read to its end.
        lines: Where each key stands.
        problems: What is wrong with the YAML itself.
        is_empty: Whether it holds nothing, or comments only.
        is_missing: Whether there is no such file, nor one that was meant to be it.
    """

    file: Path
    value: Any
    lines: SourceLines
    problems: tuple[Problem, ...]
    is_empty: bool = False
    is_missing: bool = False


def read_yaml(file: Path, within: Path | None = None) -> YamlSource:
    """Read a YAML file; whatever is wrong with it comes back as problems.

    Args:
        file: The file, of at most `MAX_BYTES` bytes of UTF-8.
        within: A folder that the file must not lead out of by a link.
    """
    try:
        content = read_regular(file, MAX_BYTES, within=within)
    except RefusedFileError as error:
        return _refused(file, f"is not read: {error.strerror}")
    except FileNotFoundError as error:
        return _missing(file, error)
    except OSError as error:
        return _refused(file, f"cannot be read: {error.strerror or error}", hint="check path and permissions")
    if b"\x00" in content[:8192] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _refused(file, "is a binary file, not YAML text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return _refused(
            file, f"is not UTF-8 text (byte {error.start})", line=line, hint="save the file as UTF-8"
        )
    return parse_yaml(text, file)


def parse_yaml(text: str, file: Path) -> YamlSource:
    """Parse YAML text; `file` names it in problems."""
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except _StopReadingError:
        return YamlSource(file, None, SourceLines({}), tuple(builder.problems))
    except yaml.YAMLError as error:
        builder.problems.append(_syntax_problem(error, text, file))
        return YamlSource(file, None, SourceLines({}), tuple(builder.problems))
    if not builder.documents:
        builder.problems.append(Problem("the file is empty", file=file, line=1, hint="remove it or fill it"))
    lines, is_empty = SourceLines(builder.lines), not builder.documents
    return YamlSource(file, builder.root, lines, tuple(builder.problems), is_empty)


def _missing(file: Path, error: FileNotFoundError) -> YamlSource:
    if (other := _namesake(file)) is not None:
        return _refused(file, f"is not there, but {other.name} is", hint=f"rename it to {file.name}")
    return replace(
        _refused(file, f"cannot be read: {error.strerror}", hint="check the path"), is_missing=True
    )


def _namesake(file: Path) -> Path | None:
    """Return a file that somebody may have meant by this name: `.yml` for `.yaml`, or in capitals."""
    names = {f"{file.stem}{suffix}".casefold() for suffix in SUFFIXES}
    with contextlib.suppress(OSError):
        return next(
            (other for other in sorted(file.parent.iterdir()) if other.name.casefold() in names), None
        )
    return None


def _refused(file: Path, message: str, *, line: int | None = None, hint: str | None = None) -> YamlSource:
    problem = Problem(message, file=file, line=line, hint=hint)
    return YamlSource(file, None, SourceLines({}), (problem,))


def _syntax_problem(error: yaml.YAMLError, text: str, file: Path) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError):
        # What is never closed is wrong where it was opened, not where the file ends.
        at_end = error.context_mark is not None and "end of stream" in str(error.problem)
        mark = error.context_mark if at_end else error.problem_mark or error.context_mark
        context = f" {error.context}" if error.context else ""
        return Problem(
            f"not valid YAML: {error.problem}{context}",
            file=file,
            line=mark.line + 1 if mark else None,
            hint="indent with spaces, and quote text that holds ': ' or '#'",
        )
    position = getattr(error, "position", 0)
    reason = getattr(error, "reason", str(error))
    return Problem(f"not valid YAML: {reason}", file=file, line=text.count("\n", 0, position) + 1)


class _StopReadingError(Exception):
    """Reading on would be unsafe; the problem is recorded."""


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read."""

    value: Any
    path: YamlPath
    line: int
    anchor: str | None
    first_node: int
    key: Any = None
    has_key: bool = False
    is_bad_key: bool = False
    merges: list[Any] = field(default_factory=list)


class _Builder:
    """Builds one document's value from parser events."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.root: Any = None
        self.lines: dict[YamlPath, int] = {}
        self.problems: list[Problem] = []
        self.documents = 0
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def take(self, event: Any) -> None:
        """Take the next event."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._count(1, event)
            self._add(self._scalar(event), event, event.anchor)
        elif kind is yaml.MappingStartEvent:
            self._open({}, event)
        elif kind is yaml.SequenceStartEvent:
            self._open([], event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self.documents += 1
            if self.documents > 1:
                self._stop("holds several YAML documents", event, "keep one; remove the line '---' before it")

    def _report(self, message: str, event: Any, hint: str | None = None) -> None:
        self.problems.append(Problem(message, file=self.file, line=event.start_mark.line + 1, hint=hint))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _StopReadingError

    def _stop(self, message: str, event: Any, hint: str | None = None) -> None:
        self._report(message, event, hint)
        raise _StopReadingError

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._stop(
                f"expands to more than {MAX_NODES:,} values", event, "repeated aliases (*name) multiply"
            )

    def _scalar(self, event: Any) -> Any:
        tag = event.tag
        try:
            if tag is None or tag == "!":
                if not event.implicit[0] or tag == "!":
                    return event.value
                tag = resolve_tag(event.value)
                if tag is None:
                    return event.value
                if tag == MERGE_TAG:
                    return _MERGE
            return construct_scalar(tag, event.value)
        except BadScalarError as error:
            frame = self._stack[-1] if self._stack else None
            key = f"'{frame.key}': " if frame and frame.has_key else ""
            self._report(f"{key}{error}", event, error.hint)
            return error.value

    def _open(self, value: Any, event: Any) -> None:
        self._count(1, event)
        if len(self._stack) >= MAX_DEPTH:
            self._stop(f"is nested more than {MAX_DEPTH} levels deep", event)
        if event.tag not in {None, "!", _YAML_TAGS + "map", _YAML_TAGS + "seq"}:
            self._report(f"YAML tag {event.tag!r} is not allowed", event, "remove the tag")
        path = self._next_path(value, event)
        self.lines.setdefault(path, event.start_mark.line + 1)
        self._stack.append(_Frame(value, path, event.start_mark.line + 1, event.anchor, self._nodes))

    def _next_path(self, value: Any, event: Any) -> YamlPath:
        if not self._stack:
            return ()
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            return (*frame.path, len(frame.value))
        if not frame.has_key:
            kind = "list" if isinstance(value, list) else "mapping"
            self._stop(f"a {kind} cannot be a key", event, "keys are text")
        return (*frame.path, frame.key if isinstance(frame.key, str) else "<<")

    def _close(self) -> None:
        frame = self._stack.pop()
        for merged in frame.merges:
            for key, value in merged.items():
                frame.value.setdefault(key, value)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.value, self._nodes - frame.first_node + 1)
        self._attach(frame.value, frame.line)

    def _alias(self, event: Any) -> None:
        if any(frame.anchor == event.anchor for frame in self._stack):
            self._stop(
                f"the alias *{event.anchor} stands inside what it names", event, "a value cannot hold itself"
            )
        if event.anchor not in self._anchors:
            self._report(f"unknown alias *{event.anchor}", event, f"define it before with &{event.anchor}")
            self._add(None, event, None)
            return
        value, nodes = self._anchors[event.anchor]
        self._count(nodes, event)
        self._add(value, event, None)

    def _add(self, value: Any, event: Any, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = (value, 1)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and not frame.has_key:
            self._take_key(frame, value, event)
            return
        self._attach(str(value) if value is _MERGE else value, event.start_mark.line + 1)

    def _take_key(self, frame: _Frame, key: Any, event: Any) -> None:
        frame.key, frame.has_key, frame.is_bad_key = key, True, False
        if key is _MERGE:
            return
        if not isinstance(key, str):
            shown = str(key).lower() if isinstance(key, bool) else key
            self._report(f"the key {shown} is not text", event, "put it in quotes")
            frame.is_bad_key = True
            frame.key = str(key)
        elif key in frame.value:
            first = self.lines.get((*frame.path, key))
            where = f" (first on line {first})" if first else ""
            self._report(f"duplicate key '{key}'{where}", event, "remove one of the two")
            frame.is_bad_key = True
        else:
            self.lines[(*frame.path, key)] = event.start_mark.line + 1

    def _attach(self, value: Any, line: int) -> None:
        if not self._stack:
            self.root = value
            self.lines.setdefault((), line)
            return
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            self.lines.setdefault((*frame.path, len(frame.value)), line)
            frame.value.append(value)
            return
        if frame.key is _MERGE:
            self._merge(frame, value, line)
        elif not frame.is_bad_key:
            frame.value[frame.key] = value
        frame.has_key = False

    def _merge(self, frame: _Frame, value: Any, line: int) -> None:
        merged = value if isinstance(value, list) else [value]
        if all(isinstance(item, dict) for item in merged):
            frame.merges.extend(merged)
        else:
            self.problems.append(
                Problem(
                    "'<<' takes a mapping or a list of mappings", file=self.file, line=line, hint="<<: *name"
                )
            )


class _Merge:
    """Stands for the merge key."""

    def __str__(self) -> str:
        return "<<"


_MERGE = _Merge()
