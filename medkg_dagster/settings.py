"""Where data and configuration live, and how strict loading is, read from the environment once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medkg_dagster.errors import ConfigError

DEFAULT_JOB_ID = "default"
"""The ledger job that a run works on where none is named."""

EXECUTORS = ("in_process", "multiprocess")


@dataclass(frozen=True, slots=True)
class Settings:
    """The deployment's settings.

    Attributes:
        home: The one folder that holds all data: ledger, state, index, graph (`MEDKG_HOME`).
        config: The folder that holds `orchestration/` (`MEDKG_CONFIG`, else `./config`, else the
            copy inside the installed package).
        strict: Whether any load problem fails the load (`MEDKG_STRICT=1`).
        plugins: Whether plugins of third parties are let in; `MEDKG_PLUGINS=off` leaves built-ins only.
        executor: `in_process` or `multiprocess` (`MEDKG_EXECUTOR`).
        ledger_url: The address of a ledger in PostgreSQL (`MEDKG_LEDGER_URL`); None keeps it in a file in
            `home`. It may hold a password and is never shown.
        translator: The class, as `module:Class`, that says how stages show as assets (`MEDKG_TRANSLATOR`).
    """

    home: Path
    config: Path
    strict: bool = False
    plugins: bool = True
    executor: str = "in_process"
    ledger_url: str | None = field(default=None, repr=False)
    translator: str | None = None

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
        env = os.environ if environ is None else environ
        base = Path.cwd() if cwd is None else cwd
        executor = env.get("MEDKG_EXECUTOR", "in_process")
        if executor not in EXECUTORS:
            raise ConfigError(f"MEDKG_EXECUTOR is {executor!r}; set it to one of {', '.join(EXECUTORS)}")
        return cls(
            home=(base / env.get("MEDKG_HOME", ".medkg")).absolute(),
            config=_config_folder(env.get("MEDKG_CONFIG"), base),
            strict=_flag("MEDKG_STRICT", env.get("MEDKG_STRICT", "0")),
            plugins=_flag("MEDKG_PLUGINS", env.get("MEDKG_PLUGINS", "on")),
            executor=executor,
            ledger_url=env.get("MEDKG_LEDGER_URL") or None,
            translator=env.get("MEDKG_TRANSLATOR") or None,
        )


def _config_folder(named: str | None, base: Path) -> Path:
    if named is not None:
        folder = (base / named).absolute()
        if not folder.is_dir():
            raise ConfigError(f"MEDKG_CONFIG names {folder}, which is not a folder; create it or unset it")
        return folder
    local = base / "config"
    if (local / "orchestration").is_dir():
        return local.absolute()
    installed = Path(__file__).parent / "config"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "config"


def _flag(name: str, text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"", "0", "false", "no", "off"}:
        return False
    raise ConfigError(f"{name} is {text!r}; set it to on or off (1 or 0)")
