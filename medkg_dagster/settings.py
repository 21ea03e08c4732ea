"""Where data and configuration live, and how strict loading is, read from the environment once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medkg_dagster.errors import ConfigError, did_you_mean

DEFAULT_JOB_ID = "default"
"""The ledger job that a run works on where none is named."""

SERVE_PORT = 8710
"""Where `medkg serve` listens on loopback, unless it is told otherwise."""

METRICS_PORT = 8711
"""Where `medkg metrics` listens on loopback, unless it is told otherwise."""

GRAPH_FILE = "graph.sqlite"
INDEX_FILE = "index.sqlite"
"""The built-in stores with their default parameters, in the home."""

DEFAULT_MEMO_BYTES = 20_000_000_000

DEFAULT_CHANGES_DAYS = 90
MOST_DAYS = 36_500

EXECUTORS = ("in_process", "multiprocess", "celery", "k8s")

DATABASE_VARIABLE = "MEDKG_DATABASE_URL"
"""Names the one database that holds ledger, graph and index, where a deployment has one."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CLASS = re.compile(r"\w+(\.\w+)*:\w+")


def usable_processors() -> int:
    """Return how many processors this process may use: by affinity, and by the limit of its control group."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return found if quota == "max" else max(1, min(found, int(quota) // int(period)))
    except (OSError, ValueError):
        return found


@dataclass(frozen=True, slots=True)
class Settings:
    """The deployment's settings.

    Attributes:
        home: The one folder that holds all data: ledger, state, index, graph (`MEDKG_HOME`).
        config: The folder that holds `orchestration/` (`MEDKG_CONFIG`, else `./config`, else the
            copy inside the installed package).
        strict: Whether any load problem fails the load (`MEDKG_STRICT=1`).
        plugins: Whether plugins of third parties are let in; `MEDKG_PLUGINS=off` leaves built-ins only.
        executor: How steps are carried out where a pipeline does not say: `in_process`, `multiprocess`,
            `celery` or `k8s` (`MEDKG_EXECUTOR`).
        celery_broker: The address of the broker of Celery (`MEDKG_CELERY_BROKER`). It may hold a password
            and is never shown.
        celery_backend: Where Celery keeps what came of tasks (`MEDKG_CELERY_BACKEND`); by default the broker,
            where that is Redis. It may hold a password and is never shown.
        ledger_url: The address of a ledger in PostgreSQL (`MEDKG_LEDGER_URL`, else
            `MEDKG_DATABASE_URL`); None keeps it in a file in
            `home`. It may hold a password and is never shown.
        database_url: The address of one PostgreSQL database that holds ledger, graph and index
            (`MEDKG_DATABASE_URL`); None keeps them in files in `home`. It is never shown either.
        translator: The class, as `module:Class`, that says how stages show as assets (`MEDKG_TRANSLATOR`).
        workers: How many processes the documents of one stage are worked on in at once (`MEDKG_WORKERS`);
            by default as many as there are processors that this process may use.
        shared_home: Whether `home` is a folder that all machines share which carry out runs
            (`MEDKG_SHARED_HOME=1`).
        memo_bytes: How many bytes of work that no job needs `medkg state prune` leaves remembered
            (`MEDKG_MEMO_BYTES`).
        changes_days: For how many days `medkg state prune` leaves every change of documents and edges
            remembered (`MEDKG_CHANGES_DAYS`).
        reranker: What puts the best documents of a search in a better order (`MEDKG_RERANKER`), as
            `name:{"parameter": value}`; None leaves them as they are.
    """

    home: Path
    config: Path
    strict: bool = False
    plugins: bool = True
    executor: str = "in_process"
    celery_broker: str | None = field(default=None, repr=False)
    celery_backend: str | None = field(default=None, repr=False)
    ledger_url: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    translator: str | None = None
    workers: int = field(default_factory=usable_processors)
    memo_bytes: int = DEFAULT_MEMO_BYTES
    changes_days: int = DEFAULT_CHANGES_DAYS
    shared_home: bool = False
    reranker: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Settings:
        """Read the settings.

        Args:
            environ: Environment variables; the process's own by default.
            cwd: The working directory relative paths start from; the process's own by default.

        Returns:
            The settings, all paths absolute.

        Raises:
            ConfigError: A variable has a value it must not have.
        """
        given = os.environ if environ is None else environ
        # A variable that says nothing, as `MEDKG_HOME=` in a file of variables, is none.
        env = {name: value for name, value in given.items() if value.strip()}
        for name in ("MEDKG_HOME", "MEDKG_CONFIG", "DAGSTER_HOME"):
            if _CONTROL.search(env.get(name, "")):
                raise ConfigError(
                    f"{name} holds a line break or another control character; write its value without"
                )
        base = Path.cwd() if cwd is None else cwd
        executor = env.get("MEDKG_EXECUTOR", "in_process")
        if executor not in EXECUTORS:
            raise ConfigError(f"MEDKG_EXECUTOR is {executor!r}: {did_you_mean(executor, EXECUTORS)}")
        translator = env.get("MEDKG_TRANSLATOR")
        if translator and not _CLASS.fullmatch(translator):
            raise ConfigError(f"MEDKG_TRANSLATOR is {translator!r}; set it to module:Class, or unset it")
        memo_bytes = _whole(env, "MEDKG_MEMO_BYTES", 0)
        return cls(
            home=check_home("MEDKG_HOME", absolute_path("MEDKG_HOME", env.get("MEDKG_HOME", ".medkg"), base)),
            config=_config_folder(env.get("MEDKG_CONFIG"), base),
            strict=_flag("MEDKG_STRICT", env.get("MEDKG_STRICT", "0")),
            plugins=_flag("MEDKG_PLUGINS", env.get("MEDKG_PLUGINS", "on")),
            executor=executor,
            celery_broker=env.get("MEDKG_CELERY_BROKER"),
            celery_backend=env.get("MEDKG_CELERY_BACKEND"),
            ledger_url=env.get("MEDKG_LEDGER_URL") or env.get(DATABASE_VARIABLE),
            database_url=env.get(DATABASE_VARIABLE),
            translator=translator,
            workers=_whole(env, "MEDKG_WORKERS", 1) or usable_processors(),
            shared_home=_flag("MEDKG_SHARED_HOME", env.get("MEDKG_SHARED_HOME", "0")),
            memo_bytes=DEFAULT_MEMO_BYTES if memo_bytes is None else memo_bytes,
            changes_days=_days(env, "MEDKG_CHANGES_DAYS", DEFAULT_CHANGES_DAYS),
            reranker=env.get("MEDKG_RERANKER"),
        )


def absolute_path(name: str, written: str, base: Path) -> Path:
    """Return a path as a setting means it.

    Args:
        name: The setting, for the error.
        written: What it says; `~` is the home folder of the user.
        base: Where a relative path starts.

    Raises:
        ConfigError: It names a user that there is none of.
    """
    try:
        return (base / Path(written).expanduser()).absolute()
    except RuntimeError as error:
        raise ConfigError(f"{name} is {written!r}: {error}; write the whole path") from None


def check_home(name: str, home: Path) -> Path:
    """Return the folder for all data, which need not be there yet.

    Args:
        name: The setting, for the error.
        home: The folder.

    Raises:
        ConfigError: It cannot be a folder, because it or what it stands in is a file.
    """
    # What may not be looked into is not there for now; whoever uses it is told.
    there = next(folder for folder in (home, *home.parents) if os.path.exists(folder))  # noqa: PTH110
    if not there.is_dir():
        raise ConfigError(f"{name} names {home}, but {there} is not a folder; name a folder, or unset it")
    return home


def find_dagster_home(home: Path) -> Path:
    """Return the folder of the Dagster instance: `DAGSTER_HOME`, else the one that `make dev` shows.

    Args:
        home: The folder for all data.

    Raises:
        ConfigError: `DAGSTER_HOME` is not what Dagster asks for.
    """
    named = os.environ.get("DAGSTER_HOME")
    if not named:
        return home / "dagster"
    folder = Path(named).expanduser()
    if not (folder.is_absolute() and folder.is_dir()):
        raise ConfigError(
            f"DAGSTER_HOME names {named}, which is not the absolute path of a folder that exists; "
            "make the folder, or unset it for the instance that `make dev` shows"
        )
    return folder


def _config_folder(named: str | None, base: Path) -> Path:
    if named is not None:
        folder = absolute_path("MEDKG_CONFIG", named, base)
        try:
            os.scandir(folder).close()
        except OSError as error:
            raise ConfigError(
                f"MEDKG_CONFIG names {folder}, which cannot be read: {error.strerror}; name the folder that "
                "holds orchestration/, or unset it"
            ) from None
        return folder
    local = base / "config"
    if (local / "orchestration").is_dir():
        return local.absolute()
    installed = Path(__file__).parent / "config"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "config"


def _whole(env: Mapping[str, str], name: str, least: int) -> int | None:
    text = env.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise ConfigError(f"{name} is {text!r}; set it to a whole number, {least} or more, or unset it")
    return int(text)


def _days(env: Mapping[str, str], name: str, default: int) -> int:
    found = _whole(env, name, 0)
    if found is not None and found > MOST_DAYS:
        raise ConfigError(f"{name} is {env[name]!r}; set it to at most {MOST_DAYS} days, or unset it")
    return default if found is None else found


def _flag(name: str, text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ConfigError(f"{name} is {text!r}; set it to on or off (1 or 0)")
