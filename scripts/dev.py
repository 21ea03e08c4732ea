"""Opens the Dagster UI on an address that is free, with a log that people can read: `make dev`.

As `dagster dev` does: one code server, which is loaded anew from the UI, a webserver and the daemon. That
command would start a webserver without a guard (see `medkg_dagster.webserver`).
"""

from __future__ import annotations

import ctypes
import errno
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOCATION = "medkg_dagster"
MODULE = "medkg_dagster.definitions"
# Dagster logs two lines for each sensor at each tick.
LOG_LEVEL = "warning"
LOOK_SECONDS = 0.2
END_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1


def main(host: str, port: int) -> int:
    """Run the UI until Ctrl-C, or until a part of it ends.

    Args:
        host: Where to listen.
        port: Likewise.

    Returns:
        The exit code.
    """
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        sys.exit(f"make dev: {host}:{port} {why}; take another port: `make dev PORT={free_port()}`")
    print(f"The Dagster UI will be at http://{host}:{port}; Ctrl-C ends it.", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parts: dict[str, subprocess.Popen[bytes]] = {}
    with tempfile.TemporaryDirectory(prefix="medkg-dev-") as folder:
        try:
            ended = run(parts, Path(folder), host, port)
        except KeyboardInterrupt:
            return 0
        finally:
            end(list(parts.values()))
    print(f"make dev: the {ended} ended by itself; its last lines say why", file=sys.stderr)
    return 1


def run(parts: dict[str, subprocess.Popen[bytes]], folder: Path, host: str, port: int) -> str:
    """Start all parts, and wait until one of them has ended; return which."""
    code = folder / "code.sock"
    served = ["code-server", "start", "-m", MODULE, "--location-name", LOCATION, "--socket", str(code)]
    parts["code server"] = start("dagster", *served, "--log-level", LOG_LEVEL)
    workspace = folder / "workspace.yaml"
    workspace.write_text(f"load_from: [{{grpc_server: {{socket: {code}, location_name: {LOCATION}}}}}]\n")
    while not code.exists() and ended_part(parts) is None:
        time.sleep(LOOK_SECONDS)
    seen = ["--workspace", str(workspace)]
    listening = ["--host", host, "--port", str(port), "--dagster-log-level", LOG_LEVEL]
    parts["webserver"] = start("medkg_dagster.webserver", *seen, *listening)
    parts["daemon"] = start("dagster._daemon", "run", *seen, "--log-level", LOG_LEVEL)
    while (ended := ended_part(parts)) is None:
        time.sleep(LOOK_SECONDS)
    return ended


def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a part, which is interrupted when this process is killed."""
    command = [sys.executable, "-m", module, *arguments]
    # In a session of its own: Ctrl-C comes from here alone, and to all in their order.
    return subprocess.Popen(command, start_new_session=True, preexec_fn=end_with_parent)  # noqa: S603, PLW1509 - ours


def end_with_parent() -> None:
    """Have Linux interrupt this process, just forked, when its parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def ended_part(parts: dict[str, subprocess.Popen[bytes]]) -> str | None:
    """Return which part has ended; None while all run."""
    return next((name for name, process in parts.items() if process.poll() is not None), None)


def end(parts: list[subprocess.Popen[bytes]]) -> None:
    """Interrupt all parts, the code server last, and kill what does not end."""
    for process in reversed(parts):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    until = time.monotonic() + END_SECONDS
    for process in reversed(parts):
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
