"""How soon the page of `medkg serve` is seen, in a headless Chromium on loopback."""

import itertools
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from websockets.sync.client import ClientConnection, connect

from benchmarks.exports import make_graph
from benchmarks.figures import Figure
from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.stage_api import Edge, Node
from medkg_dagster_tests.conftest import REPOSITORY
from medkg_dagster_tests.service.conftest import serving

FIRST_PAINT_SECONDS, NEIGHBOURHOOD_SECONDS = 0.5, 1.0
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"),
)
_HUB = "X:hub"
# Milliseconds since the navigation began; the second when what is drawn has been on the screen for a frame.
_PAINTED = """new Promise((resolve) => { const look = () => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  if (paint) resolve(paint.startTime); else setTimeout(look, 5); }; look(); })"""
_DRAWN = """new Promise((resolve) => { const look = () => {
  if (!document.querySelector("svg.neighbourhood")) return setTimeout(look, 5);
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(
    [performance.now(), document.querySelectorAll("svg.neighbourhood a").length]))); }; look(); })"""


def measure(edges: int = 100_000, shown: int = 200, repeats: int = 5) -> Iterator[Figure]:
    """Open the page, and on it a concept with many neighbours, each time in a window without a memory.

    Args:
        edges: How many the graph has.
        shown: How many of them the concept has.
        repeats: How often each is opened.
    """
    program = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if program is None:
        yield Figure.value("first paint of the page", "s", float("nan"), None, "no Chromium is installed")
        return
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_graph(home, edges)
        _add_hub(home, shown)
        address = stack.enter_context(serving(home, REPOSITORY))
        browser = stack.enter_context(_Browser.started(program))
        browser.time(f"{address}/", _PAINTED)  # the first window of a browser waits for the browser
        painted = [browser.time(f"{address}/", _PAINTED) for _ in range(repeats)]
        drawn = [browser.time(f"{address}/#entity={_HUB}&mentions=all", _DRAWN) for _ in range(repeats)]
    note = f"headless, loopback, median of {repeats}"
    yield Figure.value("first paint of the page", "s", median(painted) / 1e3, FIRST_PAINT_SECONDS, note)
    took = median(milliseconds for milliseconds, _ in drawn) / 1e3
    note = f"{drawn[0][1]} links drawn, of a graph of {edges:,} edges"
    yield Figure.value(f"a neighbourhood of {shown} edges", "s", took, NEIGHBOURHOOD_SECONDS, note)


def _add_hub(home: Path, neighbours: int) -> None:
    """Put in a document that states something of one concept and many others."""
    document = "PMID:0"
    hub = Node(id=_HUB, name="Hub", category=("biolink:Drug",))
    others = [
        Node(id=f"X:of-hub-{number}", name=f"Neighbour {number}", category=("biolink:Disease",))
        for number in range(neighbours)
    ]
    edges = [
        Edge(
            id=f"hub-{number}",
            subject=_HUB,
            predicate="biolink:treats",
            object=other.id,
            negated=number % 10 == 0,
            primary_knowledge_source="infores:medkg",
            knowledge_level="not_provided",
            agent_type="text_mining_agent",
            publications=(document,),
            supporting_text=f"Hub helps with {other.name}.",
            document_id=document,
            document_hash="h",
            start=number,
            end=number + 1,
        )
        for number, other in enumerate(others)
    ]
    with closing(SqlGraph(home / "graph.sqlite")) as store:
        store.upsert([document], {document: [hub, *others]}, edges)


class _Browser:
    """A Chromium that does what the DevTools protocol tells it.

    Args:
        connection: To the browser.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    @classmethod
    @contextmanager
    def started(cls, program: str) -> Iterator["_Browser"]:
        """Start one with a profile of its own; it ends with the context."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = [program, *_QUIET, f"--user-data-dir={profile}", "about:blank"]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - the browser that is installed
                try:
                    lines = process.stderr or ()
                    address = next(filter(None, (re.search(r"ws://\S+", line) for line in lines))).group()
                    with connect(address, max_size=None, proxy=None) as connection:
                        yield cls(connection)
                finally:
                    process.kill()

    def time(self, url: str, measured: str) -> Any:
        """Open a page in a window that remembers nothing, and return what a promise there gives."""
        context = self._ask("Target.createBrowserContext")["browserContextId"]
        target = self._ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._ask("Page.navigate", session, url=url)
        found = self._ask(
            "Runtime.evaluate", session, expression=measured, awaitPromise=True, returnByValue=True
        )
        self._ask("Target.disposeBrowserContext", browserContextId=context)
        return found["result"]["value"]

    def _ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(asked | ({"sessionId": session} if session else {})))
        while True:
            said = json.loads(self._connection.recv())
            if said.get("id") == number:
                result: dict[str, Any] = said["result"]
                return result
