"""Broken and hostile stage plugins: each is one problem that says who, what, what to do; the others load."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass

import pytest

from medkg_dagster.errors import Problem
from medkg_dagster.resolution import Deployment
from medkg_dagster_tests.deployments.installed import Site

BUILT_IN = {"chunk", "download", "embed", "extract", "gate", "index", "ingest", "knowledge-graph", "parse"}


@dataclass(frozen=True)
class Row:
    """A plugin's source and what is said of it."""

    title: str
    source: str
    expected: str


def registers(what: str) -> str:
    return f"def register():\n    return {what}\n"


ROWS = [
    # Code that does not come to an end, or comes to a bad one.
    Row("raises on import", "raise RuntimeError('no model')", "cannot be loaded: RuntimeError: no model"),
    Row("is no Python", "def register(:\n", "cannot be loaded: SyntaxError"),
    Row(
        "imports what is missing",
        "import not_there_at_all",
        "ModuleNotFoundError: No module named",
    ),
    Row("has no such function", "", "cannot be loaded: AttributeError"),
    Row("exits on import", "sys.exit(3)", "cannot be loaded: SystemExit: 3"),
    Row("exits when called", "def register():\n    sys.exit('bye')\n", "cannot be loaded: SystemExit: bye"),
    Row("sleeps on import", "late()\ntime.sleep(60)", "took longer than 60 s to load and was interrupted"),
    Row("loops on import", "late()\nwhile True: pass", "took longer than 60 s to load and was interrupted"),
    Row(
        "loops and catches every Exception",
        "late()\nwhile True:\n    try:\n        time.sleep(0.01)\n    except Exception:\n        pass\n",
        "took longer than 60 s to load and was interrupted",
    ),
    Row("raises when called", "def register():\n    return 1 / 0\n", "ZeroDivisionError: division by zero"),
    Row("recurses", "def register():\n    return register()\n", "cannot be loaded: RecursionError"),
    Row("raises what is no Exception", "def register():\n    raise GeneratorExit\n", "GeneratorExit"),
    # Entry points that name or return something else.
    Row("names a number", "register = 5", "names int '5'; it must name a function without arguments"),
    Row("names a text", "register = 'lab'", "names str 'lab'; it must name a function"),
    Row("wants an argument", "def register(app):\n    return one()\n", "which wants arguments"),
    Row("wants a keyword", "def register(*, app):\n    return one()\n", "which wants arguments"),
    Row("is asynchronous", "async def register():\n    return one()\n", "register, which is asynchronous"),
    Row("returns nothing", "def register():\n    pass\n", "register returned NoneType; it must return"),
    Row("returns a text", registers("'lab-type'"), "returned str; it must return a StageRegistration"),
    Row("returns a mapping", registers("{'lab': one()}"), "returned dict; it must return"),
    Row("returns a class", registers("Work"), "returned type; it must return a StageRegistration"),
    Row("returns a list of texts", registers("['lab']"), "expected a StageRegistration, got str 'lab'"),
    Row("returns bare metadata", registers("[metadata()]"), "StageRegistration, got StageMetadata"),
    Row(
        "yields and breaks",
        "def register():\n    yield one()\n    raise KeyError('late')\n",
        "KeyError: 'late'",
    ),
    Row(
        "yields for ever",
        "import itertools\n\n\n"
        "def register():\n    return (one(stage_type=f'lab-{n}') for n in itertools.count())\n",
        "registers more than 10,000 stage types",
    ),
    Row(
        "never yields",
        "def register():\n    late()\n    while True:\n        pass\n    yield\n",
        "took longer than 60 s",
    ),
    # Names.
    Row("takes a built-in's name", registers("one(stage_type='chunk')"), "; the built-in is kept"),
    Row("registers a name twice", registers("[one(), one()]"), "registered already by the same entry point"),
    Row("has a name with a path", registers("one(stage_type='../etc/passwd')"), "stage_type must be letters"),
    Row("has an empty name", registers("one(stage_type='')"), "stage_type must be letters, digits"),
    Row("has a name of signs", registers("one(stage_type='-rf')"), "beginning with a letter"),
    Row("has a name with a newline", registers("one(stage_type='a\\nb')"), "stage_type must be letters"),
    Row("has a number as name", registers("one(stage_type=5)"), "stage_type must be letters, digits"),
    # Metadata.
    Row("has a keyword as key", registers("one(state_key='class', state_types={})"), "and no keyword"),
    Row(
        "has a reserved key",
        registers("one(state_key='context', state_types={})"),
        "cannot be used",
    ),
    Row("has a key twice", registers("one(state_key=('a', 'a'), state_types={})"), "names a key twice"),
    Row("has no key in a tuple", registers("one(state_key=(), state_types={})"), "is an empty tuple"),
    Row("depends on a text", registers("one(dependencies='parse')"), "dependencies must be a tuple of stage"),
    Row("depends on itself", registers("one(dependencies=('lab-type',))"), "names the stage type itself"),
    Row("has a handler that is none", registers("one(output_handler=7)"), "output_handler must be callable"),
    Row(
        "has a handler of two arguments",
        registers("one(output_handler=lambda state, output: None)"),
        "must take (state, stage_name, output)",
    ),
    Row("has a counter without argument", registers("one(output_counter=lambda: 0)"), "must take (output)"),
    Row(
        "has a config model that is none",
        registers("one(config_model=dict)"),
        "must be a pydantic model",
    ),
    Row(
        "takes a secret in plain",
        "class Config(BaseModel):\n    key: SecretStr\n\n\n" + registers("one(config_model=Config)"),
        "declare them as medkg_dagster.stage_api.Secret",
    ),
    Row("types a foreign key", registers("one(state_types={'x': int})"), "state_types names keys the stage"),
    Row("is of another time", registers("one(api_version=99)"), "api_version 99 is not supported"),
    Row("has an impossible share", registers("one(max_failure_ratio=2)"), "must lie between 0 and 1"),
    Row("has too many kinds", registers("one(kinds=('a', 'b', 'c', 'd'))"), "three labels at most"),
    Row("has kinds in a text", registers("one(kinds='s3')"), "kinds must be a tuple"),
    Row("is not described", registers("one(description=' ')"), "description must not be empty"),
    Row("has no version", registers("one(version='')"), "version must be a non-empty string"),
    Row(
        "has a builder of three arguments",
        registers("StageRegistration(metadata(), lambda a, b, c: Work())"),
        "a builder takes (definition) or (topology, definition)",
    ),
    Row("has no builder", registers("StageRegistration(metadata(), None)"), "the builder must be callable"),
]


def the_problem(deployment: Deployment) -> Problem:
    (problem,) = deployment.plan.problems
    return problem


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_a_bad_plugin_is_one_problem_with_a_name_and_a_way_out_and_the_rest_loads(
    site: Site, row: Row
) -> None:
    site.install("lab", row.source)

    deployment = site.load()

    problem = the_problem(deployment)
    assert row.expected in problem.message
    assert str(problem.subject).endswith("of lab-plugin 1.0")
    assert "lab = lab:register" in str(problem.subject)
    assert problem.hint
    assert [pipeline.name for pipeline in deployment.plan.pipelines] == ["good"]
    assert set(deployment.factory.registry.stage_types) >= BUILT_IN


def test_the_table_is_long_enough_to_be_one() -> None:
    assert len({row.title for row in ROWS}) == len(ROWS) >= 40


@pytest.mark.parametrize("source", ["raise RuntimeError('here')", "late()\nwhile True: pass", "sys.exit(3)"])
def test_the_traceback_is_kept(site: Site, source: str) -> None:
    site.install("lab", source)

    assert source.splitlines()[-1] in str(the_problem(site.load()).details)


def test_who_is_slow_is_reported_while_it_is(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.install("lab", "late()\ntime.sleep(60)")

    with caplog.at_level(logging.ERROR, "medkg.plugins"):
        site.load()

    assert "entry point 'lab = lab:register' of lab-plugin 1.0 has been loading for 1" in caplog.text


@pytest.mark.parametrize("first", ["aa-lab", "zz-lab"])
def test_of_two_plugins_with_one_name_none_is_used_whatever_their_order(site: Site, first: str) -> None:
    site.install("lab_one", registers("one()"), distribution=first)
    site.install("lab_two", registers("one()"), distribution="mm-lab")

    deployment = site.load()

    assert {str(problem.subject).split(" of ")[1] for problem in deployment.plan.problems} == {
        f"{first} 1.0",
        "mm-lab 1.0",
    }
    assert "lab-type" not in deployment.factory.registry


def test_the_deployment_chooses_between_two_and_also_against_a_built_in(site: Site) -> None:
    site.install("lab_one", registers("[one(), one(stage_type='chunk')]"), distribution="aa-lab")
    site.install("lab_two", registers("one()"), distribution="zz-lab")
    site.policy("replaces: {stages: {lab-type: ZZ_lab, chunk: aa-lab}}\n")

    deployment = site.load()

    assert deployment.plan.problems == ()
    origins = {name: deployment.factory.registry.get(name).origin for name in ("lab-type", "chunk")}
    assert {name: origin.distribution for name, origin in origins.items() if origin} == {
        "lab-type": "zz-lab",
        "chunk": "aa-lab",
    }


@pytest.mark.parametrize(
    "policy",
    ["block: [lab_plugin]", "block: ['lab-plugin:lab']", "allow: [other-lab]", "autoload: false"],
)
def test_what_is_not_let_in_is_not_imported(site: Site, policy: str) -> None:
    site.install("lab", registers("one()"))
    site.policy(policy)

    deployment = site.load()

    assert deployment.plan.problems == ()
    assert "lab-type" not in deployment.factory.registry
    assert "lab" not in sys.modules


def test_the_switch_leaves_built_ins_only_and_imports_nothing_else(site: Site) -> None:
    site.install("lab", registers("one()"))
    site.pipeline("own", 'name: own\nversion: "2026-01-01"\nstages: [{name: a, type: lab-type}]\n')

    deployment = site.load(plugins=False)

    assert [pipeline.name for pipeline in deployment.plan.pipelines] == ["good"]
    assert "unknown type 'lab-type'" in the_problem(deployment).message
    assert "lab" not in sys.modules


def test_a_broken_policy_lets_nobody_in(site: Site) -> None:
    site.install("lab", registers("one()"))
    site.policy("blok: [other]\n")

    deployment = site.load()

    assert "did you mean 'block'?" in str(the_problem(deployment))
    assert "lab" not in sys.modules


def test_a_misspelt_block_is_a_problem(site: Site) -> None:
    site.install("lab", registers("one()"))
    site.policy("block: [lab-plugni]\n")

    assert "which is not installed; 'lab-plugin' is" in the_problem(site.load()).message


def test_a_replacement_by_nobody_is_a_problem(site: Site) -> None:
    site.policy("replaces: {stages: {chunk: lab-plugin}, sources: {files: lab-plugin}}\n")

    messages = [problem.message for problem in site.load().plan.problems]

    assert any("for the stage type 'chunk', but it does not register it" in text for text in messages)
    assert any("for the source 'files', but it does not register it" in text for text in messages)
