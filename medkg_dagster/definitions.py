"""The composition root: settings, plugins, pipelines, and the Dagster definitions made of them."""

import logging

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.errors import TopologyError
from medkg_dagster.resolution import load_deployment
from medkg_dagster.settings import Settings

settings = Settings.from_environment()
deployment = load_deployment(settings)
plan = deployment.plan

if plan.problems and settings.strict:
    raise TopologyError(plan.problems)
for problem in plan.problems:
    logging.getLogger("medkg").error("%s", problem)

defs = compile_plan(plan, deployment.factory, settings)
