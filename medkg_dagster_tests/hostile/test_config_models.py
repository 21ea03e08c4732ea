"""Config models that are valid for pydantic, and hard to show in the launchpad: nothing else may break."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from dagster import DagsterInstance

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.settings import Settings
from medkg_dagster_tests.deployments.installed import Site

IMPORTS = """\
import enum
from pydantic import Field, create_model

"""
REGISTER = "\n\ndef register():\n    return one(config_model=Model)\n"
BAD = 'name: odd\nversion: "2026-01-01"\nstages: [{name: odd, type: lab-type}]\n'


@dataclass(frozen=True)
class Row:
    """A config model."""

    title: str
    source: str


def field(written: str) -> str:
    return f"class Model(BaseModel):\n    {written}\n"


ROWS = [
    Row("holds itself", field("name: str = ''\n    inner: 'Model | None' = None")),
    Row("holds a list of itself", field("inner: list['Model'] = []")),
    Row(
        "is nested two hundred deep",
        "Model = BaseModel\nfor n in range(200):\n    Model = create_model('M', x=(Model | None, None))\n",
    ),
    Row("chooses between numbers", field("size: enum.Enum('Size', {'small': 1, 'big': 2}) = 1")),
    Row("has a pair of kinds", field("pair: tuple[int, str] = (1, 'a')")),
    Row("has an empty tuple", field("none: tuple[()] = ()")),
    Row("has a default that is none of its type", field("size: int = 'text'")),
    Row("has bytes that are no text", field("mark: bytes = b'\\xff'")),
    Row(
        "makes a default of other fields",
        field("a: int = 1\n    b: int = Field(default_factory=lambda data: data['a'] + 1)"),
    ),
    Row(
        "makes a default that cannot be made twice",
        "made = []\n\n\ndef make():\n    made.append(1)\n    return 1 // (len(made) < 2)\n\n\n"
        + field("size: int = Field(default_factory=make)"),
    ),
]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_a_model_that_cannot_be_shown_keeps_no_pipeline_from_compiling(site: Site, row: Row) -> None:
    site.install("lab", IMPORTS + row.source + REGISTER)
    site.pipeline("odd", BAD)
    deployment = site.load()

    definitions = compile_plan(deployment.plan, deployment.factory, Settings(site.home, site.config))

    assert deployment.plan.problems == ()
    assert definitions.resolve_job_def("odd").name == "odd"
    with DagsterInstance.ephemeral() as instance:
        assert definitions.resolve_job_def("good").execute_in_process(instance=instance).success
