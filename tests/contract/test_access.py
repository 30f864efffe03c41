"""Who may call what: every route has an owner of the question, roles × routes is data that people review."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from common.ids import new_id
from common.web.roles import ROLES
from common.web.route import ServiceRoute
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from tests.contract.services import SERVICES
from tests.contract.world import Operation, build_app, operations_of
from tests.fixtures.databases import service_database

MATRIX = Path(__file__).parent / "role_matrix.json"
# Paths without a login: forms, preferences, web pages, inbound, open, click, unsubscribe, view, provider events, and
# public keys.
PUBLIC = (
    "/.well-known/jwks.json",
    "/f/",
    "/p/",
    "/t/",
    "/in/",
    "/o/",
    "/c/",
    "/u/",
    "/b/",
    "/provider/",
    "/v1/tokens/jwks.json",
)
PLUMBING = {"/healthz", "/readyz", "/metrics", "/v1/openapi.json"}


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest_asyncio.fixture
async def app(service: str, postgres: Any, keys: Any, service_env: Callable[..., Any]) -> AsyncIterator[FastAPI]:
    async with service_database(postgres, service) as database:
        service_env(service, database, BARID_TOKEN_SIGNING_KEY=keys.private)
        app = build_app(service)
        async with app.router.lifespan_context(app):
            yield app


def client(app: FastAPI, token: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers, timeout=30)


def somewhere(operation: Operation) -> str:
    path = operation.path
    for name in operation.path_parameters:
        path = path.replace(f"{{{name}}}", str(new_id()))
    return path


def test_every_mounted_route_has_an_access_class_and_is_in_the_document(app: FastAPI) -> None:
    documented = {(operation.method, operation.path) for operation in operations_of(app)}
    for context in iter_route_contexts(app.routes):
        route, path = context.original_route, context.path
        if path in PLUMBING:
            continue
        assert isinstance(route, APIRoute), f"{path} is mounted past FastAPI"
        assert isinstance(route, ServiceRoute) or path.startswith(PUBLIC), f"{path} asks nobody for a token"
        for method in route.methods or ():
            assert (method.lower(), path) in documented, f"{method} {path} is not in the OpenAPI document"


def test_operation_ids_are_verb_and_noun_and_unique(app: FastAPI) -> None:
    ids = [operation.id for operation in operations_of(app)]
    assert len(ids) == len(set(ids))
    for name in ids:
        assert name == name.lower()
        assert "_" in name, f"{name} is no <verb>_<noun>"


async def test_without_a_token_it_is_401(app: FastAPI, keys: Any) -> None:
    expired = keys.token(new_id(), ttl_s=-60)
    for token in (None, expired):
        async with client(app, token) as anonymous:
            for operation in operations_of(app):
                if operation.public:
                    assert operation.path.startswith(PUBLIC), f"{operation.path} is public"
                    continue
                response = await anonymous.request(operation.method, somewhere(operation), content=b"{")
                assert response.status_code == 401, operation.id
                assert response.headers["content-type"] == "application/problem+json"


async def test_roles_may_do_what_the_matrix_says_and_nothing_else(app: FastAPI, keys: Any) -> None:
    """Through the routes themselves: 403 or not, role by role."""
    matrix = json.loads(MATRIX.read_text())
    real: dict[str, list[str]] = {operation.id: [] for operation in operations_of(app) if not operation.public}
    for role in ROLES:
        async with client(app, keys.token(new_id(), role=role)) as caller:
            for operation in operations_of(app):
                if operation.public:
                    continue
                response = await caller.request(operation.method, somewhere(operation))
                assert response.status_code != 401, operation.id
                if response.status_code != 403:
                    real[operation.id].append(role)
    assert real == {name: matrix.get(name, "add it to role_matrix.json") for name in real}


async def test_a_viewer_changes_nothing(app: FastAPI, keys: Any) -> None:
    """Whatever the matrix says: a viewer's writes are 403, except questions that are asked by POST."""
    asked_by_post = {"preview_campaign", "preview_segment", "explain_segment", "classify_bounce"}
    async with client(app, keys.token(new_id(), role="viewer")) as viewer:
        for operation in operations_of(app):
            asked = operation.id in asked_by_post or operation.id.endswith("_progress_ticket")
            if operation.public or operation.method == "get" or asked:
                continue
            response = await viewer.request(operation.method, somewhere(operation))
            assert (response.status_code, response.json()["code"]) == (403, "forbidden"), operation.id


def test_the_matrix_lists_no_route_that_is_gone(service_env: Callable[..., Any]) -> None:
    from tools.docs import app as documented

    known = {one.id for service in SERVICES for one in operations_of(documented(service)) if not one.public}
    assert set(json.loads(MATRIX.read_text())) == known
