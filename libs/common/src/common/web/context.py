"""Pure ASGI middleware: trace context, metrics, security headers, and the answer to errors nobody foresaw."""

import time

import structlog
from opentelemetry.trace import SpanKind
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import TooLarge
from common.metrics import HTTP_SECONDS
from common.telemetry import current_trace_id, span
from common.web.problems import MEDIA_TYPE, answer_crash, answer_error

_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HSTS = "max-age=63072000; includeSubDomains"


class RequestContext:
    """Outermost: one span per request, its trace id in a header, one observation, security headers by default."""

    def __init__(self, app: ASGIApp, *, service: str, https_only: bool) -> None:
        self.app = app
        self.service = service
        self.headers = {**_SECURITY, "Strict-Transport-Security": _HSTS} if https_only else _SECURITY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        parent = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"traceparent"), None)
        begin = time.perf_counter()
        status = 500

        structlog.contextvars.clear_contextvars()  # the route binds the workspace
        attributes = {"barid.service": self.service}
        with span(f"HTTP {scope['method']}", parent=parent, kind=SpanKind.SERVER, attributes=attributes) as current:
            trace_id = current_trace_id() or ""

            async def send_with_headers(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    headers = MutableHeaders(scope=message)
                    for name, value in self.headers.items():
                        headers.setdefault(name, value)
                    headers["X-Trace-Id"] = trace_id
                await send(message)

            try:
                await self.app(scope, receive, send_with_headers)
            finally:
                # The template, not the path, and known methods: bounded, and without anybody's id or token.
                route = getattr(scope.get("route"), "path", "unmatched")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                HTTP_SECONDS.labels(self.service, method, route, str(status)).observe(time.perf_counter() - begin)
                if current.is_recording():
                    current.update_name(f"{scope['method']} {route}")
                    current.set_attribute("http.route", route)
                    current.set_attribute("http.response.status_code", status)


class CatchAll:
    """Innermost: what nobody foresaw becomes a problem document, inside CORS so that browsers may read it.

    So does the plain text with which the framework refuses a body that is too large.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        started = refused = False

        async def watch(message: Message) -> None:
            nonlocal started, refused
            if message["type"] == "http.response.start":
                refused = message["status"] == TooLarge.status and not _is_problem(message)
                started = True
                if refused:
                    await answer_error(TooLarge())(scope, receive, send)
            if not refused:
                await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            if scope["type"] != "http" or started:
                raise
            await answer_crash(error)(scope, receive, send)


def _is_problem(message: Message) -> bool:
    return MutableHeaders(scope=message).get("content-type") == MEDIA_TYPE
