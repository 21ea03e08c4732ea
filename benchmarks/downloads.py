"""The `download` stage against `curl --parallel` and `sha256sum`."""

import contextlib
import itertools
import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.figures import Bound, Figure, in_turn, wall_seconds
from medkg_dagster.stage_api import Payload, PayloadFormat, StageContext
from medkg_dagster.stages.download import DownloadConfig
from medkg_dagster.stages.download.stage import DownloadStage

CONNECTIONS = 16
HOST = "127.0.0.1"


def measure(
    small: tuple[int, int] = (500, 200_000), large: tuple[int, int] = (20, 20_000_000), repeats: int = 5
) -> Iterator[Figure]:
    """Fetch, hash and flush to disk small and large files from a loopback server.

    Args:
        small: Count and size of the small files.
        large: Count and size of the large files.
        repeats: Rounds that count.
    """
    if shutil.which("curl") is None or shutil.which("sha256sum") is None:
        sys.stderr.write("skipped: curl or sha256sum is not installed\n")
        return
    for (count, size), target in ((small, 0.4), (large, 1.2)):
        with tempfile.TemporaryDirectory() as name, _server(Path(name)) as port:
            folder = Path(name)
            urls = _make_files(folder, count, size, port)
            total = count * size / 1e6
            pair = in_turn(
                _throughput(total, folder / "ours", partial(_ours, urls)),
                _throughput(total, folder / "curl", partial(_curl, urls)),
                repeats,
            )
        title = f"download of {count} files of {size / 1e6:g} MB"
        note = f"against curl --parallel and sha256sum, {CONNECTIONS} connections, fsync only on our side"
        yield Figure.ratio(title, "MB/s", pair, target, note, bound=Bound.AT_LEAST)


def _throughput(total: float, base: Path, work: Callable[[Path], None]) -> Callable[[], float]:
    numbers = itertools.count()

    def run() -> float:
        home = base / str(next(numbers))
        home.mkdir(parents=True)
        os.sync()  # or one side would wait for what the other wrote
        seconds = wall_seconds(lambda: work(home))
        shutil.rmtree(home)
        return total / seconds

    return run


def _ours(urls: Sequence[str], home: Path) -> None:
    payloads = tuple(
        Payload(
            id=url,
            format=PayloadFormat.STUDY_JSON,
            content=json.dumps({"best_oa_location": {"pdf_url": url}}).encode(),
            source="bench",
            origin=url,
        )
        for url in urls
    )
    config = DownloadConfig(
        max_connections=CONNECTIONS, max_per_host=CONNECTIONS, allow_private_hosts=(HOST,)
    )
    ctx = StageContext("bench", "download", "default", home)
    files = DownloadStage(config).execute(ctx, payloads=payloads)
    assert len(files) == len(urls)


def _curl(urls: Sequence[str], home: Path) -> None:
    wanted = home / "urls"
    wanted.write_text("".join(f'url = "{url}"\noutput = "{home}/{n}.pdf"\n' for n, url in enumerate(urls)))
    limit = str(CONNECTIONS)
    curl = [
        "curl",
        "--silent",
        "--parallel",
        "--parallel-immediate",
        "--parallel-max",
        limit,
        "-K",
        str(wanted),
    ]
    subprocess.run(curl, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - our own command
    files = [str(home / f"{number}.pdf") for number in range(len(urls))]
    subprocess.run(["sha256sum", *files], check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607


def _make_files(folder: Path, count: int, size: int, port: int) -> list[str]:
    (folder / "www").mkdir()
    for number in range(count):
        body = os.urandom(size - 14)
        (folder / "www" / f"{number}.pdf").write_bytes(b"%PDF-1.7" + body + b"%%EOF\n")
    return [f"http://{HOST}:{port}/{number}.pdf" for number in range(count)]


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[int]:
    """Serve a folder's `www` from a process of its own, so that it takes no turn of ours."""
    command = [sys.executable, "-m", "benchmarks.downloads", str(folder / "www")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()


class _Handler(socketserver.StreamRequestHandler):
    """Answers GET with a file, as cheaply as Python can."""

    def handle(self) -> None:
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while line := self.rfile.readline():
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            path = _Handler.folder / line.split()[1].decode().lstrip("/")
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                self.wfile.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: %d\r\n"
                    b'ETag: "%d"\r\n\r\n' % (size, size)
                )
                sent = 0
                while sent < size:
                    sent += os.sendfile(self.connection.fileno(), file.fileno(), sent, size - sent)

    folder = Path()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


def _serve(folder: Path) -> None:
    _Handler.folder = folder
    with _Server((HOST, 0), _Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
