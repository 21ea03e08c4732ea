from __future__ import annotations

import random
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.errors import ConfigError, TopologyError
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.topology.migration import migrate_file
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy
from medkg_dagster.topology.pipeline_files import LoadedPolicies, parse_pipeline

POLICIES = LoadedPolicies({"default": ResiliencePolicy()}, frozenset(), ())

EARLIER = """\
# Articles, \N{LATIN SMALL LETTER E WITH ACUTE}.
---
name: articles  # the name
version: "2025-01-01"
metadata:
    description: a long plain text
      that goes on
stages:
# the first
- {name: ingest, type: ingest}  # beside it

- name: download
  type: download
  depends_on: [ingest]  # in one line
- name: gate_ready
  type: gate
  policy: 'default'
  depends_on:
  - download  # the last

  # about chunk
- name: chunk
  type: chunk
  # why
  depends_on:
  - gate_ready  # behind it
gates:
  # the gate
- name: ready
  timeout_seconds: 900  # fifteen minutes
  # where it goes on
  resume_stage: chunk
  condition:  # when
    field: ready  # this field
    equals: true
    # to the end
  poll_interval_seconds: 3  # three
"""
TODAY = """\
# Articles, \N{LATIN SMALL LETTER E WITH ACUTE}.
---
name: articles  # the name
version: "2025-01-01"
metadata:
    description: a long plain text
      that goes on
stages:
# the first
- {name: ingest, type: ingest}  # beside it

- name: download
  type: download
  depends_on: [ingest]  # in one line
- name: gate_ready
  type: gate
  policy: 'default'
  depends_on:
  - download  # the last
- name: parse
  type: parse
  policy: 'default'
  depends_on:
  - gate_ready

  # about chunk
- name: chunk
  type: chunk
  # why
  depends_on:
  - parse       # behind it
gates:
  # the gate
- name: ready
  # where it goes on
  resume_stage: parse
  condition:  # when
    field: ready  # this field
    equals: true
    timeout_seconds: 900 # fifteen minutes
    # to the end
    poll_interval_seconds: 3 # three
"""


def topology(text: str) -> PipelineTopologyConfig:
    """The pipeline of a text in today's form."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, problems = parse_pipeline(text, Path("articles.yaml"), POLICIES)
    assert problems == ()
    assert found is not None
    return found.topology


def topology_of_earlier(text: str) -> PipelineTopologyConfig:
    with pytest.warns(DeprecationWarning, match="an earlier form"):
        found, problems = parse_pipeline(text, Path("articles.yaml"), POLICIES)
    assert problems == ()
    assert found is not None
    return found.topology


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "articles.yaml"


def test_earlier_forms_are_rewritten_and_everything_else_stays_as_it_is(file: Path) -> None:
    file.write_text(EARLIER)

    migration = migrate_file(file)

    assert migration.after == TODAY
    assert [note.line for note in migration.notes] == [22, 30, 37]
    assert file.read_text() == EARLIER, "it is for the caller to write"
    assert topology(migration.after) == topology_of_earlier(EARLIER)


def test_line_endings_stay(file: Path) -> None:
    file.write_bytes(EARLIER.replace("\n", "\r\n").encode())

    assert migrate_file(file).after == TODAY.replace("\n", "\r\n")


def test_one_line_forms_stay_on_one_line(file: Path) -> None:
    file.write_text(
        "name: articles\nversion: '2025-01-01'\nstages:\n"
        "  - {name: ingest, type: ingest}\n"
        "  - {name: download, type: download, depends_on: [ingest]}\n"
        "  - {name: gate_ready, type: gate, depends_on: [download]} # it waits\n"
        "  # chunks\n"
        "  - {name: chunk, type: chunk, depends_on: [gate_ready]}\n"
        "gates: [{name: ready, condition: {field: ready, equals: true}, timeout_seconds: 9}]\n"
    )

    assert migrate_file(file).after == (
        "name: articles\nversion: '2025-01-01'\nstages:\n"
        "  - {name: ingest, type: ingest}\n"
        "  - {name: download, type: download, depends_on: [ingest]}\n"
        "  - {name: gate_ready, type: gate, depends_on: [download]} # it waits\n"
        "  - {name: parse, type: parse, depends_on: [gate_ready]}\n"
        "  # chunks\n"
        "  - {name: chunk, type: chunk, depends_on: [parse]}\n"
        "gates: [{name: ready, condition: {field: ready, equals: true, timeout_seconds: 9}}]\n"
    )


@pytest.mark.parametrize("text", [TODAY, "policies: {default: {}}\n", "- a list\n"])
def test_what_has_no_earlier_form_stays(file: Path, text: str) -> None:
    file.write_text(text)

    assert migrate_file(file).after == text


def test_values_shared_by_aliases_are_left_to_people(file: Path) -> None:
    text = EARLIER.replace("condition:  # when", "condition: &ready  # when")
    text = text.replace("gates:\n", "- {name: gate_later, type: gate, depends_on: [chunk]}\ngates:\n")
    file.write_text(text + "- name: later\n  condition: *ready\n")

    with pytest.raises(ConfigError, match=r"cannot be rewritten: it shares values .* change it by hand"):
        migrate_file(file)


def test_a_file_that_is_no_yaml_is_an_error_with_its_line(file: Path) -> None:
    file.write_text("name: [\n")

    with pytest.raises(TopologyError, match=r"articles.yaml:2: not valid YAML"):
        migrate_file(file)


def test_without_ruamel_yaml_an_error_names_the_extra(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(EARLIER)
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)

    with pytest.raises(ConfigError, match=r"pip install 'medkg-dagster\[migrate\]'"):
        migrate_file(file)


def test_the_files_of_the_original_form_give_the_same_plan_when_migrated(
    shared_data: Path, tmp_path: Path
) -> None:
    earlier, today = tmp_path / "earlier", tmp_path / "today"
    for config in (earlier, today):
        (config / "orchestration" / "pipelines").mkdir(parents=True)
    for file in (shared_data / "legacy_pipelines").glob("*.yaml"):
        place = Path("orchestration", "" if file.name == "resilience.yaml" else "pipelines", file.name)
        shutil.copyfile(file, earlier / place)
        (today / place).write_text(migrate_file(file).after)
    factory = StageFactory.load_plugins()

    with pytest.warns(DeprecationWarning, match="an earlier form"):
        as_it_was = load_plan(earlier, factory)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        migrated = load_plan(today, factory)

    assert migrated.problems == as_it_was.problems == ()
    assert migrated.deprecations == ()
    assert len(migrated.pipelines) == 4
    assert migrated.pipelines == as_it_was.pipelines


KEYS = st.fixed_dictionaries(
    {}, optional={"timeout_seconds": st.integers(1, 10**6), "poll_interval_seconds": st.floats(0.5, 60)}
)


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """One pipeline, in an earlier form and in today's."""
    gates = draw(st.integers(1, 3))
    without_parse = draw(st.lists(st.booleans(), min_size=gates, max_size=gates))
    earlier: list[dict[str, Any]] = []
    for stages in (earlier, today := list[dict[str, Any]]()):
        stages += [
            {"name": "ingest", "type": "ingest"},
            {"name": "download", "type": "download", "depends_on": ["ingest"]},
        ]
    conditions: tuple[list[Any], list[Any]] = ([], [])
    for number in range(gates):
        stage = f"gate_g{number}"
        gate = {"name": stage, "type": "gate", "depends_on": ["download"]}
        if draw(st.booleans()):
            gate["policy"] = "default"
        readers = draw(
            st.lists(st.sampled_from(["chunk", "extract", "ir-validation"]), min_size=1, max_size=3)
        )
        name = next(
            name for name in ("parse", "parse_2", "parse_3") if name not in {stage["name"] for stage in today}
        )
        parse: dict[str, Any] = {"name": name, "type": "parse"}
        parse |= {"policy": gate["policy"]} if "policy" in gate else {}
        parse["depends_on"] = [stage]
        today += [gate, parse]
        earlier += [gate] if without_parse[number] else [gate, parse]
        for place, kind in enumerate(readers):
            reader = {"name": f"r{number}_{place}", "type": kind}
            today.append({**reader, "depends_on": [parse["name"]]})
            earlier.append({**reader, "depends_on": [stage if without_parse[number] else parse["name"]]})
        resume = {"resume_stage": parse["name"]} if draw(st.booleans()) else {}
        resumed = {"resume_stage": f"r{number}_0"} if resume and without_parse[number] else resume
        outside, condition = draw(KEYS), {"field": f"f{number}", "equals": True}
        conditions[0].append({"name": f"g{number}", **resumed, **outside, "condition": condition})
        conditions[1].append({"name": f"g{number}", **resume, "condition": {**condition, **outside}})
    head = {"name": "generated", "version": "2025-01-01"}
    return (
        {**head, "stages": earlier, "gates": conditions[0]},
        {**head, "stages": today, "gates": conditions[1]},
    )


def commented(text: str, seed: int) -> tuple[str, list[str]]:
    """Put comments between lines and at their ends."""
    dice, lines, comments = random.Random(seed), [], []
    for number, line in enumerate(text.splitlines()):
        if dice.random() < 0.2:
            comments.append(f"# above {number}.")
            lines.append(" " * (len(line) - len(line.lstrip(" "))) + comments[-1])
        lines.append(line)
        if dice.random() < 0.2:
            comments.append(f"# beside {number}.")
            lines[-1] += f"  {comments[-1]}"
    return "\n".join(lines) + "\n", comments


@settings(max_examples=30 if settings().derandomize else 300)  # `make soak` draws more
@given(pipelines(), st.sampled_from([None, False]), st.integers(0, 2**32), st.sampled_from([2, 4]))
def test_whatever_is_written_in_an_earlier_form_means_the_same_in_today_s_and_migrates_to_it(
    tmp_path_factory: pytest.TempPathFactory,
    forms: tuple[dict[str, Any], dict[str, Any]],
    style: bool | None,
    seed: int,
    indent: int,
) -> None:
    earlier, today = (
        yaml.safe_dump(form, sort_keys=False, default_flow_style=style, indent=indent, width=200)
        for form in forms
    )
    text, comments = commented(earlier, seed)
    expected = topology(today)
    file = tmp_path_factory.mktemp("generated") / "generated.yaml"
    file.write_text(text)

    migration = migrate_file(file)

    assert topology(migration.after) == expected
    if migration.notes:
        assert topology_of_earlier(text) == expected
    else:
        assert migration.after == text
    assert [comment for comment in comments if comment not in migration.after] == []
    file.write_text(migration.after)
    assert migrate_file(file).notes == ()
