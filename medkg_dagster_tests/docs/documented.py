"""Compares what the code has with what a page says; each function returns what the page lacks."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from medkg_dagster.stage_api import Secret
from medkg_dagster_tests.docs.markdown import Section


def default_of(info: FieldInfo) -> str:
    """Return a field's default as the guides write it: as YAML in one line, in backticks."""
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "its own defaults"
    return f"`{json.dumps(_plain(value))}`"


def undocumented_fields(model: type[BaseModel], section: Section | None) -> list[str]:
    """Return the fields of a model without a row `name | type | default | meaning`, or with another default.

    Args:
        model: The model; fields are known by what YAML calls them.
        section: Where its table should be; None where the page has no such section.
    """
    if section is None:
        return [f"{model.__name__}: no section"]
    rows = section.rows()
    missing = []
    for attribute, info in model.model_fields.items():
        name = info.alias or attribute
        row = rows.get(name)
        if row is None:
            missing.append(f"{section.heading}: {name} has no row")
        elif len(row) != 4 or not row[3]:
            missing.append(f"{section.heading}: {name} needs a type, a default and a meaning")
        elif row[2] != default_of(info):
            missing.append(f"{section.heading}: {name} has the default {default_of(info)}, not {row[2]}")
    return missing


def unknown_fields(model: type[BaseModel], section: Section) -> list[str]:
    """Return the names that a section's tables document and the model does not have."""
    known = {info.alias or name for name, info in model.model_fields.items()}
    return sorted(f"{section.heading}: {name} does not exist" for name in set(section.rows()) - known)


def undocumented_names(names: Iterable[str], text: str) -> list[str]:
    """Return the names that stand nowhere in the text in backticks."""
    shown = set(re.findall(r"`([^`]+)`", text))
    return sorted(set(names) - shown)


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command below a group with what is typed for it, the group itself first."""
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def undocumented_options(command: click.Command, section: Section | None) -> list[str]:
    """Return a command's options and arguments that its section does not name in backticks."""
    if section is None:
        return [f"{command.name}: no section"]
    wanted = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            wanted.append(
                parameter.make_metavar(click.Context(command)).strip("[]").removesuffix("...").strip("[]")
            )
        else:
            wanted += parameter.opts
    return [f"{section.heading}: {name}" for name in undocumented_names(wanted, section.text)]


def with_heading(found: Mapping[str, Section], heading: str) -> Section | None:
    """Return the section with this heading, in backticks or not."""
    return found.get(heading) or found.get(f"`{heading}`")


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Secret):
        return {"env": value.env}
    return list(value) if isinstance(value, tuple | set | frozenset) else value
