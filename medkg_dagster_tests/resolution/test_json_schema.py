from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator

from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.resolution.deployment import resolve_pipeline
from medkg_dagster.resolution.json_schema import (
    alerts_schema,
    attribute_descriptions,
    pipeline_schema,
    plugins_schema,
    resilience_schema,
)
from medkg_dagster.topology.pipeline_files import load_policies, parse_pipeline
from medkg_dagster.topology.plugins_file import load_plugin_policy
from medkg_dagster.topology.yaml_source import parse_yaml, read_yaml
from medkg_dagster_tests.registry.stage_types import registration

HEAD = 'name: notes\nversion: "2026-01-01"\n'
ONE = HEAD + "stages:\n  - name: chunk\n    type: chunk\n"
GATED = (
    HEAD + "stages:\n  - {name: ingest, type: ingest}\n"
    "  - {name: gate_review, type: gate, depends_on: [ingest]}\n"
    "gates:\n  - name: review\n    condition: {field: ok, equals: true}\n"
)
CONDITION = "{field: ok, equals: true}"
CLAUSES = "{clauses: [{field: ok, value: true}], mode: any}"

ACCEPTED = {
    "the shortest": ONE,
    "keys without a value": ONE + "    depends_on:\n    config:\n    metadata_overrides:\n"
    "metadata:\napplicable_sources:\ngates:\nplugins:\n",
    "a null isolation": ONE + "    isolation: null\n",
    "tags as a list": ONE + "metadata: {tags: [a, b]}\n",
    "tags as a mapping": ONE + "metadata: {tags: {a: b}}\n",
    "the short isolation": ONE + "    isolation: subprocess\n",
    "limits": ONE + "    isolation: {memory_mb: 512, timeout_seconds: 60}\n",
    "overrides": ONE + "    metadata_overrides: {state_key: pieces, kinds: [a], max_failure_ratio: 0.5}\n",
    "a configuration": ONE + "    config: {max_characters: 800}\n",
    "the short condition": GATED,
    "a short condition with a timeout": GATED.replace("true}", "true, timeout_seconds: 5, on_timeout: skip}"),
    "clauses": GATED.replace(CONDITION, CLAUSES),
    "a custom condition": GATED.replace(CONDITION, "{custom: weekend, parameters: {country: DE}}"),
    "plugins": ONE + 'plugins:\n  stages: [{type: chunk, from: medkg-dagster, version: ">=0.1"}]\n',
    "one address or many": HEAD
    + "stages:\n  - {name: d, type: download, config: {urls: {A: 'https://x.org/a', B: ['https://x.org/b']}}}\n",
}

REFUSED = {
    "no mapping": "- a\n",
    "an unknown type": ONE.replace("type: chunk", "type: chnk"),
    "a configuration of another type": ONE + "    config: {max_characters: many}\n",
    "an unknown key of a configuration": ONE + "    config: {max_chars: 800}\n",
    "a configuration that is a list": ONE + "    config: [a]\n",
    "an unknown key": ONE + "stags: []\n",
    "an unknown key of a stage": ONE + "    polcy: default\n",
    "no name": ONE.replace("name: notes\n", ""),
    "a name with a space": ONE.replace("notes", "my notes"),
    "no version": ONE.replace('version: "2026-01-01"\n', ""),
    "a version that is no date": ONE.replace("2026-01-01", "latest"),
    "no stages": HEAD,
    "an empty list of stages": HEAD + "stages: []\n",
    "a stage without a type": HEAD + "stages:\n  - name: chunk\n",
    "depends_on as a word": ONE + "    depends_on: chunk\n",
    "another isolation": ONE + "    isolation: thread\n",
    "an override of a callable": ONE + "    metadata_overrides: {output_handler: os.system}\n",
    "another conversion": ONE + "conversion: later\n",
    "a gate without a condition": GATED.replace(f"    condition: {CONDITION}\n", ""),
    "a condition in both forms": GATED.replace("true}", "true, mode: all}"),
    "half a short condition": GATED.replace(", equals: true", ""),
    "an unknown operator": GATED.replace(CONDITION, "{clauses: [{field: ok, operator: is, value: 1}]}"),
    "a condition without clauses": GATED.replace(CONDITION, "{clauses: []}"),
    "a requirement without who provides it": ONE + "plugins: {stages: [{type: chunk}]}\n",
}


@pytest.fixture(scope="module")
def factory(repository: Path) -> StageFactory:
    """The built-in stage types, whatever else is installed."""
    return StageFactory.load_plugins(load_plugin_policy(repository / "config", enabled=False).policy)


@pytest.fixture(scope="module")
def schema(factory: StageFactory) -> dict[str, Any]:
    return pipeline_schema(factory.registry)


def errors(schema: dict[str, Any], value: Any) -> list[str]:
    Draft202012Validator.check_schema(schema)
    return [error.message for error in Draft202012Validator(schema).iter_errors(value)]


def loads(text: str, factory: StageFactory, repository: Path) -> bool:
    """Say whether a pipeline loads; its plugins and custom conditions need not be installed."""
    policies = load_policies(repository / "config" / "orchestration" / "resilience.yaml")
    pipeline, _ = parse_pipeline(text, Path("notes.yaml"), policies)
    if pipeline is None:
        return False
    for stage in pipeline.topology.stages:
        metadata = factory.registry.find(stage.type)
        if metadata is None:
            return False
        model = metadata.metadata.config_model
        try:
            assert model is not None
            model.model_validate(stage.config)
        except ValueError:
            return False
    return True


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_loads_fits_the_schema(
    text: str, schema: dict[str, Any], factory: StageFactory, repository: Path
) -> None:
    assert loads(text, factory, repository)
    assert errors(schema, parse_yaml(text, Path("notes.yaml")).value) == []


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_the_schema_refuses_does_not_load_either(
    text: str, schema: dict[str, Any], factory: StageFactory, repository: Path
) -> None:
    assert errors(schema, parse_yaml(text, Path("notes.yaml")).value)
    assert not loads(text, factory, repository)


def test_every_shipped_file_points_to_its_schema_and_fits_it(repository: Path) -> None:
    folder = repository / "config"
    found = {*folder.rglob("*.yaml"), *folder.rglob("*.yml")}
    files = sorted(found - {*folder.glob("dagster*.yaml")})  # Dagster's own

    assert len(files) > 1
    for file in files:
        first = file.read_text("utf-8").splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema="), file
        target = file.parent / first.partition("$schema=")[2]
        assert errors(json.loads(target.read_text("utf-8")), read_yaml(file).value) == [], file


@pytest.mark.parametrize("subject", ["pipeline", "resilience", "plugins", "alerts"])
def test_the_committed_schemas_are_those_of_the_built_in_types(
    subject: str, schema: dict[str, Any], repository: Path
) -> None:
    schemas = {"pipeline": schema, "resilience": resilience_schema(), "plugins": plugins_schema()}
    made = {**schemas, "alerts": alerts_schema()}[subject]
    file = repository / "config" / "orchestration" / f"{subject}.schema.json"

    assert file.read_text("utf-8") == json.dumps(made, indent=2) + "\n", (
        f"{file.name} is out of date; run: "
        f"MEDKG_PLUGINS=off medkg schema --of {subject} --output config/orchestration/{file.name}"
    )


def test_every_stage_type_is_offered_with_its_description_and_its_configuration(
    schema: dict[str, Any], factory: StageFactory
) -> None:
    stage = schema["$defs"]["StageDefinition"]

    assert stage["properties"]["type"]["enum"] == list(factory.registry.stage_types)
    assert stage["properties"]["type"]["oneOf"][0] == {
        "const": "chunk",
        "description": factory.get_metadata("chunk").description,
    }
    assert [rule["if"]["properties"]["type"]["const"] for rule in stage["allOf"]] == list(
        factory.registry.stage_types
    )
    assert schema["$defs"]["chunk.config"]["properties"]["max_characters"]["type"] == "integer"


@pytest.mark.parametrize(
    "make", [resilience_schema, plugins_schema, alerts_schema, lambda: pipeline_schema(StageRegistry())]
)
def test_every_key_is_described(make: Callable[[], dict[str, Any]]) -> None:
    def check(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for name, key in value.get("properties", {}).items():
                assert key.get("description"), f"{path}.{name}: say what it means in the model's docstring"
            for name, inner in value.items():
                check(inner, f"{path}.{name}")

    check(make(), "")


def test_our_own_models_leave_no_form_open(repository: Path) -> None:
    del repository
    made_schemas = (pipeline_schema(StageRegistry()), resilience_schema(), plugins_schema(), alerts_schema())
    for made in made_schemas:
        assert "Other forms may be accepted" not in json.dumps(made), (
            "a validator that stands before a type is not known; add it to _SHORT_FORMS"
        )


def test_a_schema_is_the_same_each_time(factory: StageFactory) -> None:
    assert json.dumps(pipeline_schema(factory.registry)) == json.dumps(pipeline_schema(factory.registry))


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"policies": {"default": {}}}, True),
        ({"policies": {"slow": {"max_attempts": 2, "rate_limit": None}}}, True),
        ({"policies": {"slow": {"max_attempts": 0}}}, False),
        ({"policies": {"slow": {"atempts": 2}}}, False),
        ({"policies": []}, False),
        ({}, False),
    ],
)
def test_resilience_files_are_checked(value: Any, fits: bool) -> None:
    assert (errors(resilience_schema(), value) == []) is fits


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({}, True),
        ({"allow": None, "block": ["bad-plugin"], "replaces": {"stages": {"parse": "medkg-parse"}}}, True),
        ({"autoload": "sometimes"}, False),
        ({"replaces": {"parse": "medkg-parse"}}, False),
    ],
)
def test_plugin_files_are_checked(value: Any, fits: bool) -> None:
    assert (errors(plugins_schema(), value) == []) is fits


@pytest.mark.parametrize(
    ("hook", "fits"),
    [
        ({"name": "ops", "url": "https://example.org", "secret": {"env": "OPS"}}, True),
        ({"name": "ops", "url": {"env": "URL"}, "format": "slack", "events": ["run.failed"]}, True),
        ({"name": "ops", "url": "https://example.org"}, False),
        ({"name": "ops", "url": "https://example.org", "format": "slack", "events": ["run.fail"]}, False),
        ({"name": "ops", "format": "slack"}, False),
    ],
)
def test_alerts_files_are_checked(hook: Any, fits: bool) -> None:
    assert (errors(alerts_schema(), {"alerts": [hook]}) == []) is fits


class _Size(BaseModel):
    """How large.

    Attributes:
        width: In millimetres, as it
            was measured; None where nobody did.
    """

    width: float | None = None
    inner: _Size | None = None


class _Other:
    class Size(BaseModel):
        """Another model of the same kind."""

        model_config = ConfigDict(extra="forbid")

        height: int = Field(description="How high.")


class _Two(BaseModel):
    size: _Size
    other: _Other.Size


class _Loose(BaseModel):
    model_config = ConfigDict(extra="forbid")

    words: Annotated[tuple[str, ...], BeforeValidator(lambda value: value.split())] = ()

    @model_validator(mode="before")
    @classmethod
    def _take_one_word(cls, data: Any) -> Any:
        return {"words": data} if isinstance(data, str) else data


class _Broken(BaseModel):
    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> Any:
        raise RuntimeError("no schema today")


class _Elsewhere(BaseModel):
    size: int = Field(default=1, json_schema_extra={"$ref": "https://example.org/size.json"})


def _add_a_set(schema: dict[str, Any]) -> None:
    schema["examples"] = [{1, 2}]


class _NotJson(BaseModel):
    size: int = Field(default=1, json_schema_extra=_add_a_set)


class _Callback(BaseModel):
    notify: Callable[[], None] | None = None
    limit: float = float("inf")
    size: int = 1


def test_models_of_the_same_name_do_not_meet() -> None:
    registry = StageRegistry()
    for name, model in (("one", _Size), ("two", _Two), ("three", _Other.Size)):
        registry.register(registration(name, model=model))

    made = pipeline_schema(registry)

    def stage(kind: str, config: Any) -> dict[str, Any]:
        return {
            "name": "p",
            "version": "2026-01-01",
            "stages": [{"name": "a", "type": kind, "config": config}],
        }

    assert errors(made, stage("one", {"width": 1, "inner": {"inner": {"width": None}}})) == []
    assert errors(made, stage("one", {"inner": {"inner": {"width": "wide"}}}))
    assert errors(made, stage("two", {"size": {"width": 1}, "other": {"height": 2}})) == []
    assert errors(made, stage("two", {"size": {}, "other": {"width": 2}}))
    assert errors(made, stage("three", {"height": 2})) == []
    assert errors(made, stage("three", {"height": "high"}))
    del (missing := stage("three", {}))["stages"][0]["config"]
    assert any("'config' is a required property" in message for message in errors(made, missing))


@pytest.mark.parametrize("model", [_Broken, _Elsewhere, _NotJson])
def test_a_model_without_a_schema_takes_nothing_from_the_others(model: type[BaseModel]) -> None:
    registry = StageRegistry()
    registry.register(registration("broken", model=model))
    registry.register(registration("sound", model=_Size))

    definitions = pipeline_schema(registry)["$defs"]

    assert "gives no JSON Schema" in definitions["broken.config"]["description"]
    assert list(definitions["broken.config"]) == ["description"]
    assert "width" in definitions["sound.config._Size"]["properties"]


def test_a_field_without_a_schema_takes_anything_and_the_others_are_checked() -> None:
    registry = StageRegistry()
    registry.register(registration("callback", model=_Callback))

    config = {"$ref": "#/$defs/callback.config", **pipeline_schema(registry)}["$defs"]["callback.config"]

    assert errors(config, {"notify": 5, "size": 2}) == []
    assert errors(config, {"size": "large"})


def test_validators_that_take_other_forms_are_not_contradicted() -> None:
    registry = StageRegistry()
    registry.register(registration("loose", model=_Loose))

    config = pipeline_schema(registry)["$defs"]["loose.config"]

    for value in ({"words": "a b"}, {"words": ["a"]}, "a b"):
        assert errors(config, value) == []


def test_a_stage_type_without_a_model_takes_any_configuration() -> None:
    registry = StageRegistry()
    registry.register(registration("free"))
    stage = {"name": "a", "type": "free", "config": {"anything": [1]}}

    assert errors(pipeline_schema(registry), {"name": "p", "version": "2026-01-01", "stages": [stage]}) == []


def test_descriptions_are_those_of_the_docstring() -> None:
    assert attribute_descriptions(_Size.__doc__ or "") == {
        "width": "In millimetres, as it was measured; none where nobody did."
    }
    assert attribute_descriptions("Nothing has attributes.") == {}
    assert attribute_descriptions(
        "All.\n\n    Attributes:\n        a: First.\n\n    Raises:\n        b: No."
    ) == {"a": "First."}


def test_a_shipped_pipeline_resolves_with_the_types_of_the_schema(
    factory: StageFactory, repository: Path
) -> None:
    folder = repository / "config" / "orchestration"
    policies = load_policies(folder / "resilience.yaml")
    text = (folder / "pipelines" / "auto.yaml").read_text("utf-8")
    pipeline, problems = parse_pipeline(text, Path("auto.yaml"), policies)

    assert problems == ()
    assert pipeline is not None
    assert resolve_pipeline(pipeline.topology, factory, policies.policies)
