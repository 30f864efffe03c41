"""`/healthz`, `/readyz` and `/metrics` of a process that serves nothing else, on BARID_HEALTH_PORT."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.bus import open_producer
from common.db.pool import Database
from common.db.schema import UnfitSchema, schema_of
from common.settings import ServiceSettings, SharedSettings
from common.web.server import listen, serve_on

READY_S = 2.0

# What a process cannot work without. Those not named here serve HTTP themselves, or are run by hand.
NEEDS: Mapping[str, frozenset[str]] = {
    "worker": frozenset({"database", "bus"}),
    "relay": frozenset({"database", "bus"}),
    "jobs": frozenset({"database"}),
    "mailer": frozenset({"database"}),
    "inbound": frozenset({"database"}),
}

Check = Callable[[], Awaitable[object]]

log = structlog.get_logger(__name__)


@asynccontextmanager
async def health(shared: SharedSettings, processes: Sequence[tuple[str, str, ServiceSettings]]) -> AsyncIterator[None]:
    """Answer while the block runs, for `(service, process, its settings)`. Raises Misconfigured for a taken port."""
    needing = [(service, process, settings) for service, process, settings in processes if process in NEEDS]
    if shared.health_port is None or not needing:
        yield
        return
    # Bound before anything of the process runs: a taken port ends the start.
    listener = listen(shared.health_host, shared.health_port, "BARID_HEALTH_PORT")
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        parts: dict[str, Check] = {}
        for service, settings in {service: settings for service, _, settings in needing}.items():
            name = f"{service} health"
            url = settings.require_url("worker")
            database = await Database.open(url, name=name, max_size=1, statement_timeout_s=READY_S)
            stack.push_async_callback(database.close)
            parts[f"{service} database"] = _fits(database, service)
        if any("bus" in NEEDS[process] for _, process, _ in needing):
            parts["bus"] = (await stack.enter_async_context(open_producer(shared))).ready
        ended = asyncio.Event()
        serving = asyncio.create_task(serve_on(Health(parts), listener, ended), name="health")
        try:
            yield
        finally:
            ended.set()
            await serving


class Health:
    """The application. `parts` raise when what they ask does not answer."""

    def __init__(self, parts: Mapping[str, Check]) -> None:
        self._parts = {name: _Part(name, check) for name, check in parts.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        answer = await self._answer(scope["method"], scope["path"])
        await answer(scope, receive, send)

    async def _answer(self, method: str, path: str) -> Response:
        if path not in {"/healthz", "/readyz", "/metrics"}:
            return _problem(404, "not_found", "Not found", "There is nothing at this address")
        if method not in {"GET", "HEAD"}:
            detail = "Health is only read"
            return _problem(405, "method_not_allowed", "Method Not Allowed", detail, headers={"Allow": "GET, HEAD"})
        if path == "/metrics":
            return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
        if path == "/healthz":
            return Response(b'{"status":"alive"}', media_type="application/json")
        return await self._readiness()

    async def _readiness(self) -> Response:
        answers = await asyncio.gather(*(part.answers() for part in self._parts.values()))
        missing = {name: why for name, why in zip(self._parts, answers, strict=True) if why is not None}
        if not missing:
            return Response(b'{"status":"ready"}', media_type="application/json")
        detail = "; ".join(missing.values())
        return _problem(
            503, "not_ready", "Not ready", detail[0].upper() + detail[1:], {"parts": [*missing]}, {"Retry-After": "2"}
        )


class _Part:
    """One thing the process needs. Probes that come together share a question, so that none pile up."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._asking: asyncio.Task[str | None] | None = None

    async def answers(self) -> str | None:
        """What is wrong with it, if anything. What hangs longer than READY_S is given up, and not waited for."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name=f"health {self._name}")
        asking = self._asking
        await asyncio.wait({asking}, timeout=READY_S)
        if asking.done() and not asking.cancelled():
            return asking.result()
        asking.cancel()
        if self._asking is asking:
            self._asking = None
        return f"the {self._name} does not answer"

    async def _ask(self) -> str | None:
        try:
            await self._check()
        except UnfitSchema as error:
            log.warning("not_ready", part=self._name, error=error.message)
            return error.message
        except Exception as error:
            log.warning("not_ready", part=self._name, error=type(error).__name__)
            return f"the {self._name} does not answer"
        return None


def _fits(database: Database, service: str) -> Check:
    """It answers, and has not been migrated to what this code cannot run on."""

    async def check() -> None:
        async with database.connection() as connection:
            await schema_of(service).check(connection)

    return check


def _problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    # As common.web.problems writes it, without the framework, which most of these processes do not load.
    body = {
        "type": f"https://barid.dev/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "params": params or {},
        "mend": None,
        "trace_id": None,
        "errors": [],
    }
    return Response(orjson.dumps(body), status, dict(headers or {}), "application/problem+json")
