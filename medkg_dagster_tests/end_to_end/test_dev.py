"""`make dev` in a fresh checkout: what its log says, what it does where it cannot listen, and reloading."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from medkg_dagster_tests.end_to_end.checkout import copy_checkout, environment, serving
from medkg_dagster_tests.end_to_end.running import PATIENCE, ask

RELOAD = """
mutation ($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) { __typename }
}
"""
LAUNCH = """
mutation { launchRun(executionParams: {selector: {repositoryLocationName: "medkg_dagster",
  repositoryName: "__repository__", jobName: "auto"}, runConfigData: {}}) { __typename } }
"""
RUNS = "query { runsOrError { ... on Runs { results { runId } } } }"
CHECKS = """
query {
  assetNodeOrError(assetKey: {path: ["medkg", "load_report"]}) {
    ... on AssetNode { assetChecksOrError { ... on AssetChecks {
      checks { name executionForLatestMaterialization { status evaluation { metadataEntries {
        ... on TableMetadataEntry { table { records } }
      } } } }
    } } }
  }
}
"""
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Served:
    """The checkout with its UI running.

    Attributes:
        folder: The checkout.
        address: Of the UI.
        log: What `make dev` has written.
    """

    folder: Path
    address: str
    log: Path

    def medkg(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a console command."""
        return subprocess.run(
            [self.folder / ".venv" / "bin" / "medkg", *arguments],
            cwd=self.folder,
            env=environment(self.folder),
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def wait_for_check(self, name: str, status: str) -> str:
        """Wait until the UI shows a check of the load report with a status; return what it says."""
        deadline = time.monotonic() + PATIENCE
        while True:
            node = ask(self.address, CHECKS)["assetNodeOrError"]
            (check,) = (item for item in node["assetChecksOrError"]["checks"] if item["name"] == name)
            found = check["executionForLatestMaterialization"]
            if found and found["status"] == status:
                return str(found["evaluation"]["metadataEntries"])
            assert time.monotonic() < deadline, found
            time.sleep(0.2)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The UI, opened by the way out that `make dev` names where its port is taken."""
    folder = copy_checkout(tmp_path_factory.mktemp("dev") / "medkg_dagster")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = subprocess.run(
            ["make", "dev", f"PORT={port}"],
            cwd=folder,
            env=environment(folder),
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert refused.returncode != 0
    assert f"127.0.0.1:{port} is in use; " in refused.stderr
    named = re.search(r"`(make dev PORT=(\d+))`", refused.stderr)
    assert named is not None, refused.stderr
    address = f"http://127.0.0.1:{named[2]}"
    with serving(folder, named[1], address) as log:
        yield Served(folder, address, log)


def test_the_log_of_make_dev_has_its_address_and_what_stages_say_and_nothing_else(served: Served) -> None:
    served.medkg("submit", "auto", "--job-id", "spring", "--wait")

    first, *lines = COLOURS.sub("", served.log.read_text()).splitlines()

    assert first == f"The Dagster UI will be at {served.address}; Ctrl-C ends it."
    assert [
        line
        for line in lines
        if not re.search(r" - dagster - INFO - auto - [0-9a-f-]{36} - auto__stages\.", line)
    ] == []
    assert any("chunk: 253 out" in line for line in lines)


def test_a_page_of_somebody_else_starts_no_run(served: Served) -> None:
    graphql, before = f"{served.address}/graphql", ask(served.address, RUNS)
    body = {"query": LAUNCH}

    refused = [
        httpx.get(graphql, params=body),
        httpx.get(graphql, params=body, headers={"origin": "http://evil.example"}),
        httpx.post(graphql, json=body, headers={"origin": "http://evil.example"}),
        httpx.post(graphql, json=body, headers={"host": "evil.example"}),
        httpx.post(graphql, content=json.dumps(body), headers={"content-type": "text/plain"}),
    ]

    assert [answer.status_code for answer in refused] == [405, 403, 403, 421, 415]
    assert ask(served.address, RUNS) == before


def test_a_file_that_is_broken_while_the_ui_runs_shows_after_a_reload_and_is_gone_after_the_next(
    served: Served,
) -> None:
    served.wait_for_check("pipelines_load", "SUCCEEDED")
    broken = served.folder / "config" / "orchestration" / "pipelines" / "broken.yaml"
    broken.write_text("name: broken\nstages: [{name: a, type: no-such-type}]\n")

    ask(served.address, RELOAD, location="medkg_dagster")

    assert "broken.yaml" in served.wait_for_check("pipelines_load", "FAILED")
    broken.unlink()
    ask(served.address, RELOAD, location="medkg_dagster")
    served.wait_for_check("pipelines_load", "SUCCEEDED")
