"""The composition root: settings, plugins, pipelines, and the Dagster definitions made of them."""

import gc
import sys
from typing import Any

from dagster import DagsterInvalidConfigError

from medkg_dagster.errors import MedkgError
from medkg_dagster.io.collector import collector_paused

_refused: MedkgError | None = None
_previous_hook = sys.excepthook


def _say_what_is_wrong(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    """Write the sentence alone where what was given is wrong: settings, or the configuration of a run.

    Nobody catches these in `dagster job execute`, and Python would print a hundred lines of the frames of
    others before the sentence that says what to do.
    """
    if error is _refused or isinstance(error, DagsterInvalidConfigError):
        sys.stderr.writelines(f"medkg: {line}\n" for line in str(error).splitlines())
    else:
        _previous_hook(kind, error, traceback)


sys.excepthook = _say_what_is_wrong
try:
    with collector_paused():
        from medkg_dagster.compiler.compile_plan import compile_plan
        from medkg_dagster.resolution import load_deployment
        from medkg_dagster.settings import Settings

        settings = Settings.from_environment()
        deployment = load_deployment(settings)
        defs = compile_plan(deployment.plan, deployment.factory, settings)
        # All of it stays until the process ends, and the collector would go through it again and again.
        gc.freeze()
except MedkgError as error:
    _refused = error
    raise
