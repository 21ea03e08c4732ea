"""Checks `deploy/kubernetes` against the schemas of Kubernetes, strictly: `make test-manifests`.

Of the values for the Helm chart it checks what the chart hands on as it stands: security contexts, resources,
probes, volumes and mounts, as parts of a pod made of them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "kubernetes"
VERSIONS = ("1.32", "1.34", "1.36", "1.37")
HANDED_ON = (
    "resources",
    "readinessProbe",
    "livenessProbe",
    "startupProbe",
    "volumeMounts",
    "securityContext",
)


def main() -> int:
    """Check everything against each version; return the exit code."""
    built = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - ours
    if built.returncode:
        sys.exit(built.stderr)
    resources = [
        *yaml.safe_load_all(built.stdout),
        *_pods(yaml.safe_load((FOLDER / "helm" / "values.yaml").read_text())),
    ]
    wrong = 0
    for version in VERSIONS:
        for resource in resources:
            name = f"{resource['kind']} {resource['metadata']['name']}"
            try:
                kubernetes_validate.validate(resource, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                wrong += 1
                print(f"WRONG in {version}: {name}: {error.message}")
        print(f"{len(resources)} resources looked at, Kubernetes {version}", flush=True)
    return 1 if wrong else 0


def _pods(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a pod for each part of the chart, of what is handed on to it."""
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    parts = {
        "webserver": values["dagsterWebserver"],
        "daemon": values["dagsterDaemon"],
        "run": {
            **launcher,
            "podSecurityContext": launcher["runK8sConfig"]["podSpecConfig"]["securityContext"],
        },
    }
    for name, part in parts.items():
        container = {key: part[key] for key in HANDED_ON if key in part}
        if "startupProbe" in container:
            container["startupProbe"] = {
                key: value for key, value in container["startupProbe"].items() if key != "enabled"
            }
        if isinstance(part.get("env"), list):
            container["env"] = part["env"]
        container["envFrom"] = [{"secretRef": secret} for secret in part.get("envSecrets", ())]
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "securityContext": part["podSecurityContext"],
                "volumes": part["volumes"],
                "containers": [{"name": name, "image": "x", **container}],
            },
        }


if __name__ == "__main__":
    sys.exit(main())
