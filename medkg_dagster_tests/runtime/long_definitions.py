"""Definitions of stages that take long; the environment names the deployment, as in real ones."""

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.plugins import Origin
from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import Settings
from medkg_dagster_tests.runtime.long_stages import register

ORIGIN = Origin("long", "medkg_dagster_tests.runtime.long_stages:register", "lab-long", "1.0")

settings = Settings.from_environment()
registry = StageRegistry()
for registration in register():
    registry.add(registration, origin=ORIGIN)
factory = StageFactory(registry)
plan = load_plan(settings.config, factory)
assert plan.problems == (), plan.problems
defs = compile_plan(plan, factory, settings)
