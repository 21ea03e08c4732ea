"""A pipeline file's text rewritten from earlier forms to today's, comments and all.

Needs `ruamel.yaml`, which the extra `migrate` brings; loading does without.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkg_dagster.errors import ConfigError, Problem, TopologyError
from medkg_dagster.io.regular_files import read_regular
from medkg_dagster.topology.legacy_forms import (
    KeyOutsideCondition,
    LegacyForm,
    MissingParse,
    legacy_forms,
    read_forms,
)
from medkg_dagster.topology.structure import mappings_at
from medkg_dagster.topology.yaml_source import MAX_BYTES, YamlSource, parse_yaml, read_yaml

if TYPE_CHECKING:
    from ruamel.yaml import YAML

_HEAD = re.compile(r"(?:[ \t]*(?:#.*)?\n)*---[ \t]*(?:#.*)?\n")
_COMMENT = re.compile(r"^\s*(#.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """What becomes of one file.

    Attributes:
        file: The file.
        before: Its text.
        after: Its text in today's form; the same where it had no earlier one.
        notes: The earlier forms in it, with their lines.
    """

    file: Path
    before: str
    after: str
    notes: tuple[Problem, ...]


def migrate_file(file: Path) -> Migration:
    """Read a pipeline file and rewrite its text in today's form; nothing is written.

    Raises:
        TopologyError: It is not valid YAML.
        ConfigError: It cannot be rewritten without losing something, or `ruamel.yaml` is not installed.
    """
    source = read_yaml(file)
    if source.problems:
        raise TopologyError(source.problems)
    # As it stands, line endings too; it has just been read, so it is UTF-8.
    text = read_regular(file, MAX_BYTES).decode("utf-8-sig")
    if not isinstance(source.value, dict):
        return Migration(file, text, text, ())
    today, notes = read_forms(source)
    return Migration(file, text, _rewritten(text, today) if notes else text, notes)


def _rewritten(text: str, today: YamlSource) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n")
    # The round trip loses what stands before the document begins.
    head = found[0] if (found := _HEAD.match(plain)) else ""
    after = head + _in_today_s_form(plain[len(head) :], today.file)
    read = parse_yaml(after, today.file)
    lost = set(_COMMENT.findall(plain)) - set(_COMMENT.findall(after))
    if lost:
        raise _by_hand(today.file, f"the comment {min(lost)!r} would be lost")
    if read.problems or read.value != today.value:
        raise _by_hand(
            today.file, "it shares values by aliases or merge keys, or is laid out in an unusual way"
        )
    return after.replace("\n", newline)


def _in_today_s_form(text: str, file: Path) -> str:
    yaml = _round_trip(text)
    from ruamel.yaml.error import YAMLError

    try:
        content = yaml.load(text)
        forms = legacy_forms(content)
        _set_indent(yaml, content)
        as_it_was = _dumped(yaml, content)
        for form in forms:
            _apply(form, content)
        return _patched(text, as_it_was, _dumped(yaml, content))
    except YAMLError as error:
        raise _by_hand(file, " ".join(str(error).split())) from error


def _dumped(yaml: YAML, content: Any) -> str:
    stream = io.StringIO()
    yaml.dump(content, stream)
    return stream.getvalue()


def _patched(text: str, old: str, new: str) -> str:
    """Change in a text what is different between two others, the first of which says the same as the text.

    The round trip lays out anew what needs no change; so only what is different is taken from it.
    """
    lines, before, after = (part.splitlines(keepends=True) for part in (text, old, new))
    place = {0: 0, len(before): len(lines)}
    for block in SequenceMatcher(None, before, lines, autojunk=False).get_matching_blocks():
        place |= {
            block.a + offset: block.b + offset for offset in range(block.size + (block.a < len(before)))
        }
    changed = [
        op for op in SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if op[0] != "equal"
    ]
    if not all(first in place and last in place for _, first, last, _, _ in changed):
        return new
    for _, first, last, begin, end in reversed(changed):
        lines[place[first] : place[last]] = after[begin:end]
    return "".join(lines)


def _by_hand(file: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{file} cannot be rewritten: {why}; change it by hand, as `medkg check` says for each line"
    )


def _round_trip(text: str) -> YAML:
    try:
        from ruamel.yaml import YAML
    except ImportError as error:
        raise ConfigError(
            "rewriting YAML needs ruamel.yaml, which is not installed; "
            "install it with: pip install 'medkg-dagster[migrate]'"
        ) from error
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = len(text) + 1
    return yaml


def _set_indent(yaml: YAML, content: Any) -> None:
    """Indent as the file does at the places that change: lists as the stages, mappings as the conditions."""
    lists: list[Any] = [content[key] for key in ("stages", "gates") if _is_block(content.get(key))]
    items: list[Any] = [item for found in lists for item in found if _is_block(item)]
    offset = lists[0].lc.col if lists else 2
    sequence = items[0].lc.col if items else offset + 2
    gates: list[Any] = [gate for gate in mappings_at(content, "gates") if _is_block(gate.get("condition"))]
    mapping = gates[0]["condition"].lc.col - gates[0].lc.col if gates else 2
    yaml.indent(mapping=mapping, sequence=sequence, offset=offset)


def _apply(form: LegacyForm, content: Any) -> None:
    if isinstance(form, KeyOutsideCondition):
        _move_key(form, content)
    else:
        _put_parse(form, content)


def _move_key(form: KeyOutsideCondition, content: Any) -> None:
    gates, index, key = form.path
    gate = content[gates][index]
    keys = list(gate)
    before = keys[keys.index(key) - 1] if keys[0] != key else None
    inline, below = _take(gate, key, whole=True)
    if before != "condition":
        # Comments behind the condition, and behind the key, describe what comes after these.
        _, behind = _take(*_end(gate, "condition"))
        if before is not None:
            _add(*_end(gate, before), below=below)
            below = ""
        below += behind
    form.apply(content, {})
    _add(*_end(gate, "condition"), inline, below)


def _put_parse(form: MissingParse, content: Any) -> None:
    stages = content["stages"]
    at = next(index for index, stage in enumerate(stages) if stage["name"] == form.gate_stage)
    _, below = _take(*_end(stages, at))
    form.apply(content, {})
    for node, like in (
        (stages[at + 1], stages[at]),
        (stages[at + 1]["depends_on"], stages[at]["depends_on"]),
    ):
        if like.fa.flow_style():
            node.fa.set_flow_style()
    _add(*_end(stages, at + 1), below=below)


def _is_block(value: Any) -> bool:
    return bool(value) and hasattr(value, "fa") and not value.fa.flow_style()


def _end(container: Any, key: Any) -> tuple[Any, Any]:
    """Return the last thing under a key that a comment can follow, as its container and key."""
    value = container[key]
    if not _is_block(value):
        return container, key
    return _end(value, list(value)[-1] if isinstance(value, dict) else len(value) - 1)


def _take(container: Any, key: Any, *, whole: bool = False) -> tuple[str, str]:
    """Take the comment lines that follow a value, with `whole` the comment on its own line, too."""
    slot = 2 if isinstance(container, dict) else 0
    tokens = container.ca.items.get(key)
    if not tokens or tokens[slot] is None:
        return "", ""
    inline, _, below = tokens[slot].value.partition("\n")
    column = tokens[slot].start_mark.column
    tokens[slot] = None
    if whole:
        return inline, below
    _add(container, key, inline, column=column)
    return "", below


def _add(container: Any, key: Any, inline: str = "", below: str = "", column: int = 0) -> None:
    """Let comments follow a value, after those it has."""
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    slot = 2 if isinstance(container, dict) else 0
    old_inline, old_below = _take(container, key, whole=True)
    inline, below = " ".join(filter(None, (old_inline, inline))), old_below + below
    if inline or below:
        tokens = container.ca.items.setdefault(key, [None, None, None, None])
        tokens[slot] = CommentToken(f"{inline}\n{below}", CommentMark(column), None)
