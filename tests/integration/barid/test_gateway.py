import asyncio
from importlib import import_module

import httpx
import pytest
from barid.gateway import Gateway
from barid.provision import SERVICES
from barid.proxy import Proxy
from barid.routing import PUBLIC, RESOURCES, TRACKER, service_of
from common.web.server import serve
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.requests import Request
from starlette.responses import Response

from tests.fixtures.stack import free_port


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/v1/contacts", "contacts"),
        ("/v1/contacts/x/y", "contacts"),
        ("/v1/privacy-requests", "contacts"),
        ("/v1/campaigns/1/balance", "campaigns"),
        ("/v1/messages", "delivery"),
        ("/v1/leads/1/score", "analytics"),
        ("/o/t.gif", "tracker"),
        ("/u/t", "tracker"),
        ("/f/form", "contacts"),
        ("/provider/x", "delivery"),
        ("/v1/unknown", None),
        ("/v1", None),
        ("/", None),
        ("/unknown", None),
        ("/contacts", None),
    ],
)
def test_paths_belong_to_services(path: str, service: str | None) -> None:
    assert service_of(path) == service


def test_no_path_belongs_to_two_services() -> None:
    for table in (RESOURCES, {**PUBLIC, "tracker": TRACKER}):
        names = [name for names in table.values() for name in names]
        assert len(names) == len(set(names))


def named_app(name: str) -> FastAPI:
    app = FastAPI(openapi_url="/v1/openapi.json")
    app.state.ready = True

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        return Response(status_code=200 if app.state.ready else 503)

    @app.api_route(f"/v1/{RESOURCES[name][0]}/echo", methods=["POST"], operation_id=f"echo_{name}")
    async def echo(request: Request) -> dict[str, str]:
        return {"service": name, "body": (await request.body()).decode(), "query": request.url.query}

    return app


async def tracker(scope, receive, send) -> None:
    """Says what it got, in two parts."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    if scope["path"].startswith("/c/"):
        await send({"type": "http.response.start", "status": 302, "headers": [(b"location", b"https://x.example/")]})
        await send({"type": "http.response.body", "body": b""})
        return
    told = f"{scope['method']} {scope['raw_path'].decode()}?{scope['query_string'].decode()} {body.decode()}"
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"x-agent", headers.get("user-agent", "").encode())],
        }
    )
    await send({"type": "http.response.body", "body": told.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": f" for {headers.get('x-forwarded-for')}".encode()})


@pytest.fixture
async def gateway():
    port = free_port()
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(tracker, "127.0.0.1", port, stop))
    apps = {name: named_app(name) for name in SERVICES}
    made = Gateway(apps, Proxy(f"http://127.0.0.1:{port}"), "https://barid.example")
    async with made.lifespan():
        transport = httpx.ASGITransport(app=made, client=("198.51.100.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            for _ in range(100):
                if (await client.get("/o/x")).status_code == 200:
                    break
                await asyncio.sleep(0.02)
            yield client, apps, stop, serving
    stop.set()
    await serving


async def test_requests_reach_their_service_whole(gateway) -> None:
    client, *_ = gateway
    for service in SERVICES:
        answer = await client.post(f"/v1/{RESOURCES[service][0]}/echo?a=%2F", content="سلام")
        assert answer.json() == {"service": service, "body": "سلام", "query": "a=%2F"}


async def test_the_tracker_gets_method_path_query_body_and_who_asked(gateway) -> None:
    client, *_ = gateway
    answer = await client.post("/u/tok%2Fen?x=%20y", content="List-Unsubscribe=One-Click", headers={"User-Agent": "me"})
    assert answer.text == "POST /u/tok%2Fen?x=%20y List-Unsubscribe=One-Click for 198.51.100.7"
    assert answer.headers["x-agent"] == "me"
    answer = await client.get("/c/token", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (answer.status_code, answer.headers["location"]) == (302, "https://x.example/")
    answer = await client.get("/o/token", headers={"X-Forwarded-For": "203.0.113.9"})
    assert answer.text.endswith("for 198.51.100.7"), "what a client says of itself does not count"


async def test_without_the_tracker_the_answer_is_503_and_the_apis_go_on(gateway) -> None:
    client, _, stop, serving = gateway
    stop.set()
    await serving
    answer = await client.get("/o/x")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.post("/v1/contacts/echo")).status_code == 200


async def test_ready_when_all_are(gateway) -> None:
    client, apps, *_ = gateway
    assert (await client.get("/readyz")).status_code == 200
    apps["delivery"].state.ready = False
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["waiting_for"]) == (503, ["delivery"])
    assert (await client.get("/healthz")).status_code == 200


async def test_one_document_for_all_and_a_problem_for_nobodys_path(gateway) -> None:
    client, *_ = gateway
    document = (await client.get("/v1/openapi.json")).json()
    assert {f"/v1/{RESOURCES[name][0]}/echo" for name in SERVICES} <= set(document["paths"])
    assert document["servers"] == [{"url": "https://barid.example"}]
    answer = await client.get("/v1/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_of_every_service_is_reached_through_the_table(service: str, keys, monkeypatch) -> None:
    from tests.fixtures.access import LINK_KEYS, PEPPER

    for name, value in {
        "BARID_TOKEN_KEYS": keys.public, "BARID_TOKEN_SIGNING_KEY": keys.private, "BARID_LINK_KEYS": LINK_KEYS,
        "BARID_PEPPER": PEPPER, f"{service.upper()}_API_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    app = import_module(f"{service}.main").create_app(import_module(f"{service}.settings").Settings())
    paths = {found.path for found in iter_route_contexts(app.routes)} | set(app.openapi()["paths"])
    own = {"/healthz", "/readyz", "/metrics", "/v1/openapi.json"}
    assert len(paths - own) > 1
    assert {path for path in paths - own if service_of(path) != service} == set()
