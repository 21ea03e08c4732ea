"""`medkg stages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import ROWS, echo_json, echo_table
from medkg_dagster.errors import ConfigError, counted
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from medkg_dagster.registry import StageFactory


@click.command()
@click.argument("stage_type", metavar="[TYPE]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--audit", is_flag=True, help="Show what became of plugins, the latest first.")
@click.option("--limit", default=100, show_default=True, type=ROWS, help="Records of the audit to show.")
@click.pass_obj
def stages(settings: Settings, stage_type: str | None, as_json: bool, audit: bool, limit: int) -> None:
    """List the stage types pipelines may use, or show everything about one TYPE.

    With TYPE it prints the type's metadata, and every key of its `config` with type, default and meaning.
    With --audit it reads the ledger's record of what was discovered, registered, replaced, overridden,
    rejected, blocked or removed: when, of which version and files, and who configured it.
    """
    if audit:
        _show_audit(settings, stage_type, limit, as_json=as_json)
        return
    from medkg_dagster.resolution import load_deployment

    factory = load_deployment(settings).factory
    if factory.problems:
        click.echo(
            f"medkg: {counted(len(factory.problems), 'problem')} with plugins, see `medkg check`", err=True
        )
    names = [stage_type] if stage_type else factory.registry.stage_types
    found = [describe_type(factory, name, with_config=as_json or bool(stage_type)) for name in names]
    if as_json:
        echo_json(found[0] if stage_type else found)
    elif stage_type:
        _print_type(found[0])
    else:
        _print_types(found)


def _show_audit(settings: Settings, subject: str | None, limit: int, *, as_json: bool) -> None:
    from dataclasses import asdict

    from medkg_dagster.ledger import JobLedger
    from medkg_dagster.resolution import load_deployment
    from medkg_dagster.resolution.ledger_checks import audit_plugins

    report = load_deployment(settings).plan.report
    is_kept = JobLedger.exists(settings)
    if not is_kept:
        click.echo("medkg: there is no ledger yet; this load alone is shown, and not recorded", err=True)
    with JobLedger.of(settings) if is_kept else JobLedger.connect("sqlite://") as ledger:
        audit_plugins(report.events, ledger)
        entries = ledger.registrations.list(limit, subject)
    if as_json:
        echo_json([asdict(entry) for entry in entries])
        return
    if not entries:
        click.echo("no such records")
    echo_table(
        ("TIME", "OUTCOME", "WHAT", "DISTRIBUTION", "VERSION", "FILES", "CHANGE", "BY", "DETAILS"),
        [
            (
                entry.at[:19],
                entry.outcome,
                entry.subject or entry.entry_point,
                entry.distribution,
                entry.version,
                entry.record_hash[:12] or "-",
                entry.change or "-",
                entry.configured_by or "-",
                entry.details or "-",
            )
            for entry in entries
        ],
    )


def describe_type(factory: StageFactory, name: str, *, with_config: bool = True) -> dict[str, Any]:
    """Return a stage type's metadata, origin and, if wanted, config fields as plain values.

    Raises:
        ConfigError: Its plugin is not let in, or could not be loaded.
        StageRegistryError: There is no such type.
    """
    from medkg_dagster.resolution.requirements import why_not_registered

    why = why_not_registered(name, "", factory.registry.events)
    if name not in factory.registry and why is not None:
        raise ConfigError(f"unknown stage type {name!r}; {why}")
    metadata = factory.get_metadata(name)
    return {
        **metadata.to_dict(),
        "origin": describe_origin(factory, name),
        "config": describe_config(metadata.config_model) if with_config else None,
    }


def describe_config(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    """Return the fields of a config model as plain values."""
    if model is None:
        return []
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "type": type_name(schema["properties"][field.alias or name], definitions),
            "required": field.is_required(),
            "default": schema["properties"][field.alias or name].get("default"),
            "description": field.description or "",
        }
        for name, field in model.model_fields.items()
    ]


def type_name(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return a JSON schema's type as people write it: `integer`, `list of string`, `a | b`."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return type_name(definitions[name], {}) if "enum" in definitions.get(name, {}) else name
    if "enum" in schema:
        return " | ".join(repr(value) for value in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(type_name(option, definitions) for option in schema[key]))
    if schema.get("type") == "array":
        items = schema.get("items") or next(iter(schema.get("prefixItems", ())), None)
        return f"list of {type_name(items, definitions)}" if items else "list"
    return str(schema.get("type", "any"))


def describe_origin(factory: StageFactory, name: str) -> dict[str, str | None]:
    """Return which distribution and entry point registered a type."""
    origin = factory.registry.get(name).origin
    if origin is None:
        return {"distribution": None, "version": None, "entry_point": None}
    return {
        "distribution": origin.distribution,
        "version": origin.version,
        "entry_point": f"{origin.entry_point} = {origin.target}",
    }


def _origin_text(origin: dict[str, str | None]) -> str:
    if not origin["distribution"]:
        return "registered in this process"
    return f"{origin['distribution']} {origin['version'] or ''}".strip()


def _writes(description: dict[str, Any]) -> str:
    keys = description["state_key"]
    return ", ".join([keys] if isinstance(keys, str) else keys or ()) or "-"


def _limits(isolation: dict[str, Any] | None) -> str | None:
    if isolation is None:
        return None
    return f"a child process, {isolation['memory_mb']} MB, {isolation['timeout_seconds']:g} s"


def _print_types(found: list[dict[str, Any]]) -> None:
    echo_table(
        ("TYPE", "WRITES", "DEPENDS ON", "FROM", "ENTRY POINT"),
        [
            (
                item["stage_type"],
                _writes(item),
                ", ".join([*item["dependencies"], *(f"[{name}]" for name in item["optional_dependencies"])])
                or "-",
                _origin_text(item["origin"]),
                item["origin"]["entry_point"] or "-",
            )
            for item in found
        ],
    )


def _print_type(item: dict[str, Any]) -> None:
    click.echo(f"{item['stage_type']}: {item['description']}")
    shown = {
        "from": _origin_text(item["origin"]),
        "entry point": item["origin"]["entry_point"],
        "writes": ", ".join(
            f"{key}: {item['state_types'].get(key, 'any')}" for key in _writes(item).split(", ")
        ),
        "depends on": ", ".join(item["dependencies"]),
        "reads if there": ", ".join(item["optional_dependencies"]),
        "output handler": item["output_handler"],
        "output counter": item["output_counter"],
        "config model": item["config_model"],
        "version": item["version"],
        "api version": item["api_version"],
        "kinds": ", ".join(item["kinds"]),
        "max failure ratio": item["max_failure_ratio"],
        "isolation": _limits(item["isolation"]),
    }
    for label, value in shown.items():
        click.echo(f"  {label + ':':<19}{'-' if value in (None, '') else value}")
    click.echo()
    if not item["config"]:
        click.echo("It has no configuration.")
    echo_table(
        ("CONFIG", "TYPE", "DEFAULT", "MEANING"),
        [
            (
                field["name"],
                field["type"],
                "required" if field["required"] else repr(field["default"]),
                field["description"],
            )
            for field in item["config"]
        ],
    )
