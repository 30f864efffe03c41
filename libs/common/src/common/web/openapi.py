"""OpenAPI 3.1: what each service's document gets, and how the four become one."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from common.web.problems import MEDIA_TYPE, PROBLEM_REF, Problem

TITLE = "Barid"
DESCRIPTION = """Open-source, event-driven marketing operations: contacts and consent, campaigns, delivery, analytics.

Errors are problem documents (RFC 9457) with a stable `code`. Lists are pages by cursor. PATCH is JSON merge patch
(RFC 7396). POST takes an `Idempotency-Key`. Times are UTC (RFC 3339), ids are UUIDs."""

_REF = "#/components/schemas/"
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "one-minute ticket for event streams in browsers",
    },
}


def document(app: FastAPI) -> dict[str, Any]:
    """The app's OpenAPI document: FastAPI's, with problem documents, security and `Idempotency-Key`."""
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
    )
    found["info"]["x-service"] = getattr(app.state, "service", app.title)
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    _, extra = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
    schemas.update(extra["$defs"])
    components["securitySchemes"] = _SECURITY
    for _path, method, operation in operations(found):
        _complete(method, operation)
    return found


def _complete(method: str, operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    problem = {MEDIA_TYPE: {"schema": PROBLEM_REF}}
    if "HTTPValidationError" in str(responses.get("422")):
        # FastAPI says 422 for every parameter; here it is for payloads only.
        del responses["422"]
        places = {parameter["in"] for parameter in operation.get("parameters", ())}
        if "requestBody" in operation:
            responses["422"] = {"description": "The payload is not acceptable", "content": problem}
        if places - {"path"} or "requestBody" in operation:
            responses.setdefault(
                "400", {"description": "A parameter is wrong, or the body is no JSON", "content": problem}
            )
        if "path" in places:
            responses.setdefault("404", {"description": "There is no such thing in this workspace", "content": problem})
    responses.setdefault("default", {"description": "Any other problem", "content": problem})
    if not operation.get("security"):
        operation["security"] = []
        return
    responses.setdefault("401", {"description": "No valid bearer token", "content": problem})
    responses.setdefault("403", {"description": f"Needs the scope {operation['x-scope']}", "content": problem})
    if method == "post" and "multipart/form-data" not in operation.get("requestBody", {}).get("content", {}):
        operation.setdefault("parameters", []).append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "kept 24 h: the same request again gets the first answer",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )


def operations(found: Mapping[str, Any]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation of everything in a document."""
    for path, item in found.get("paths", {}).items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def merge(documents: Iterable[Mapping[str, Any]], *, server: str = "/") -> dict[str, Any]:
    """One document from several. Schemas of one name that differ get their service's name before theirs.

    Raises ValueError when two claim a path or an operation id.
    """
    merged: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "description": DESCRIPTION, "version": ""},
        "servers": [{"url": server}],
        "paths": {},
        "components": {"schemas": {}, "securitySchemes": {}},
    }
    ids: dict[str, str] = {}
    for found in _told_apart(list(documents)):
        merged["info"]["version"] = max(merged["info"]["version"], found["info"]["version"])
        for path, method, operation in operations(found):
            name = operation["operationId"]
            if name in ids:
                raise ValueError(f"operation id {name!r} is used twice: {ids[name]} and {method.upper()} {path}")
            ids[name] = f"{method.upper()} {path}"
        for path, item in found["paths"].items():
            if path in merged["paths"]:
                raise ValueError(f"two services serve {path}")
            merged["paths"][path] = item
        for kind in ("schemas", "securitySchemes"):
            merged["components"][kind] |= found.get("components", {}).get(kind, {})
    merged["paths"] = dict(sorted(merged["paths"].items()))
    merged["components"]["schemas"] = dict(sorted(merged["components"]["schemas"].items()))
    return merged


def _told_apart(documents: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The documents, with schemas renamed until one name means one thing (a renamed part changes its whole)."""
    while clashes := _clashes(documents):
        documents = [_renamed(found, clashes) for found in documents]
    return documents


def _clashes(documents: list[Mapping[str, Any]]) -> set[str]:
    known: dict[str, Any] = {}
    return {
        name
        for found in documents
        for name, schema in found.get("components", {}).get("schemas", {}).items()
        if known.setdefault(name, schema) != schema
    }


def _renamed(found: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    prefix = str(found["info"].get("x-service") or found["info"]["title"]).title().replace(" ", "")
    text = orjson.dumps(found)
    for name in names:
        text = text.replace(f'"{_REF}{name}"'.encode(), f'"{_REF}{prefix}{name}"'.encode())
    renamed: dict[str, Any] = orjson.loads(text)
    schemas = renamed.get("components", {}).get("schemas", {})
    renamed.setdefault("components", {})["schemas"] = {
        (prefix + name if name in names else name): schema for name, schema in schemas.items()
    }
    return renamed
