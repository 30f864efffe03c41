"""Passing a request on to another process of this machine, as a stream."""

from collections.abc import AsyncIterator

import aiohttp
from common.web.problems import answer
from starlette.types import Receive, Scope, Send
from yarl import URL

# RFC 9110 §7.6.1: these speak of one connection only.
_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)


class Proxy:
    """An ASGI application that answers with what another server answers."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Proxy":
        """Open the connections."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=30),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on. 503 when the other side is not there."""
        assert self._http is not None  # noqa: S101
        started = False
        try:
            async with self._http.request(
                scope["method"],
                URL(self.origin + _target(scope), encoded=True),
                headers=_headers(scope),
                data=_body(receive) if _has_body(scope) else None,
                allow_redirects=False,
            ) as reply:
                headers = [(name.lower(), value) for name, value in reply.raw_headers if name.lower() not in _HOP]
                await send({"type": "http.response.start", "status": reply.status, "headers": headers})
                started = True
                async for chunk in reply.content.iter_any():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, TimeoutError, OSError):
            if started:
                raise
            problem = answer(
                503, "unavailable", "Unavailable", "The tracker does not answer", headers={"Retry-After": "2"}
            )
            await problem(scope, receive, send)


def _target(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (raw.partition(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")


def _headers(scope: Scope) -> list[tuple[str, str]]:
    client = scope.get("client")
    kept = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in scope["headers"]
        if name not in _HOP and name not in (b"content-length", b"x-forwarded-for")
    ]
    return [*kept, *([("X-Forwarded-For", client[0])] if client else [])]


def _has_body(scope: Scope) -> bool:
    names = {name for name, _ in scope["headers"]}
    return b"transfer-encoding" in names or any(
        name == b"content-length" and value != b"0" for name, value in scope["headers"]
    )


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return
