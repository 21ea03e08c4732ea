"""Names in YAML and what becomes of them in Dagster."""

from __future__ import annotations

import keyword
import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from medkg_dagster.stage_api.stage_types.rules import DAGSTER_RESERVED

MAX_NAME = 100

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)


def dagster_name(name: str) -> str:
    """Return a YAML name as a Dagster name: hyphens become underscores."""
    return name.replace("-", "_")


def graph_name(pipeline: str) -> str:
    """Return the name of a pipeline's graph: the first part of its step keys and of its run configuration.

    Dagster wants graphs, ops and jobs of a code location to have different names; the job has the pipeline's.
    """
    return f"{dagster_name(pipeline)}__stages"


def op_name(pipeline: str, stage: str) -> str:
    """Return the name of a stage's op definition."""
    return f"{dagster_name(pipeline)}__{dagster_name(stage)}"


def is_reserved(name: str) -> bool:
    """Say whether Dagster would refuse the name."""
    return name in DAGSTER_RESERVED or keyword.iskeyword(name)


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise PydanticCustomError("name", "a name is letters, digits, '-' and '_', beginning with a letter")
    if len(name) > MAX_NAME:
        raise PydanticCustomError("name", "a name has at most 100 characters")
    if is_reserved(dagster_name(name)):
        raise PydanticCustomError("name", "the name is reserved by Dagster or Python; choose another")
    return name


Name = Annotated[str, AfterValidator(_check_name)]
"""A name that stays valid in Dagster."""
