"""One origin on one machine: the four services' APIs in this process, and the tracker behind a proxy."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property

import orjson
from common.web.openapi import merge
from common.web.problems import answer
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from barid.proxy import Proxy
from barid.routing import service_of

_JSON = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]


class Gateway:
    """A raw ASGI application: it looks at the path and hands the request on, body and answer untouched."""

    def __init__(self, apps: Mapping[str, FastAPI], tracker: Proxy, public_url: str | None = None) -> None:
        self.apps = apps
        self.tracker = tracker
        self.public_url = public_url

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """The lifespans of all the applications."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.tracker)
            for app in self.apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        if scope["type"] != "http":
            return
        await self._app(scope["path"])(scope, receive, send)

    def _app(self, path: str) -> ASGIApp:
        service = service_of(path)
        if service is not None:
            return self.tracker if service == "tracker" else self.apps[service]
        own: dict[str, ASGIApp] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/v1/openapi.json": self._openapi,
            "/metrics": next(iter(self.apps.values())),  # one registry for the process
        }
        return own.get(path) or answer(404, "not_found", "Not found", "There is no such path")

    async def _healthz(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await _json(send, 200, b'{"status":"alive"}')

    async def _readyz(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ready when every service says so."""
        waiting = [service for service, app in self.apps.items() if await _status(app, scope, receive) != 200]
        body = orjson.dumps({"status": "not ready", "waiting_for": waiting} if waiting else {"status": "ready"})
        await _json(send, 503 if waiting else 200, body)

    async def _openapi(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await _json(send, 200, self._document)

    @cached_property
    def _document(self) -> bytes:
        return orjson.dumps(merge([app.openapi() for app in self.apps.values()], server=self.public_url or "/"))


async def _status(app: FastAPI, scope: Scope, receive: Receive) -> int:
    status = 503

    async def note(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    await app({**scope, "method": "GET", "path": "/readyz", "raw_path": b"/readyz"}, receive, note)
    return status


async def _json(send: Send, status: int, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*_JSON, length]})
    await send({"type": "http.response.body", "body": body})
