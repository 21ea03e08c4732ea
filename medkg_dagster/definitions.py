"""The composition root: settings, plugins, pipelines, and the Dagster definitions made of them."""

import sys
from typing import Any

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.errors import MedkgError
from medkg_dagster.resolution import load_deployment
from medkg_dagster.settings import Settings

try:
    settings = Settings.from_environment()
    deployment = load_deployment(settings)
    defs = compile_plan(deployment.plan, deployment.factory, settings)
except MedkgError as error:
    # Where nobody catches it, as in `dagster job execute`, Python would print a hundred lines of the frames
    # of others before the sentence that says what to do.
    reported, previous = error, sys.excepthook

    def _excepthook(kind: type[BaseException], raised: BaseException, traceback: Any) -> None:
        if raised is reported:
            sys.stderr.writelines(f"medkg: {line}\n" for line in str(raised).splitlines())
        else:
            previous(kind, raised, traceback)

    sys.excepthook = _excepthook
    raise
