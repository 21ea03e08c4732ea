"""JSON Schemas of the YAML files, so that editors complete and check them while they are written.

A schema refuses nothing that loading accepts, but for values that are converted, such as text to a number.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, PydanticSerializationError

from medkg_dagster.domain.gate_conditions import GateClause
from medkg_dagster.registry import StageRegistry
from medkg_dagster.stage_api import StageMetadata
from medkg_dagster.stage_api._stage_types.metadata import qualified_name
from medkg_dagster.topology.alerts_file import AlertsFile
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy
from medkg_dagster.topology.names import MAX_NAME
from medkg_dagster.topology.plugins_file import PluginsFile
from medkg_dagster.topology.triggers import PLACEHOLDERS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NULL: JsonSchemaValue = {"type": "null"}
_UNKNOWN: JsonSchemaValue = {"description": "Other forms may be accepted; loading the file checks them."}

_SHORT_FORMS: Mapping[str, list[JsonSchemaValue]] = {
    "domain.empty_list_for_none": [_NULL],
    "domain.empty_dict_for_none": [_NULL],
    "topology.models._tags_from_list": [{"type": "array", "items": {"type": "string"}}, _NULL],
    "topology.plugin_keys.expand_isolation": [
        {"const": "subprocess", "description": "A child process with the default limits."}
    ],
    "topology.plugin_keys.check_not_a_callable": [],
    "topology.alerts_file._check_event": [],
    "topology.placement.check_executor": [],
    "topology.placement.cpu_text": [{"type": "number", "exclusiveMinimum": 0}],
}
"""What our own validators take besides the type they stand before, by their names."""

_CONSTRAINTS: Mapping[str, JsonSchemaValue] = {
    "topology.names._check_name": {"pattern": "^[A-Za-z][A-Za-z0-9_-]*$", "maxLength": MAX_NAME},
    "topology.models._check_version": {
        "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(-[A-Za-z0-9][A-Za-z0-9._-]*)?$"
    },
    "topology.models._check_stages": {"minItems": 1},
    "topology.placement._check_cpu": {"pattern": r"^([0-9]+(\.[0-9]+)?|[0-9]+m)$"},
    "topology.placement._check_memory": {"pattern": r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)$"},
    "topology.placement._check_pool": {"pattern": "^[A-Za-z0-9_/-]+$"},
    "domain.gate_conditions._check_clauses": {"minItems": 1},
    "topology.alerts_file.Webhook._check_signed": {
        "anyOf": [
            {"required": ["secret"]},
            {"required": ["format"], "properties": {"format": {"const": "slack"}}},
        ]
    },
    "topology.triggers.TriggerDefinition._check_kind": {
        "oneOf": [{"required": [kind], "properties": {kind: {"not": _NULL}}} for kind in PLACEHOLDERS]
    },
}
"""What our own validators demand beyond the type they stand behind, where a schema can say it."""

_SHORT_CONDITION = "domain.gate_conditions.GateCondition._expand_short_form"
_SECTIONS = re.compile(r"\n+(?:Args|Attributes|Example|Examples|Raises|Returns):\n.*", re.DOTALL)
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


def pipeline_schema(registry: StageRegistry) -> dict[str, Any]:
    """Return the schema of a pipeline file.

    Args:
        registry: The stage types that pipelines may use; each brings the schema of its `config`.
    """
    schema = _schema_of(PipelineTopologyConfig)
    definitions = schema["$defs"]
    stage = definitions["StageDefinition"]
    types = [entry.metadata for entry in registry]
    if types:
        stage["properties"]["type"] |= {
            "enum": [metadata.stage_type for metadata in types],
            "oneOf": [
                {"const": metadata.stage_type, "description": metadata.description} for metadata in types
            ],
        }
        stage["allOf"] = [_config_rule(metadata, definitions) for metadata in types]
    return _document("A pipeline of medkg_dagster", schema)


def resilience_schema() -> dict[str, Any]:
    """Return the schema of the file with the resilience policies."""
    policy = _schema_of(ResiliencePolicy)
    definitions = policy.pop("$defs", {})
    policies = {
        "type": "object",
        "description": "Policies by the name that stages choose them with.",
        "additionalProperties": {"$ref": "#/$defs/ResiliencePolicy"},
    }
    schema = {
        "description": "How stages bear failure; a stage chooses a policy with `policy:`.",
        "type": "object",
        "properties": {"policies": policies},
        "required": ["policies"],
        "additionalProperties": False,
        "$defs": {**definitions, "ResiliencePolicy": policy},
    }
    return _document("Resilience policies of medkg_dagster", schema)


def plugins_schema() -> dict[str, Any]:
    """Return the schema of the file that says which plugins are let in."""
    return _document("Plugins that a deployment of medkg_dagster lets in", _schema_of(PluginsFile))


def alerts_schema() -> dict[str, Any]:
    """Return the schema of the file that says who is told outside of what happens."""
    return _document("Who is told of what happens in medkg_dagster", _schema_of(AlertsFile))


def attribute_descriptions(docstring: str) -> dict[str, str]:
    """Return what the section `Attributes:` of a Google docstring says, by attribute."""
    _, _, section = inspect.cleandoc(docstring).partition("\nAttributes:\n")
    section = re.split(r"^\S", section, maxsplit=1, flags=re.MULTILINE)[0]
    # Readers of a schema write YAML, where nothing is no Python object.
    return {
        found[1]: re.sub(r"\bNone\b", "none", " ".join(found[2].split()))
        for found in _ATTRIBUTE.finditer(section)
    }


class _SchemaGenerator(GenerateJsonSchema):
    """Pydantic's schemas with the short forms of the YAML files and the descriptions of docstrings."""

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Say nothing: a warning is for the authors of a model, not for who writes YAML."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave titles out: they repeat the names of the keys."""
        del schema
        return False

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        """Take anything for one field, so that the others keep their schemas."""
        del schema, error_info
        return dict(_UNKNOWN)

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        cls = schema["cls"]
        made = super().model_schema(schema)
        _describe(cls, made)
        validator = _before_fields(schema["schema"])
        if validator is None:
            return made
        described: JsonSchemaValue = {
            key: made.pop(key) for key in ("description", "deprecated") if key in made
        }
        forms = [_short_condition(made)] if validator == _SHORT_CONDITION else [_UNKNOWN]
        return {**described, "anyOf": [made, *forms]}

    def enum_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().enum_schema(schema)
        made.pop("title", None)
        return made

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        if "default" not in schema and schema.get("default_factory") in (dict, list, tuple, set):
            schema = {**schema, "default": schema["default_factory"]()}
        return super().default_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        """Show a nested model's own defaults once, at its fields; leave out what JSON has not (NaN)."""
        if isinstance(dft, BaseModel) and not dft.model_fields_set:
            return {}
        try:
            return json.loads(json.dumps(super().encode_default(dft), allow_nan=False))
        except ValueError as error:
            raise PydanticSerializationError(str(error)) from error

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().function_before_schema(schema)
        if "json_schema_input_schema" in schema or schema["schema"]["type"] in _FIELDS:
            return made
        return _any_of(made, _SHORT_FORMS.get(_validator(schema), [_UNKNOWN]))

    def function_wrap_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().function_wrap_schema(schema)
        return made if "json_schema_input_schema" in schema else _any_of(made, [_UNKNOWN])

    def function_after_schema(self, schema: Any) -> JsonSchemaValue:
        return super().function_after_schema(schema) | _CONSTRAINTS.get(_validator(schema), {})


_FIELDS = {"model-fields", "dataclass-args"}


def _validator(schema: Any) -> str:
    """Return the name of a core schema's validator, without the package where it is our own."""
    return qualified_name(schema["function"]["function"]).removeprefix("medkg_dagster.")


def _before_fields(schema: CoreSchema) -> str | None:
    """Return the name of the validator that a model's content passes first, if there is one."""
    kind = schema["type"]
    if kind in {"function-before", "function-wrap"}:
        return _validator(schema)
    inner = schema.get("schema")
    return _before_fields(inner) if kind == "function-after" and isinstance(inner, dict) else None


def _short_condition(general: JsonSchemaValue) -> JsonSchemaValue:
    """Return the form of a condition with `field` and `equals`, given the one with clauses."""
    shared = {name: value for name, value in general["properties"].items() if name not in {"mode", "clauses"}}
    one_clause = {
        "field": _schema_of(GateClause)["properties"]["field"],
        "equals": {
            "description": "The value the field must have: with `field`, short for one clause `equals`."
        },
    }
    return {**general, "properties": one_clause | shared, "required": ["field", "equals"]}


def _any_of(schema: JsonSchemaValue, others: list[JsonSchemaValue]) -> JsonSchemaValue:
    """Return a schema that takes other forms too; as one type list where it can be, for shorter messages."""
    if not others:
        return schema
    if others == [_NULL] and isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    forms = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {"anyOf": [*forms, *others]}


def _describe(cls: type[BaseModel], schema: JsonSchemaValue) -> None:
    """Take descriptions from a model's docstring, where its fields have none of their own."""
    if schema.get("title") == cls.__name__:
        del schema["title"]
    if "description" in schema:
        schema["description"] = _SECTIONS.sub("", schema["description"])
    described = attribute_descriptions(cls.__doc__ or "")
    for name, info in cls.model_fields.items():
        field = schema.get("properties", {}).get(info.alias or name)
        if field is not None and name in described:
            field.setdefault("description", described[name])


def _schema_of(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Return a model's schema; the names of what it defines begin with the prefix."""
    schema = model.model_json_schema(
        schema_generator=_SchemaGenerator, ref_template=f"#/$defs/{prefix}{{model}}"
    )
    if prefix and "$defs" in schema:
        schema["$defs"] = {f"{prefix}{name}": value for name, value in schema["$defs"].items()}
    return schema


def _config_rule(metadata: StageMetadata, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the rule for the `config` of a stage type, and add what it refers to."""
    name = f"{metadata.stage_type}.config"
    config = _config_schema(metadata, f"{name}.")
    definitions.update(config.pop("$defs", {}))
    then: dict[str, Any] = {"properties": {"config": {"$ref": f"#/$defs/{name}"}}}
    if config.get("required"):
        then["required"] = ["config"]
    elif config.get("type") == "object":
        config["type"] = ["object", "null"]
    definitions[name] = config
    return {
        "if": {"properties": {"type": {"const": metadata.stage_type}}, "required": ["type"]},
        "then": then,
    }


def _config_schema(metadata: StageMetadata, prefix: str) -> dict[str, Any]:
    model = metadata.config_model
    if model is None:
        return {"description": f"The stage type {metadata.stage_type} declares no configuration model."}
    try:
        made = json.loads(json.dumps(_schema_of(model, prefix), allow_nan=False))
        _check_references(made)
    except Exception as error:  # noqa: BLE001 - a plugin's model may raise anything, and others want theirs
        return {
            "description": f"The configuration of the stage type {metadata.stage_type}; its model gives no "
            f"JSON Schema ({type(error).__name__})."
        }
    assert isinstance(made, dict)
    return made


def _check_references(schema: dict[str, Any]) -> None:
    """Refuse a schema that refers to anything outside itself, which would not work inside another one."""
    known = {f"#/$defs/{name}" for name in schema.get("$defs", {})}
    for key, value in _strings(schema):
        if key in {"$id", "$anchor", "$dynamicAnchor", "$dynamicRef"} or (
            key == "$ref" and value not in known
        ):
            raise ValueError(f"{key}: {value}")


def _strings(value: Any) -> Iterator[tuple[str, str]]:
    """Yield every key with text, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str):
                yield key, item
            else:
                yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _document(title: str, schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.pop("$defs", {})
    head = {"$schema": DIALECT, "title": title, "description": schema.pop("description", title)}
    return {**head, **schema, "$defs": dict(sorted(definitions.items()))}
