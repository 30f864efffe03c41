"""Ways to plant a fault in the rendered manifests."""

from collections.abc import Callable
from typing import Any

from tests.contract.deploy.k8s import scaling, schemas, settings
from tests.contract.deploy.k8s.documents import Doc, Documents, container_of, name_of

Spoil = Callable[[Documents], Any]


def one(kind: str, name: str, do: Callable[[Doc], Any]) -> Spoil:
    """Change one document."""

    def spoil(all_: Documents) -> None:
        (found,) = [document for document in all_.of(kind) if name_of(document) == name]
        do(found)

    return spoil


def deployment(name: str, do: Callable[[Doc], Any]) -> Spoil:
    return one("Deployment", name, do)


def inside(name: str, do: Callable[[Doc], Any], kind: str = "Deployment") -> Spoil:
    return one(kind, name, lambda document: do(container_of(document)))


def gone(kind: str, name: str) -> Spoil:
    return lambda all_: all_.all.remove(next(d for d in all_.of(kind) if name_of(d) == name))


def more(document: Doc) -> Spoil:
    return lambda all_: all_.all.append(document)


def config(name: str, value: str) -> Spoil:
    def spoil(all_: Documents) -> None:
        (found,) = [one for one in all_.of("ConfigMap") if settings.is_named(one, "barid-config")]
        found["data"][name] = value

    return spoil


def env(name: str, value: str) -> Callable[[Doc], None]:
    def add(container: Doc) -> None:
        rest = [one for one in container.get("env", []) if one["name"] != name]
        container["env"] = [*rest, {"name": name, "value": value}]

    return add


def acl(kind: str, name: str, *operations: str) -> Callable[[Doc], None]:
    resource = {"type": kind, "name": name, "patternType": "literal"}
    return lambda user: user["spec"]["authorization"]["acls"].append(
        {"resource": resource, "operations": list(operations)}
    )


def trigger(do: Callable[[Doc], Any], name: str = "analytics-scoring") -> Spoil:
    return one("ScaledObject", name, lambda scaler: do(scaler["spec"]["triggers"][0]["metadata"]))


def backend(path: str, name: str) -> Callable[[Doc], None]:
    def change(ingress: Doc) -> None:
        paths = ingress["spec"]["rules"][0]["http"]["paths"]
        next(one for one in paths if one["path"] == path)["backend"]["service"]["name"] = name

    return change


def published_triggers(all_: Documents) -> Any:
    return scaling.triggers(all_, schemas.published())
