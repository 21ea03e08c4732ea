"""The composition root of Celery workers: `celery -A medkg_dagster.celery_worker worker`.

A worker carries out steps of runs. Each of its processes loads the definitions with its first step, and sees
pipelines and plugins as they were then: start workers again where these have changed.
"""

from medkg_dagster.runtime.celery_app import make_worker_app
from medkg_dagster.settings import Settings

app = make_worker_app(Settings.from_environment())
