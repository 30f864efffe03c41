"""Checks by published schemas: Kubernetes' own for its kinds, and each operator's for its custom resources."""

import json
from collections.abc import Iterator
from functools import cache
from unittest import mock

import jsonschema
from filelock import FileLock
from kubernetes_validate import SchemaNotFoundError, ValidationError, utils, validate

from tests.contract.deploy.k8s.documents import Documents, name_of
from tests.contract.deploy.tools import absent
from tools import crds

# What the manifests may use beside Kubernetes' own kinds; anything else without a schema is an error.
GROUPS = (
    "kafka.strimzi.io/v1",
    "postgresql.cnpg.io/v1",
    "barmancloud.cnpg.io/v1",
    "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1",
)
# The oldest Kubernetes the manifests are for (`preStop.sleep`), and the newest whose schemas there are.
VERSIONS = ("1.30", "1.37")
_READ_ONCE = cache(utils.schema_contents)


def built_in(documents: Documents) -> Iterator[str]:
    """Kubernetes' own kinds, strictly: a field it does not know is an error."""
    for one in documents.all:
        if one["apiVersion"] in GROUPS:
            continue
        for version in VERSIONS:
            if wrong := _wrong(json.dumps(one), version):
                yield f"{one['kind']} {name_of(one)}: {wrong}"


@cache
def _wrong(document: str, version: str) -> str | None:
    # Kept by the document's text: overlays share most of theirs. The library reads its files anew for each document.
    made = json.loads(document)
    try:
        with mock.patch.object(utils, "schema_contents", _READ_ONCE):
            validate(made, version, strict=True)
    except SchemaNotFoundError:
        return f"no schema for {made['apiVersion']} in Kubernetes {version}"
    except ValidationError as error:
        return f"{error.json_path}: {error.message[:200]}"
    return None


def custom(documents: Documents) -> Iterator[str]:
    """Custom resources, by the schemas that their makers published; a field that is not declared is an error."""
    kinds = published().kinds
    for one in documents.all:
        if one["apiVersion"] in GROUPS:
            kind = f"{one['apiVersion']}/{one['kind']}"
            if kind not in kinds:
                yield f"{kind} {name_of(one)}: there is no such kind"
                continue
            for error in jsonschema.Draft202012Validator(kinds[kind]).iter_errors(one):
                yield f"{one['kind']} {name_of(one)}: {error.json_path}: {error.message[:200]}"


@cache
def published() -> crds.Published:
    """The operators' schemas; fetched by one process of the run, and kept."""
    crds.AREA.mkdir(parents=True, exist_ok=True)
    with FileLock(crds.AREA / "lock"):
        try:
            return crds.published()
        except crds.Unavailable as error:
            absent(str(error))
            raise


CHECKS = (built_in, custom)
