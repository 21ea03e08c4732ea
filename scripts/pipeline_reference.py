"""Writes the reference of the YAML files into docs/guides/pipeline-authoring.md, from their JSON Schemas.

`python scripts/pipeline_reference.py --write` writes it, `--check` fails where it is out of date. Every key
needs an example below; what a key means is said in the docstring of its model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.registry import StageRegistry
from medkg_dagster.resolution.json_schema import pipeline_schema, plugins_schema, resilience_schema

GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "pipeline-authoring.md"
BEGIN = "<!-- reference: begin; written by scripts/pipeline_reference.py from the models, not by hand -->"
END = "<!-- reference: end -->"

PIPELINE, RESILIENCE, PLUGINS = "The pipeline", "The resilience file", "The plugins file"
_ANY_NUMBER = 1e9  # a bound beyond it guards the code, and tells people nothing
_NAME_PATTERN = "^[A-Za-z][A-Za-z0-9_-]*$"

EXAMPLES: Mapping[str, Mapping[str, str]] = {
    PIPELINE: {
        "name": "name: cardiology-trials",
        "version": 'version: "2026-01-01-b"',
        "applicable_sources": "applicable_sources: [clinical-trials]",
        "metadata": "metadata: {owner: team:cardiology, tags: [biomedical]}",
        "stages": "stages: [{name: ingest, type: ingest}]",
        "gates": "gates: [{name: review, condition: {field: review.approved, equals: true}}]",
        "plugins": 'plugins: {stages: [{type: deidentify, from: medkg-stage-example, version: ">=0.1"}]}',
        "conversion": "conversion: external",
        "execution": "execution: celery",
        "triggers": "triggers: [{name: nightly, schedule: {cron: '0 6 * * *'}}]",
    },
    "metadata": {
        "owner": "owner: team:cardiology",
        "description": "description: Completed studies of atrial fibrillation, searchable.",
        "tags": "tags: {area: cardiology, biomedical: ''}",
    },
    "stages[]": {
        "name": "name: ir_validation",
        "type": "type: ir-validation",
        "policy": "policy: polite-api",
        "depends_on": "depends_on: [parse]",
        "config": "config: {max_characters: 800}",
        "gate": "gate: review",
        "metadata_overrides": "metadata_overrides: {kinds: [text], max_failure_ratio: 0.5}",
        "isolation": "isolation: subprocess",
        "workers": "workers: 4",
        "resources": "resources: {cpu: 2, memory: 4Gi}",
        "pool": "pool: gpu-bound",
    },
    "stages[].resources": {
        "cpu": "cpu: 500m",
        "memory": "memory: 4Gi",
        "gpu": "gpu: 1",
    },
    "stages[].metadata_overrides": {
        "state_key": "state_key: redacted_document",
        "description": "description: Documents without names and dates.",
        "dependencies": "dependencies: [deidentify]",
        "optional_dependencies": "optional_dependencies: [ir-validation]",
        "kinds": "kinds: [text, privacy]",
        "max_failure_ratio": "max_failure_ratio: 0.5",
    },
    "stages[].isolation": {
        "memory_mb": "memory_mb: 512",
        "timeout_seconds": "timeout_seconds: 120",
    },
    "gates[]": {
        "name": "name: review",
        "condition": "condition: {field: review.approved, equals: true}",
        "resume_stage": "resume_stage: chunk",
        "description": "description: A curator has looked at the documents.",
        "fields": "fields: [{name: review.score, type: integer}]",
    },
    "gates[].fields[]": {
        "name": "name: review.licence",
        "type": "type: text",
        "description": "description: Under which terms it may be shown.",
        "required": "required: false",
        "default": "default: CC0",
        "choices": "choices: [CC0, CC-BY]",
    },
    "gates[].condition": {
        "mode": "mode: any",
        "clauses": "clauses: [{field: pdf.pages, operator: lte, value: 300}]",
        "timeout_seconds": "timeout_seconds: 86400",
        "poll_interval_seconds": "poll_interval_seconds: 60",
        "on_timeout": "on_timeout: quarantine",
        "field": "field: review.approved",
        "equals": "equals: true",
        "custom": "custom: working-days",
        "parameters": "parameters: {country: DE}",
    },
    "gates[].condition.clauses[]": {
        "field": "field: pdf.pages",
        "operator": "operator: in",
        "value": "value: [CC0, CC-BY]",
    },
    "triggers[]": {
        "name": "name: nightly",
        "description": "description: All studies of melanoma, every morning.",
        "default_status": "default_status: stopped",
        "schedule": "schedule: {cron: '0 6 * * *', timezone: Europe/Berlin}",
        "files": "files: {path: /data/inbox, include: ['*.json']}",
        "ledger": "ledger: {pipeline: papers, condition: {field: review.approved, equals: true}}",
        "asset": "asset: {pipeline: papers, stage: kg}",
        "request": "request: {params: {query_cond: melanoma}}",
        "job_id": "job_id: melanoma",
    },
    "triggers[].schedule": {
        "cron": "cron: '0 6 * * mon-fri'",
        "timezone": "timezone: Europe/Berlin",
        "catch_up": "catch_up: all",
    },
    "triggers[].files": {
        "path": "path: s3://lab/inbox",
        "include": "include: ['*.json', 'trials/*']",
        "exclude": "exclude: ['.*', '*.upload']",
        "recursive": "recursive: false",
        "stable_seconds": "stable_seconds: 60",
        "poll_seconds": "poll_seconds: 300",
        "max_files": "max_files: 100000",
    },
    "triggers[].ledger": {
        "pipeline": "pipeline: papers",
        "condition": "condition: {clauses: [{field: pages, operator: gte, value: 3}]}",
    },
    "triggers[].asset": {
        "pipeline": "pipeline: papers",
        "stage": "stage: kg",
    },
    "triggers[].request": {
        "adapter": "adapter: clinicaltrials",
        "params": "params: {query_term: 'AREA[LastUpdatePostDate]RANGE[{window_start:%Y-%m-%d},MAX]'}",
        "stages": "stages: {chunk: {max_characters: 800}}",
    },
    "plugins": {
        "stages": "stages: [{type: deidentify, from: medkg-stage-example}]",
        "sources": "sources: [{type: s3, from: medkg-s3}]",
        "embedders": "embedders: [{type: biobert, from: medkg-biobert}]",
        "extractors": "extractors: [{type: scispacy, from: medkg-scispacy}]",
        "rerankers": "rerankers: [{type: med-rerank, from: medkg-med-rerank}]",
        "index_stores": "index_stores: [{type: opensearch, from: medkg-opensearch}]",
        "graph_stores": "graph_stores: [{type: neo4j, from: medkg-neo4j}]",
        "gate_conditions": "gate_conditions: [{type: working-days, from: medkg-calendar}]",
    },
    "plugins.stages[]": {
        "type": "type: deidentify",
        "from": "from: medkg-stage-example",
        "version": 'version: ">=0.1,<2"',
    },
    RESILIENCE: {
        "policies": "policies: {default: {max_attempts: 3}, gpu-bound: {max_attempts: 1}}",
    },
    "policies.<name>": {
        "max_attempts": "max_attempts: 10",
        "timeout_seconds": "timeout_seconds: 30",
        "backoff": "backoff: {strategy: linear, initial: 1.0}",
        "circuit_breaker": "circuit_breaker: {failure_threshold: 5}",
        "rate_limit": "rate_limit: {rate_limit_per_second: 5.0}",
    },
    "policies.<name>.backoff": {
        "strategy": "strategy: linear",
        "initial": "initial: 1.0",
        "maximum": "maximum: 10.0",
        "jitter": "jitter: false",
    },
    "policies.<name>.circuit_breaker": {
        "failure_threshold": "failure_threshold: 5",
        "recovery_timeout": "recovery_timeout: 60.0",
    },
    "policies.<name>.rate_limit": {
        "rate_limit_per_second": "rate_limit_per_second: 5.0",
    },
    PLUGINS: {
        "autoload": "autoload: false",
        "allow": "allow: [medkg-stage-example]",
        "block": 'block: ["medkg-stage-example:deidentify"]',
        "import_prefixes": "import_prefixes: [my_lab.stages]",
        "replaces": "replaces: {stages: {parse: medkg-parse}}",
        "load_seconds": "load_seconds: 5",
    },
    "replaces": {
        "stages": "stages: {parse: medkg-parse}",
        "sources": "sources: {files: medkg-s3}",
        "embedders": "embedders: {openai: medkg-openai}",
        "extractors": "extractors: {dictionary: medkg-scispacy}",
        "rerankers": "rerankers: {http: medkg-med-rerank}",
        "index_stores": "index_stores: {sqlite: medkg-sqlite}",
        "graph_stores": "graph_stores: {sql: medkg-neo4j}",
        "gate_conditions": "gate_conditions: {working-days: medkg-calendar}",
    },
}
"""One line of YAML for each key, by section."""

MORE: Mapping[str, str] = {
    f"{PIPELINE}.conversion": "A gate that waits for no field such work sets is as ever. "
    "[Converting elsewhere](pdf-conversion.md#convert-elsewhere).",
    "metadata.description": "Shown on its job.",
    "metadata.tags": "Letters, digits, `_`, `-` and `.`, at most 63 of them.",
    f"{PIPELINE}.triggers": "[Triggers](triggers.md).",
    "triggers[].files": "[Files](triggers.md#files).",
    "triggers[].files.stable_seconds": "Two looks, so far apart, must have found it the same.",
    "triggers[].ledger": "[Fields of jobs](triggers.md#fields-of-jobs).",
    "triggers[].asset": "[Stages](triggers.md#stages-of-another-pipeline).",
    "triggers[].ledger.condition": "Without the times and `on_timeout`, which are for gates.",
    "triggers[].request": "[Requests](triggers.md#requests).",
    "triggers[].job_id": "[Jobs](triggers.md#jobs).",
    "triggers[].schedule.catch_up": "[Missed times](triggers.md#missed-times).",
    "stages[].name": "The asset's name.",
    "stages[].type": "`medkg stages` lists them; the [built-in ones](stages.md).",
    "stages[].policy": "[How stages bear failure](#resilience-policies).",
    "stages[].depends_on": "What the stage reads from them follows from "
    "[state keys](../architecture.md#wires-state-keys-connect-stages).",
    "gates[].name": "One stage of type `gate` checks it: the one with `gate: <name>`, else the one called "
    "`gate_<name>`.",
    "policies.<name>.backoff.maximum": "Not less than `initial`.",
    "gates[].condition.clauses[].operator": "[Each with an example](gates.md#conditions).",
    "gates[].condition.clauses[].value": 'Types count: `true` is not `"true"`.',
}
"""What the guide says besides the docstring, mostly where to read on."""

FORMS: Mapping[str, str] = {
    PIPELINE: "A *name*, here and below, has letters, digits, `-` and `_`, begins with a letter, has at most "
    "100 characters and is no word that Python or Dagster reserves.",
    "gates[].condition": "It has one of three forms: `clauses`, with a `mode`; `field` and `equals`; or "
    "`custom` and `parameters`. The times and `on_timeout` go with the first two.",
    "plugins.stages[]": "The items of `sources`, `embedders`, `extractors`, `rerankers`, `index_stores`, "
    "`graph_stores` and `gate_conditions` have the same keys.",
    PLUGINS: "It is `config/plugins.yaml`; without it every plugin that is installed is let in.",
}
"""What the guide says of a section besides the docstring."""


@dataclass(frozen=True)
class Key:
    """A key of a YAML file.

    Attributes:
        name: What is written.
        schema: What its value must be.
        is_required: Whether it must be written, in the form of its section that has it.
    """

    name: str
    schema: Mapping[str, Any]
    is_required: bool


@dataclass(frozen=True)
class Section:
    """The keys of one mapping.

    Attributes:
        path: Where it stands: `stages[].isolation`, or the name of the file.
        description: What it is.
        keys: Its keys, of all its forms.
        definitions: What their schemas refer to.
    """

    path: str
    description: str
    keys: tuple[Key, ...]
    definitions: Mapping[str, Any]


def all_sections(registry: StageRegistry) -> list[Section]:
    """Return the sections of all kinds of files.

    Args:
        registry: The stage types to take `type` and `config` from; the reference itself is of none.
    """
    return [
        *_Walk(pipeline_schema(registry)).sections(PIPELINE),
        *_Walk(resilience_schema()).sections(RESILIENCE),
        *_Walk(plugins_schema()).sections(PLUGINS),
    ]


class _Walk:
    """Goes through a schema, each definition once."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._definitions = schema["$defs"]
        self._seen: set[str] = set()

    def sections(self, label: str) -> Iterator[Section]:
        """Yield the section of the file, called by the label, and all below it."""
        yield from self._sections(label, "", self._schema)

    def _sections(self, label: str, prefix: str, schema: Mapping[str, Any]) -> Iterator[Section]:
        forms = list(self._forms(schema))
        named: dict[str, list[bool]] = {}
        values: dict[str, Mapping[str, Any]] = {}
        for form in forms:
            for name, value in form["properties"].items():
                named.setdefault(name, []).append(name in form.get("required", ()))
                values.setdefault(name, value)
        if not values:
            return
        keys = tuple(Key(name, values[name], all(required)) for name, required in named.items())
        yield Section(label, self._description(schema), keys, self._definitions)
        for name, value in values.items():
            for path, inner in self._inside(f"{prefix}{name}", value):
                yield from self._sections(path, f"{path}.", inner)

    def _inside(self, path: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield what stands below a key and has keys of its own."""
        reference = value.get("$ref")
        if reference is not None:
            if reference not in self._seen:
                self._seen.add(reference)
                yield path, value
        elif "items" in value:
            yield from self._inside(f"{path}[]", value["items"])
        elif isinstance(value.get("additionalProperties"), dict):
            yield from self._inside(f"{path}.<name>", value["additionalProperties"])
        elif "anyOf" in value or "oneOf" in value:
            options = [item for item in self._options(value) if "$ref" in item]
            references = {item["$ref"] for item in options}
            if references - self._seen:
                self._seen |= references
                yield path, {"anyOf": options}

    def _forms(self, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield the mappings that a schema takes."""
        schema = self._resolved(schema)
        if "properties" in schema:
            yield schema
        for option in self._options(schema):
            yield from self._forms(option)

    def _options(self, schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [*schema.get("anyOf", ()), *schema.get("oneOf", ())]

    def _description(self, schema: Mapping[str, Any]) -> str:
        schema = self._resolved(schema)
        options = self._options(schema)
        return str(schema.get("description") or (self._description(options[0]) if options else ""))

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        name = schema.get("$ref", "").removeprefix("#/$defs/")
        return self._definitions[name] if name else schema


def type_text(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return a schema's type as people write it."""
    if "$ref" in schema:
        return type_text(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    if "enum" in schema or "const" in schema:
        values = [f"`{value}`" for value in schema.get("enum", [schema.get("const")])]
        return " or ".join([", ".join(values[:-1]), values[-1]] if len(values) > 1 else values)
    options = [type_text(item, definitions) for item in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    if options:
        return " or ".join(dict.fromkeys(option for option in options if option != "none"))
    kinds = schema.get("type", "any")
    kind = next(
        item for item in ([kinds] if isinstance(kinds, str) else kinds) if item != "null" or kinds == "null"
    )
    if kind == "array":
        items = type_text(schema.get("items", {}), definitions)
        return "list" if items == "any" else f"list of {items}s"
    if kind == "string" and schema.get("pattern") == _NAME_PATTERN:
        return "name"
    return {"object": "mapping", "null": "none"}.get(kind, kind)


def default_text(key: Key) -> str:
    """Return a key's default as the guides write it: as JSON in backticks."""
    if key.is_required:
        return "required"
    default = key.schema.get("default")
    if default is None:
        return "none"
    is_model = any("$ref" in item for item in (key.schema, *key.schema.get("anyOf", ())))
    if default == {} and is_model:
        return "its own defaults"
    return f"`{json.dumps(default)}`"


def bounds_text(schema: Mapping[str, Any]) -> str:
    """Return what a number must keep to, as a sentence; empty for none."""
    for option in (schema, *schema.get("anyOf", ())):
        low, high = option.get("minimum"), option.get("maximum")
        if high is not None and high > _ANY_NUMBER:
            high = None
        if low is not None and high is not None:
            return f"{low:,} to {high:,}."
        words = [f"at least {low:,}"] if low is not None else []
        words += [f"more than {option['exclusiveMinimum']:,}"] if "exclusiveMinimum" in option else []
        words += [f"at most {high:,}"] if high is not None else []
        if words:
            return " and ".join(words).capitalize() + "."
    return ""


def reference(sections: list[Section]) -> str:
    """Return the reference as Markdown, markers included."""
    parts = [BEGIN, ""]
    for section in sections:
        heading = section.path if section.path in {PIPELINE, RESILIENCE, PLUGINS} else f"`{section.path}`"
        about = " ".join(filter(None, (section.description, FORMS.get(section.path))))
        parts += [f"### {heading}", "", about, "", "| key | type | default | meaning, and an example |"]
        parts += ["| --- | --- | --- | --- |", *(_row(section, key) for key in section.keys), ""]
    return "\n".join([*parts, END])


def _row(section: Section, key: Key) -> str:
    described, bounds = str(key.schema.get("description", "")), bounds_text(key.schema)
    meaning = (
        described,
        "" if bounds.rstrip(".").lower() in described else bounds,
        MORE.get(f"{section.path}.{key.name}", ""),
    )
    example = EXAMPLES.get(section.path, {}).get(key.name)
    cells = (
        f"`{key.name}`",
        type_text(key.schema, section.definitions),
        default_text(key),
        " ".join(filter(None, meaning)) + (f"<br>`{example}`" if example else ""),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def rewritten(text: str) -> str:
    """Return the guide's text with the reference as it should be."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{GUIDE} has not the two lines between which the reference stands:\n{BEGIN}\n{END}")
    return before + reference(all_sections(StageRegistry())) + after


def main() -> None:
    """Write the reference, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="fail where the reference is out of date")
    action.add_argument("--write", action="store_true", help="write the reference")
    arguments = parser.parse_args()
    text = GUIDE.read_text("utf-8")
    wanted = rewritten(text)
    if text == wanted:
        print(f"{GUIDE.name} is up to date")
    elif arguments.write:
        write_atomically(GUIDE, wanted.encode())
        print(f"wrote {GUIDE.name}")
    else:
        sys.exit(f"{GUIDE.name} is out of date; run: python scripts/pipeline_reference.py --write")


if __name__ == "__main__":
    main()
