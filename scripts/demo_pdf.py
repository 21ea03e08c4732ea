"""Shows the two-phase PDF pipeline from submission to graph, without a network: `make demo-pdf`.

It serves the bundled PDFs on loopback, starts Dagster's daemon unless one runs, submits a job of three
article records, one of whose PDFs does not exist, and prints each step until the graph is written.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

from medkg_dagster.settings import Settings

CORPUS = Path(__file__).parent.parent / "medkg_dagster" / "corpus" / "documents" / "pdfs"
BIN = Path(sys.executable).parent
DAEMON_ENDS_WITHIN = 30
# It says every 30 seconds that it is there.
DAEMON_HEARD_WITHIN = 45.0


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a log line for each request."""

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""

    def log_error(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Say nothing: one of the PDFs is meant to be missing."""


def main() -> None:
    """Run the demonstration; the exit code is that of the job."""
    settings = Settings.from_environment()
    folder = settings.home / "demo-pdf"
    folder.mkdir(parents=True, exist_ok=True)
    with served(CORPUS) as address, daemon(settings.home):
        records = folder / "records.json"
        records.write_text(json.dumps(article_records(address), indent=1))
        print(f"serving {len(list(CORPUS.glob('*.pdf')))} PDFs at {address}", flush=True)
        job_id = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        submit = [
            *(str(BIN / "medkg"), "submit", "pdf-two-phase", "--adapter", "files"),
            *("--param", f"path={records}", "--param", "synthetic=true"),
            *("--set", 'download.allow_private_hosts=["127.0.0.1"]'),
            *("--job-id", job_id, "--wait"),
        ]
        code = subprocess.run(submit, check=False).returncode  # noqa: S603 - our own command
        if code == 0:
            summary = [str(BIN / "medkg"), "summary", "--pipeline", "pdf-two-phase", "--job", job_id]
            subprocess.run(summary, check=True)  # noqa: S603 - our own command
    sys.exit(code)


def article_records(address: str) -> list[dict[str, str]]:
    """Return records of the bundled PDFs, and one of a PDF that is not there.

    Args:
        address: Where the PDFs are served.
    """
    records = [
        {
            "doi": f"10.5555/medkg.demo.{number}",
            "title": path.stem.replace("_", " ").capitalize(),
            "pdf_url": f"{address}/{path.name}",
        }
        for number, path in enumerate(sorted(CORPUS.glob("*.pdf")), start=1)
    ]
    missing = {
        "doi": "10.5555/medkg.demo.404",
        "title": "A record whose PDF is gone",
        "pdf_url": f"{address}/gone.pdf",
    }
    return [*records, missing]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback; give its address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def daemon(home: Path) -> Iterator[None]:
    """Run Dagster's daemon, which ticks the sensors, unless one runs for this instance already."""
    if daemon_runs():
        print("a daemon runs already; it will start the job", flush=True)
        yield
        return
    log = home / "demo-pdf" / "daemon.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [str(BIN / "dagster-daemon"), "run", "-m", "medkg_dagster.definitions"],
            stdout=stream,
            stderr=stream,
            env=os.environ,
        )
    print(f"started a daemon, which logs to {log}", flush=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(DAEMON_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()


def daemon_runs() -> bool:
    """Say whether a daemon calls sensors; of one that was heard of lately, whether it is heard of again."""
    with DagsterInstance.get() as instance:

        def heard_at() -> float:
            heartbeat = instance.get_daemon_heartbeats().get("SENSOR")
            return heartbeat.timestamp if heartbeat else 0.0

        before = heard_at()
        until = before + DAEMON_HEARD_WITHIN
        if time.time() < until:
            print("looking whether a daemon still runs", flush=True)
        while time.time() < until:
            if heard_at() > before:
                return True
            time.sleep(0.5)
    return False


if __name__ == "__main__":
    main()
