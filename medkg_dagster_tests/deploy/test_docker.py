"""`deploy/docker` is hardened as its guide says; `make test-deploy` builds and runs it."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from medkg_dagster_tests.conftest import REPOSITORY
from medkg_dagster_tests.deploy.dockerfile import Instruction, instructions, stages

FOLDER = REPOSITORY / "deploy" / "docker"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GUIDE = (REPOSITORY / "docs" / "guides" / "deployment.md").read_text()
# An image with a whole version in its tag, or with a digest.
EXACT = re.compile(r"[\w./-]+:(?:[\w.-]*\d+\.\d+[\w.-]*)(?:@sha256:[0-9a-f]{64})?")
SECRET = re.compile(r"(?i)(password|passwd|secret|token|api_?key|credential)")
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("${MEDKG_IMAGE")}


def named(name: str, among: list[Instruction]) -> list[str]:
    return [instruction.value for instruction in among if instruction.name == name]


def test_base_images_are_named_exactly() -> None:
    (base,) = named("ARG", instructions(DOCKERFILE)[:1])
    assert EXACT.fullmatch(base.removeprefix("PYTHON_IMAGE="))
    assert {stage[0].value.split()[0] for stage in stages(DOCKERFILE)} == {"${PYTHON_IMAGE}"}


def test_what_builds_is_not_in_the_image() -> None:
    build, final = stages(DOCKERFILE)
    copied = [value for value in named("COPY", final) if value.startswith("--from=build")]
    assert copied == ["--from=build /opt/medkg/venv /opt/medkg/venv"]
    assert any("pip" in value for value in named("RUN", build))
    assert not any("pip" in value for value in named("RUN", final))


def test_the_image_runs_as_a_user_without_rights() -> None:
    final = stages(DOCKERFILE)[-1]
    (user,) = named("USER", final)
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    copies = [index for index, instruction in enumerate(final) if instruction.name in {"COPY", "ADD"}]
    assert max(copies) < [instruction.name for instruction in final].index("USER"), "files belong to root"
    assert not any("--chown" in value for value in named("COPY", final))


def test_the_plugins_are_checked_when_the_image_is_built() -> None:
    final = stages(DOCKERFILE)[-1]
    assert any("MEDKG_STRICT=1" in value for value in named("ENV", final))
    after = final[[instruction.name for instruction in final].index("USER") :]
    assert any("medkg check" in value for value in named("RUN", after))


def test_commands_are_in_exec_form_so_that_signals_reach_them() -> None:
    final = stages(DOCKERFILE)[-1]
    for name in ("CMD", "HEALTHCHECK"):
        (found,) = (instruction for instruction in final if instruction.name == name)
        assert found.words, name
    assert not named("ENTRYPOINT", final)


def test_nothing_is_fetched_but_locked_packages() -> None:
    assert not named("ADD", instructions(DOCKERFILE))
    assert not re.search(r"https?://|curl|wget", "\n".join(named("RUN", instructions(DOCKERFILE))))
    for file in ("requirements.lock", "build.lock"):
        assert f'--require-hashes", "--requirement", "deploy/docker/{file}' in DOCKERFILE
        locked = re.split(r"\n(?=\S)", (FOLDER / file).read_text().strip())
        assert all("==" in one and "--hash=sha256:" in one for one in locked)


def test_no_secret_is_in_the_image() -> None:
    for name in ("ARG", "ENV", "LABEL"):
        assert not [value for value in named(name, instructions(DOCKERFILE)) if SECRET.search(value)]
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert {"*", "deploy/docker/.env", "deploy/docker/secrets"} <= set(ignored)


def test_the_image_has_what_the_package_asks_for_at_the_versions_that_are_tested() -> None:
    def versions(file: Path) -> dict[str, str]:
        found = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;\\]+)", file.read_text(), re.MULTILINE)
        return {canonicalize_name(name): version for name, version in found}

    held, tested = versions(FOLDER / "requirements.lock"), versions(REPOSITORY / "requirements.lock")
    assert {name: version for name, version in held.items() if tested.get(name, version) != version} == {}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["ui"], *extras["postgresql"], *extras["serve"]]
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(held[canonicalize_name(requirement.name)]), requirement
    assert held["dagster"] == importlib.metadata.version("dagster")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    assert "privileged" not in service
    assert not any(
        "docker.sock" in volume for volume in service.get("volumes", ()) if isinstance(volume, str)
    )
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_whether_it_is_well(name: str) -> None:
    service = SERVICES[name]
    if service["restart"] == "no":
        assert "healthcheck" not in service, "it ends by itself"
        return
    kind, *command = service["healthcheck"]["test"]
    assert kind == "CMD", "no shell is needed to ask"
    assert command
    for key in ("interval", "timeout", "retries"):
        assert key in service["healthcheck"], key


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_is_well_or_done(name: str) -> None:
    for other, waited in SERVICES[name].get("depends_on", {}).items():
        done = SERVICES[other]["restart"] == "no"
        assert waited == {"condition": "service_completed_successfully" if done else "service_healthy"}


@pytest.mark.parametrize("name", SERVICES)
def test_images_of_others_are_named_exactly_and_ours_is_built_here(name: str) -> None:
    service = SERVICES[name]
    if name in OURS:
        assert (FOLDER / service["build"]["context"]).resolve() == REPOSITORY
        assert (REPOSITORY / service["build"]["dockerfile"]).is_file()
    else:
        assert EXACT.fullmatch(service["image"])


def test_secrets_come_by_reference() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable) or "://" in value:
                assert "${" in value, f"{name}: {variable}"
    ignored = (REPOSITORY / ".gitignore").read_text().splitlines()
    assert {"deploy/docker/.env", "deploy/docker/secrets/"} <= set(ignored)
    example = (FOLDER / "env.example").read_text()
    assert not [
        line
        for line in example.splitlines()
        if SECRET.search(line) and not line.endswith("=") and line[0] != "#"
    ]


def test_every_variable_of_the_compose_file_is_in_its_example_or_has_a_default() -> None:
    used = re.findall(r"\$\{(\w+)(:-)?", (FOLDER / "compose.yaml").read_text())
    written = set(re.findall(r"^(\w+)=", (FOLDER / "env.example").read_text(), re.MULTILINE))
    assert {name for name, default in used if not default} <= written


def test_only_the_proxy_can_be_reached_and_by_default_from_this_machine() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"proxy"}
    assert SERVICES["proxy"]["ports"] == ["${MEDKG_LISTEN:-127.0.0.1}:${MEDKG_PORT:-8443}:8443"]
    on = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert "inside" not in on["proxy"], "the database is out of its reach"
    assert {name for name, networks in on.items() if "outside" in networks} == {"code", "worker", "proxy"}
    assert all(COMPOSE["networks"][name]["internal"] for name in ("inside", "front"))


def test_the_webserver_is_reached_through_its_guard_and_by_who_has_a_password() -> None:
    assert SERVICES["webserver"]["command"][:3] == ["python", "-m", "medkg_dagster.webserver"]
    nginx = (FOLDER / "nginx.conf").read_text()
    passed = re.findall(r"location [^{]+\{[^}]*proxy_pass[^}]*\}", nginx)
    assert passed
    assert all("auth_basic_user_file /run/secrets/users;" in block for block in passed)
    assert all("proxy_set_header X-Forwarded-User $remote_user;" in block for block in passed)
    assert not re.findall(r"^\s*listen (?!8443 ssl;)", nginx, re.MULTILINE)


def test_the_webserver_takes_the_name_that_the_proxy_has_put_in_place_of_any_other() -> None:
    header = SERVICES["webserver"]["environment"]["MEDKG_WEBSERVER_ACTOR_HEADER"]
    nginx = (FOLDER / "nginx.conf").read_text()
    assert re.findall(rf"proxy_set_header {header} (\S+);", nginx) == ["$remote_user"]


def test_the_code_server_is_the_command_of_the_image() -> None:
    final = stages(DOCKERFILE)[-1]
    (command,) = (instruction for instruction in final if instruction.name == "CMD")
    (health,) = (instruction for instruction in final if instruction.name == "HEALTHCHECK")
    assert SERVICES["code"]["command"] == command.words
    assert SERVICES["code"]["healthcheck"]["test"] == ["CMD", *(health.words or [])]


def test_the_guide_names_every_file_and_service() -> None:
    for file in FOLDER.iterdir():
        if file.name not in {".env", "secrets"}:
            assert f"`{file.name}`" in GUIDE, file.name
    for name in SERVICES:
        assert f"`{name}`" in GUIDE, name
