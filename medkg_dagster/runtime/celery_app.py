"""The Celery application that carries out steps: the same for those who ask for them and for the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medkg_dagster.errors import ConfigError
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from celery import Celery

_NO_BROKER = (
    "the executor 'celery' needs a broker: set MEDKG_CELERY_BROKER to the address of a Redis or RabbitMQ, as "
    "redis://127.0.0.1:6379/0 or amqp://user:password@127.0.0.1:5672//"
)
_CONFIGURATION: dict[str, Any] = {
    # A step waits in the broker, where any worker takes it, and not behind another step of one worker.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    # Who asked for a step learns which worker has it.
    "task_track_started": True,
    # A broker that starts after the workers, or again, is waited for.
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {
        # What a worker took from Redis and was killed before it began: others take it after so many seconds.
        "visibility_timeout": 60,
        "max_retries": 20,
        "interval_start": 0,
        "interval_step": 0.5,
        "interval_max": 5,
    },
    # Nobody reads them once the run has ended.
    "result_expires": 86_400,
}


def celery_arguments(settings: Settings) -> dict[str, Any]:
    """Return what Dagster makes its application of: where broker and results are, and the configuration.

    Args:
        settings: The addresses.

    Raises:
        ConfigError: They name no broker.
    """
    broker = settings.celery_broker
    if broker is None:
        raise ConfigError(_NO_BROKER)
    backend = settings.celery_backend or (broker if broker.startswith(("redis", "sentinel")) else "rpc://")
    return {"broker": broker, "backend": backend, "config_source": _CONFIGURATION}


def make_worker_app(settings: Settings) -> Celery:
    """Return the application that workers serve.

    Args:
        settings: The addresses of broker and results.

    Raises:
        ConfigError: They name no broker, or the extra is not installed.
    """
    try:
        from dagster_celery.config import DEFAULT_CONFIG, dict_wrapper
        from dagster_celery.make_app import make_app
        from dagster_celery.tasks import create_task
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is not installed; `pip install 'medkg-dagster[celery]'`") from error
    arguments = celery_arguments(settings)
    configuration = dict_wrapper({**DEFAULT_CONFIG, **arguments["config_source"]})
    app: Celery = make_app({**arguments, "config_source": configuration})
    create_task(app)
    return app
