"""The rendered manifests of an overlay, and what the checks ask of them."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.deploy.tools import needed

ROOT = Path(__file__).resolve().parents[4]
TREE = ROOT / "deploy/k8s"
OVERLAYS = ("dev", "prod")
NAMESPACE = "barid"
CONTAINER = "barid"
LABEL = "app.kubernetes.io/name"

Doc = dict[str, Any]
Check = Callable[["Documents"], Iterator[str]]


@dataclass
class Documents:
    """All documents of one overlay."""

    overlay: str
    all: list[Doc]

    def of(self, *kinds: str) -> list[Doc]:
        """Those of some kinds."""
        return [one for one in self.all if one["kind"] in kinds]

    def named(self, kind: str, name: str) -> Doc | None:
        """The one of that kind and name."""
        return next((one for one in self.of(kind) if one["metadata"]["name"] == name), None)

    def workloads(self) -> list[Doc]:
        """What makes pods."""
        return self.of("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")

    def processes(self) -> list[Doc]:
        """Deployments of our own images."""
        return [one for one in self.of("Deployment") if "barid.dev/service" in labels(one)]

    def jobs(self) -> list[Doc]:
        """The release's Jobs."""
        return self.of("Job")

    def environment(self, workload: Doc) -> dict[str, str]:
        """What the container of a workload finds in its environment, from ConfigMaps too."""
        found: dict[str, str] = {}
        container = container_of(workload)
        for source in container.get("envFrom", []):
            found |= (self.named("ConfigMap", source["configMapRef"]["name"]) or {}).get("data", {})
        for variable in container.get("env", []):
            if "value" in variable:
                found[variable["name"]] = variable["value"]
            elif reference := variable.get("valueFrom", {}).get("configMapKeyRef"):
                data = (self.named("ConfigMap", reference["name"]) or {}).get("data", {})
                found[variable["name"]] = data.get(reference["key"], "")
        return found


def name_of(document: Doc) -> str:
    """Its name; that of a release's Job without the hash."""
    name: str = document["metadata"]["name"]
    return labels(document).get(LABEL, name) if document["kind"] == "Job" else name


def labels(document: Doc) -> dict[str, str]:
    """Its labels."""
    return document["metadata"].get("labels") or {}


def pod_of(workload: Doc) -> Doc:
    """The pod's spec."""
    return workload["spec"]["template"]["spec"]


def pod_labels(workload: Doc) -> dict[str, str]:
    """The pod's labels."""
    return workload["spec"]["template"]["metadata"].get("labels") or {}


def container_of(workload: Doc) -> Doc:
    """The first container; there is one."""
    return pod_of(workload)["containers"][0]


def files_of(workload: Doc) -> list[tuple[str, str, str]]:
    """(Secret, key, file) of everything mounted from Secrets."""
    found = []
    for volume in pod_of(workload).get("volumes", []):
        sources = [one["secret"] for one in volume.get("projected", {}).get("sources", []) if "secret" in one]
        for source in sources:
            found += [(source["name"], item["key"], item["path"]) for item in source["items"]]
        if "secret" in volume:
            found.append((volume["secret"]["secretName"], "*", "*"))
    return found


def matches(selector: Doc, wanted: dict[str, str]) -> bool:
    """Whether a label selector (matchLabels only) selects these labels."""
    return (selector.get("matchLabels") or {}).items() <= wanted.items()


def kustomize(folder: Path) -> str:
    """The rendered text. Raises CalledProcessError."""
    needed("kubectl")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def parsed(text: str) -> list[Doc]:
    """The documents of a rendered text."""
    return [one for one in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if one]


@cache
def rendered(overlay: str) -> str:
    """The text of an overlay as it is; once per process."""
    return kustomize(TREE / "overlays" / overlay)


def documents(overlay: str, tree: Path = TREE) -> Documents:
    """An overlay's documents, fresh to change. Of another tree: rendered anew."""
    text = rendered(overlay) if tree == TREE else kustomize(tree / "overlays" / overlay)
    return Documents(overlay, parsed(text))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the whole tree, to spoil."""
    return Path(shutil.copytree(TREE, tmp_path / "k8s"))
