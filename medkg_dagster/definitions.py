"""The composition root: settings, plugins, pipelines, and the Dagster definitions made of them."""

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.resolution import load_deployment
from medkg_dagster.settings import Settings

settings = Settings.from_environment()
deployment = load_deployment(settings)
defs = compile_plan(deployment.plan, deployment.factory, settings)
