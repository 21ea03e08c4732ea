"""Opens the Dagster UI on an address that is free, with a log that people can read: `make dev`."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
# Dagster logs two lines for each sensor at each tick, and says that `dg dev` is to take this command's place,
# which needs a package that a deployment need not have.
LOG_LEVEL = "warning"
SUPERSEDED = "ignore:Function `dev_command` is superseded"


def main(host: str, port: int) -> None:
    """Become `dagster dev`, unless the address is taken.

    Args:
        host: Where to listen.
        port: Likewise.
    """
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        sys.exit(f"make dev: {host}:{port} {why}; take another port: `make dev PORT={free_port()}`")
    print(f"The Dagster UI will be at http://{host}:{port}; Ctrl-C ends it.", flush=True)
    filters = filter(None, (os.environ.get("PYTHONWARNINGS"), SUPERSEDED))
    os.execve(  # noqa: S606 - our own command
        BIN / "dagster",
        ["dagster", "dev", "--host", host, "--port", str(port), "--log-level", LOG_LEVEL],
        os.environ | {"PYTHONWARNINGS": ",".join(filters)},
    )


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
