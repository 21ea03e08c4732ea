"""`deploy/kubernetes` is restricted and fits together; `make test-manifests` checks it against schemas."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from medkg_dagster_tests.conftest import REPOSITORY
from medkg_dagster_tests.deploy.test_docker import COMPOSE
from medkg_dagster_tests.deploy.test_docker import FOLDER as DOCKER

FOLDER = REPOSITORY / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "helm" / "values.yaml").read_text())
GUIDE = (REPOSITORY / "docs" / "guides" / "deployment.md").read_text()


def read() -> Iterator[dict[str, Any]]:
    for file in KUSTOMIZATION["resources"]:
        yield from yaml.safe_load_all((FOLDER / file).read_text())


RESOURCES = list(read())
(DEPLOYMENT,) = (resource for resource in RESOURCES if resource["kind"] == "Deployment")
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
RUNS: dict[str, Any] = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
PODS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "code": (POD["spec"]["securityContext"], CONTAINER),
    "webserver": (VALUES["dagsterWebserver"]["podSecurityContext"], VALUES["dagsterWebserver"]),
    "daemon": (VALUES["dagsterDaemon"]["podSecurityContext"], VALUES["dagsterDaemon"]),
    "run": (RUNS["runK8sConfig"]["podSpecConfig"]["securityContext"], RUNS),
}


def of(kind: str) -> list[dict[str, Any]]:
    return [resource for resource in RESOURCES if resource["kind"] == kind]


def test_every_manifest_is_in_the_kustomization() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yaml")}
    assert files == {*KUSTOMIZATION["resources"], "kustomization.yaml", "helm/values.yaml"}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_restricted_and_bounded(name: str) -> None:
    pod, container = PODS[name]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] == pod["runAsGroup"] == 10001
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_the_namespace_refuses_what_is_not_restricted() -> None:
    (namespace,) = of("Namespace")
    assert namespace["metadata"]["name"] == KUSTOMIZATION["namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_code_server_has_no_account_of_the_cluster() -> None:
    (account,) = of("ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert POD["spec"]["serviceAccountName"] == account["metadata"]["name"]


def test_the_code_server_does_what_that_of_the_compose_file_does() -> None:
    assert CONTAINER["args"] == COMPOSE["services"]["code"]["command"]
    assert "command" not in CONTAINER, (
        "arguments take the place of the command of the image, which has no entry point"
    )
    given = {variable["name"] for variable in CONTAINER["env"]}
    # A run carries out its steps in a pod of its own.
    of_workers = {"MEDKG_EXECUTOR", "MEDKG_CELERY_BROKER"}
    assert set(COMPOSE["services"]["code"]["environment"]) - of_workers <= given
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert CONTAINER[probe]["grpc"] == {"port": 4000, "service": "DagsterApi"}


def test_secrets_come_by_reference() -> None:
    assert not of("Secret")
    assert "secretGenerator" not in KUSTOMIZATION
    for variable in CONTAINER["env"]:
        if re.search(r"PASSWORD|URL|TOKEN|KEY", variable["name"]):
            assert set(variable) == {"name", "valueFrom"}
            assert variable["valueFrom"]["secretKeyRef"]["name"] == "medkg"
    assert VALUES["global"]["postgresqlSecretName"] == "medkg"
    assert VALUES["generatePostgresqlPasswordSecret"] is False
    assert "postgresqlPassword" not in VALUES["postgresql"]
    assert RUNS["envSecrets"] == [{"name": "medkg"}]
    text = "\n".join(path.read_text() for path in FOLDER.rglob("*.yaml"))
    assert not re.search(r"(?i)password:\s*\S|://[^/\s]+:[^/\s]+@", text)


def test_what_selects_finds_a_pod() -> None:
    ours = set(POD["metadata"]["labels"].items())
    # Of the chart, of dagster-k8s, and of the database.
    others = [
        {("component", "dagster-webserver")},
        {("component", "dagster-daemon")},
        {("app.kubernetes.io/component", "run_worker")},
        {("app.kubernetes.io/name", "postgresql")},
    ]
    assert set(DEPLOYMENT["spec"]["selector"]["matchLabels"].items()) <= ours
    (service,) = of("Service")
    assert set(service["spec"]["selector"].items()) <= ours
    selectors = [resource["spec"]["selector"] for resource in of("PodDisruptionBudget")]
    selectors += [resource["spec"]["podSelector"] for resource in of("NetworkPolicy")]
    for selector in selectors:
        wanted = set(selector.get("matchLabels", {}).items())
        for expression in selector.get("matchExpressions", ()):
            wanted |= {(expression["key"], expression["values"][0])}
        assert wanted <= ours or any(wanted <= other for other in others), selector


def test_ports_and_names_meet() -> None:
    (service,) = of("Service")
    (server,) = VALUES["dagsterWebserver"]["workspace"]["servers"]
    assert server == {"host": service["metadata"]["name"], "port": 4000, "name": "medkg_dagster"}
    assert service["spec"]["ports"] == [{"name": "grpc", "port": 4000, "targetPort": "grpc"}]
    assert CONTAINER["ports"] == [{"name": "grpc", "containerPort": 4000}]
    image = next(iter(KUSTOMIZATION["images"]))
    for part in (VALUES["dagsterWebserver"]["image"], VALUES["dagsterDaemon"]["image"]):
        assert (part["repository"], part["tag"]) == (image["newName"], image["newTag"])
    (claim,) = of("PersistentVolumeClaim")
    for volumes in (POD["spec"]["volumes"], RUNS["volumes"]):
        assert {"claimName": claim["metadata"]["name"]} in [
            volume.get("persistentVolumeClaim") for volume in volumes
        ]
    host = {"name": "MEDKG_WEBSERVER_HOSTS", "value": VALUES["ingress"]["dagsterWebserver"]["host"]}
    assert host in VALUES["dagsterWebserver"]["env"]


def test_nothing_speaks_with_anything_by_default() -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of("NetworkPolicy")}
    assert policies["nothing-by-default"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (rule,) = policies["runs-download"]["egress"]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(
        rule["to"][0]["ipBlock"]["except"]
    )


def test_the_webserver_of_the_chart_has_the_guard_and_a_password_before_it() -> None:
    started = (DOCKER / "dagster-webserver").read_text()
    assert started.endswith('exec python -m medkg_dagster.webserver "$@"\n')
    assert (DOCKER / "dagster-webserver").stat().st_mode & 0o111
    assert "ENV PATH=/opt/medkg/bin:" in (DOCKER / "Dockerfile").read_text()
    assert VALUES["ingress"]["annotations"]["nginx.ingress.kubernetes.io/auth-type"] == "basic"
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        asked = VALUES["dagsterWebserver"][probe]["httpGet"]
        assert asked["httpHeaders"] == [{"name": "Host", "value": "localhost"}], (
            "the guard refuses other names"
        )


def test_kustomize_builds_it_with_one_image() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl")
    built = subprocess.run([kubectl, "kustomize", FOLDER], capture_output=True, text=True, check=True).stdout
    resources = list(yaml.safe_load_all(built))
    assert len(resources) == len(RESOURCES)
    assert {resource["metadata"].get("namespace") for resource in resources} == {None, "medkg"}
    assert len(set(re.findall(r"\S+/medkg-dagster:\S+", built))) == 1
    assert len(re.findall(r"registry.example.org/medkg-dagster:0.1.0", built)) == 2


def test_the_guide_names_every_file() -> None:
    for path in FOLDER.rglob("*.yaml"):
        assert f"`{path.relative_to(FOLDER)}`" in GUIDE, path
