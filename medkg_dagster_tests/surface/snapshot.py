"""The public surface as text: `python -m medkg_dagster_tests.surface.snapshot` writes it anew."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

SNAPSHOT = Path(__file__).parent / "public_surface.txt"
PUBLIC_PACKAGES = (
    "medkg_dagster",
    "medkg_dagster.stage_api",
    "medkg_dagster.stage_api.testing",
    "medkg_dagster.query",
    "medkg_dagster.service",
    "medkg_dagster.ledger",
    "medkg_dagster.registry",
    "medkg_dagster.errors",
    "medkg_dagster.settings",
)


def public_surface() -> str:
    """Return every public name with the names of its parameters, fields, members and methods."""
    return "".join(f"{line}\n" for package in PUBLIC_PACKAGES for line in _package(package))


def public_names(package: str) -> list[str]:
    """Return what a package exports; a module without `__all__` exports what it defines."""
    module = import_module(package)
    exported = getattr(module, "__all__", None)
    if exported is not None:
        return sorted(exported)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", package) == package and callable(value)
    )


def _package(package: str) -> Iterator[str]:
    module = import_module(package)
    for name in public_names(package):
        yield from _described(f"{package}.{name}", getattr(module, name))


def _described(path: str, value: Any) -> Iterator[str]:
    if not inspect.isclass(value):
        yield f"{path}{_parameters(value)}" if inspect.isfunction(value) else path
        return
    if issubclass(value, enum.Enum):
        yield f"{path}: {', '.join(member.name for member in value)}"
        return
    if issubclass(value, BaseModel):
        yield f"{path}({', '.join(value.model_fields)})"
    elif issubclass(value, Exception):
        yield f"{path}({value.__base__.__name__ if value.__base__ else ''})"
    else:
        yield f"{path}{_parameters(value)}"
    for name, member in sorted(vars(value).items()):
        if name.startswith(("_", "model_")):
            continue
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if inspect.isfunction(function):
            yield f"{path}.{name}{_parameters(function)}"
        elif isinstance(member, property):
            yield f"{path}.{name}"


def _parameters(value: Any) -> str:
    """Return parameters by name; `=` marks what has a default."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return ""
    kinds: dict[object, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    shown: list[str] = []
    for parameter in parameters:
        if parameter.name == "self":
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not any(
            item.startswith("*") for item in shown
        ):
            shown.append("*")
        default = "" if parameter.default is inspect.Parameter.empty else "="
        shown.append(f"{kinds.get(parameter.kind, '')}{parameter.name}{default}")
    return f"({', '.join(shown)})"


if __name__ == "__main__":
    SNAPSHOT.write_text(public_surface())
