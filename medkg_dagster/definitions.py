"""The composition root: settings, plugins, pipelines, and the Dagster definitions made of them."""

import logging

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.errors import TopologyError
from medkg_dagster.registry import build_default_stage_factory
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import Settings

settings = Settings.from_environment()
factory = build_default_stage_factory()
plan = load_plan(settings.config, factory)

if plan.problems and settings.strict:
    raise TopologyError(plan.problems)
for problem in plan.problems:
    logging.getLogger("medkg").error("%s", problem)

defs = compile_plan(plan, factory, settings)
