"""Who asks, as the proxy before the webserver says: on every run that is made, whatever a browser sends."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from medkg_dagster.errors import ConfigError
from medkg_dagster.runtime.dagster_internals import RunDomain
from medkg_dagster.runtime.tags import ACTOR_TAG
from medkg_dagster.webserver.guard import ACTOR


def name_who_asks(header: str | None) -> None:
    """Let every run that this webserver makes say who asked for it, and none say so by itself.

    However a mutation is written, and whatever run is executed once more, in the end there is a run with
    tags. There the tag of the actor is taken out, and where a header is trusted, put in from it.

    Args:
        header: The header by which the proxy names who asks; None where none is trusted.
    """
    # Where Dagster moves it, there is an error here, and never a webserver that lets names be made up.
    RunDomain.create_run = _named(RunDomain.create_run, header)  # type: ignore[method-assign] # on purpose


def _named(create_run: Callable[..., Any], header: str | None) -> Any:
    @wraps(create_run)
    def create_named_run(domain: RunDomain, **given: Any) -> Any:
        tags = {name: value for name, value in (given["tags"] or {}).items() if name != ACTOR_TAG}
        actor = ACTOR.get()
        if header is not None:
            if not actor:
                raise ConfigError(f"the proxy names nobody in {header}; no run is started for nobody")
            tags[ACTOR_TAG] = actor
        return create_run(domain, **{**given, "tags": tags})

    return create_named_run
