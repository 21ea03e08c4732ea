"""Runs the services of `deploy/docker/compose.yaml` and looks at them: `make test-deploy`.

    python scripts/try_containers.py [podman|docker]

The images have to be there. Passwords and a certificate are made up for the time; what is started is removed.
It starts each service by itself, in the order in which they wait for each other, so that an engine without a
compose plugin will do.
"""

from __future__ import annotations

import json
import re
import secrets
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "docker"
PROJECT = "medkg-try"
PATIENCE = 180.0
STAGES = "medical_kg.orchestration.stages"
PORT = 18443
NAME, PASSWORD = "alice", secrets.token_hex(8)
LAUNCH = """mutation { launchRun(executionParams: {selector: {repositoryLocationName: "medkg_dagster",
  repositoryName: "__repository__", jobName: "auto"}, runConfigData: {},
  executionMetadata: {tags: [
    {key: "dagster/partition", value: "default"}, {key: "medkg/actor", value: "bob"}]}}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = 'query { runOrError(runId: "%s") { ... on Run { status } } }'
TAGS = 'query { runOrError(runId: "%s") { ... on Run { tags { key value } } } }'
WRITES = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()"


class Containers:
    """The services, run by an engine.

    Args:
        engine: `podman` or `docker`.
        secret_files: The folder of the secrets.
        settings: The variables of `.env`.
    """

    def __init__(self, engine: str, secret_files: Path, settings: dict[str, str]) -> None:
        self.engine = engine
        self._secrets = secret_files
        text = (FOLDER / "compose.yaml").read_text()
        self._compose: dict[str, Any] = yaml.safe_load(_filled_in(text, settings))
        self.services: dict[str, dict[str, Any]] = self._compose["services"]

    def ask(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the engine."""
        done = subprocess.run([self.engine, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if check and done.returncode:
            sys.exit(f"{self.engine} {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service."""
        return self.ask("exec", f"{PROJECT}-{service}", *command, check=False)

    def start(self) -> None:
        """Start all services, each when what it waits for is well or done."""
        for network, options in self._compose["networks"].items():
            inner = ["--internal"] if options.get("internal") else []
            self.ask("network", "create", *inner, f"{PROJECT}-{network}")
        for name in self._in_order():
            self.ask(*self._run(name), *self.services[name].get("command", ()))
            for network in self.services[name]["networks"][1:]:
                self.ask("network", "connect", "--alias", name, f"{PROJECT}-{network}", f"{PROJECT}-{name}")
            took = self._wait(name)
            print(f"{name}: {'done' if self._ends(name) else 'well'} after {took:.0f} s", flush=True)

    def show_logs(self) -> None:
        """Print the last lines of each service."""
        for name in self.services:
            logs = self.ask("logs", "--tail", "15", f"{PROJECT}-{name}", check=False)
            print(f"--- {name}\n{logs.stdout}{logs.stderr}", flush=True)

    def remove(self) -> None:
        """Remove containers, volumes and networks."""
        for name in reversed(self._in_order()):
            self.ask("rm", "--force", "--volumes", f"{PROJECT}-{name}", check=False)
        for volume in self._compose["volumes"]:
            self.ask("volume", "rm", "--force", f"{PROJECT}-{volume}", check=False)
        for network in self._compose["networks"]:
            self.ask("network", "rm", f"{PROJECT}-{network}", check=False)

    def _in_order(self) -> list[str]:
        found: list[str] = []
        while len(found) < len(self.services):
            found += [
                name
                for name, service in self.services.items()
                if name not in found and set(service.get("depends_on", ())) <= set(found)
            ]
        return found

    def _ends(self, name: str) -> bool:
        return bool(self.services[name]["restart"] == "no")

    def _run(self, name: str) -> Iterator[str]:
        service = self.services[name]
        yield from (
            "run",
            "--detach",
            "--name",
            f"{PROJECT}-{name}",
            "--read-only",
            "--user",
            service["user"],
        )
        yield from ("--network", f"{PROJECT}-{service['networks'][0]}", "--network-alias", name)
        for option, key in (
            ("--cap-drop", "cap_drop"),
            ("--security-opt", "security_opt"),
            ("--tmpfs", "tmpfs"),
        ):
            for value in service.get(key, ()):
                yield from (option, value)
        limits = service["deploy"]["resources"]["limits"]
        yield from (
            "--cpus",
            limits["cpus"],
            "--memory",
            limits["memory"],
            "--pids-limit",
            str(limits["pids"]),
        )
        for variable, value in service.get("environment", {}).items():
            yield from ("--env", f"{variable}={value}")
        for volume in service.get("volumes", ()):
            source, _, rest = volume.partition(":")
            place = str((FOLDER / source).resolve()) if source.startswith(".") else f"{PROJECT}-{source}"
            yield from ("--volume", f"{place}:{rest}")
        for secret in service.get("secrets", ()):
            yield from ("--volume", f"{self._secrets / secret}:/run/secrets/{secret}:ro")
        for port in service.get("ports", ()):
            yield from ("--publish", port)
        if "healthcheck" in service:
            health = service["healthcheck"]
            # Docker takes a shell's words; podman takes the list as it is.
            yield from (
                "--health-cmd",
                json.dumps(health["test"]),
                "--health-interval",
                health["interval"],
                "--health-timeout",
                health["timeout"],
                "--health-retries",
                str(health["retries"]),
            )
        if "entrypoint" in service:
            yield from ("--entrypoint", json.dumps(service["entrypoint"]))
        yield service["image"]

    def _wait(self, name: str) -> float:
        begun = time.monotonic()
        if self._ends(name):
            code = self.ask("wait", f"{PROJECT}-{name}").stdout.strip()
            if code != "0":
                self._give_up(name)
            return time.monotonic() - begun
        _, *command = self.services[name]["healthcheck"]["test"]
        # The command of the check itself, as an engine without systemd runs none by itself.
        while self.inside(name, *command).returncode:
            if time.monotonic() - begun > PATIENCE:
                self._give_up(name)
            time.sleep(1)
        return time.monotonic() - begun

    def _give_up(self, name: str) -> None:
        sys.exit(f"{name} is not well")


def look(containers: Containers) -> Iterator[tuple[str, bool]]:
    """Yield what the guide says, and whether it is so."""
    yield "no password, no page", _status() == 401
    yield "a wrong password, no page", _status(password="wrong") == 401  # noqa: S106 - made up
    yield "with the password there is the page", _status(password=PASSWORD) == 200
    yield "another Host is refused", _status(password=PASSWORD, headers={"Host": "elsewhere.example"}) == 421
    yield (
        "a page of others is refused",
        _status(password=PASSWORD, headers={"Origin": "https://a.example"}) == 403,
    )
    yield "a mutation by GET is refused", _status("/graphql?query=mutation", password=PASSWORD) == 405
    for name, service in containers.services.items():
        if service["image"].startswith("medkg") and service["restart"] != "no":
            for path, expected in (("/x", 1), ("/opt/medkg/x", 1), ("/tmp/x", 0), ("/data/x", 0)):  # noqa: S108 - in a container
                wrote = containers.inside(name, "python", "-c", WRITES, path).returncode
                yield f"{name} {'cannot' if expected else 'can'} write {path}", wrote == expected
            yield f"{name} runs as 10001", containers.inside(name, "id", "-u").stdout.strip() == "10001"
    launched = _graphql(LAUNCH)["launchRun"]
    yield f"a run starts from the UI ({launched['__typename']})", "run" in launched
    yield "and succeeds", _outcome(launched["run"]["runId"]) == "SUCCESS"
    tags = _graphql(TAGS % launched["run"]["runId"])["runOrError"]["tags"]
    yield "under the name that was typed", {"key": "medkg/actor", "value": NAME} in tags
    logs = containers.ask("logs", f"{PROJECT}-worker")
    yield "its steps were carried out by the worker", "succeeded in" in logs.stdout + logs.stderr
    found = containers.inside("code", "medkg", "search", "melanoma")
    yield "what it indexed is found", found.returncode == 0 and bool(found.stdout)
    listed = containers.inside("daemon", "medkg", "ledger", "list")
    yield "the ledger of all containers is one", "default" in listed.stdout
    doctor = containers.inside("code", "medkg", "doctor")
    yield "medkg doctor finds nothing wrong", doctor.returncode == 0
    yield from _look_at_a_plugin_that_cannot_be_loaded(containers)


def _look_at_a_plugin_that_cannot_be_loaded(containers: Containers) -> Iterator[tuple[str, bool]]:
    """Yield whether the last step of the build and the code server's start fail with such a plugin."""
    code = containers.services["code"]
    with tempfile.TemporaryDirectory(prefix="medkg-try-") as folder:
        described = Path(folder) / "broken-1.0.dist-info"
        described.mkdir(mode=0o755)
        Path(folder).chmod(0o755)
        (described / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
        (described / "entry_points.txt").write_text(f"[{STAGES}]\nbroken = no_such_module:register\n")
        given = (
            "--volume",
            f"{folder}:/broken:ro",
            "--env",
            "PYTHONPATH=/broken",
            "--env",
            "MEDKG_HOME=/tmp/home",
        )
        for command in (["medkg", "check"], code["command"]):
            tried = containers.ask("run", "--rm", *given, code["image"], *command, check=False)
            named = "no_such_module" in tried.stdout + tried.stderr
            yield (
                f"{' '.join(command[:3])} ends with a plugin that is broken, and names it",
                tried.returncode != 0 and named,
            )


def _status(
    path: str = "/server_info", password: str | None = None, headers: dict[str, str] | None = None
) -> int:
    try:
        with _open(path, password, headers or {}) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _open(path: str, password: str | None, headers: dict[str, str], body: bytes | None = None) -> Any:
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    if password is not None:
        headers = {"Authorization": "Basic " + b64encode(f"{NAME}:{password}".encode()).decode(), **headers}
    request = urllib.request.Request(f"https://localhost:{PORT}{path}", body, headers)
    return urllib.request.urlopen(request, timeout=30, context=unchecked)  # noqa: S310 - https


def _graphql(query: str) -> dict[str, Any]:
    body = json.dumps({"query": query}).encode()
    try:
        opened = _open("/graphql", PASSWORD, {"Content-Type": "application/json"}, body)
    except urllib.error.HTTPError as error:
        sys.exit(f"the UI answers {error.code}: {error.read().decode()}")
    with opened as answer:
        data: dict[str, Any] = json.load(answer)["data"]
        return data


def _outcome(run: str) -> str:
    until = time.monotonic() + PATIENCE
    while True:
        status = str(_graphql(STATUS % run)["runOrError"]["status"])
        if status in {"SUCCESS", "FAILURE", "CANCELED"} or time.monotonic() > until:
            return status
        time.sleep(2)


def _filled_in(text: str, settings: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return settings.get(found[1], found[2] or "")

    return re.sub(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}", value, text)


def _make_secrets(folder: Path) -> None:
    hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True)  # noqa: S603, S607 - ours
    (folder / "users").write_text(f"{NAME}:{hashed.stdout}")
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    files = ["-keyout", str(folder / "tls_key"), "-out", str(folder / "tls_certificate")]
    subprocess.run([*made, *files], capture_output=True, check=True)  # noqa: S603 - ours
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)


def main(engine: str) -> int:
    """Start the services, look at them, remove them.

    Args:
        engine: `podman` or `docker`.

    Returns:
        The exit code: 1 where something is not as the guide says.
    """
    settings = {name: secrets.token_hex(16) for name in ("MEDKG_POSTGRES_PASSWORD", "MEDKG_REDIS_PASSWORD")}
    settings |= {
        "MEDKG_SITE": "localhost",
        "MEDKG_PORT": str(PORT),
    }
    with tempfile.TemporaryDirectory(prefix="medkg-try-") as folder:
        _make_secrets(Path(folder))
        containers = Containers(engine, Path(folder), settings)
        wrong = 0
        try:
            containers.remove()
            containers.start()
            for said, is_so in look(containers):
                wrong += not is_so
                print(f"{'ok' if is_so else 'WRONG'}: {said}", flush=True)
        except SystemExit:
            containers.show_logs()
            raise
        finally:
            containers.remove()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["docker"])))
