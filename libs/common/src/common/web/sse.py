"""Server-sent events: ids for `Last-Event-ID`, heartbeats, and a one-minute ticket, as browsers send no header."""

import asyncio
import base64
import hmac
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from fastapi import Request
from fastapi.responses import StreamingResponse

from common.errors import Unauthorized
from common.web.tokens import Principal

TICKET_S = 60
HEARTBEAT_S = 15.0
_PURPOSE = b"barid stream ticket v1\0"


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a stream. `id` comes back as `Last-Event-ID` when the browser connects again."""

    data: Any
    event: str = "progress"
    id: str | None = None

    def encode(self) -> bytes:
        """As it goes over the wire."""
        lines = [f"event: {self.event}"]
        if self.id is not None:
            lines.append(f"id: {self.id}")
        return "\n".join(lines).encode() + b"\ndata: " + orjson.dumps(self.data, default=str) + b"\n\n"


def last_event_id(request: Request) -> str | None:
    """Where a browser that connects again wants to go on."""
    return request.headers.get("last-event-id") or request.query_params.get("last_event_id")


def stream(events: AsyncIterator[ServerEvent], *, heartbeat_s: float = HEARTBEAT_S) -> StreamingResponse:
    """A response that sends events as they come, and a comment when none came for a while."""
    return StreamingResponse(
        _with_heartbeat(events, heartbeat_s),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _with_heartbeat(events: AsyncIterator[ServerEvent], heartbeat_s: float) -> AsyncIterator[bytes]:
    yield b": open\n\n"
    pending: asyncio.Future[ServerEvent] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({pending}, timeout=heartbeat_s)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                event = pending.result()
            except StopAsyncIteration:
                return
            pending = None
            yield event.encode()
    finally:
        if pending is not None:
            pending.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await pending
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


def issue_ticket(keys: Mapping[str, bytes], caller: Principal, path: str, now: float | None = None) -> str:
    """A ticket for one path, valid for a minute: `GET <path>?ticket=…`. `keys` is settings.link_key_ring()."""
    key_id, key = next(iter(keys.items()))
    claims = {
        "w": str(caller.workspace_id),
        "s": str(caller.subject_id),
        "t": str(caller.token_id),
        "k": caller.kind,
        "r": caller.role,
        "c": sorted(caller.scopes),
        "i": caller.issued_at,
        "e": (time.time() if now is None else now) + TICKET_S,
        "p": path,
    }
    body = base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=")
    return f"{key_id}.{body.decode()}.{_tag(key, body)}"


def open_ticket(keys: Mapping[str, bytes], ticket: str, path: str, now: float | None = None) -> Principal:
    """Whose ticket it is. Raises Unauthorized if it is forged, expired or for another path."""
    key_id, _, rest = ticket.partition(".")
    body, _, tag = rest.partition(".")
    key = keys.get(key_id)
    if key is None or not tag.isascii() or not hmac.compare_digest(_tag(key, body.encode()), tag):
        raise Unauthorized("The stream ticket is not valid", mend="Get a new ticket")
    claims = orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    if claims["p"] != path or claims["e"] < (time.time() if now is None else now):
        raise Unauthorized("The stream ticket has expired or is for another path", mend="Get a new ticket")
    return Principal(
        workspace_id=UUID(claims["w"]),
        subject_id=UUID(claims["s"]),
        token_id=UUID(claims["t"]),
        kind=claims["k"],
        role=claims["r"],
        scopes=frozenset(claims["c"]),
        issued_at=claims["i"],
        expires_at=claims["e"],
    )


def _tag(key: bytes, body: bytes) -> str:
    tag = hmac.digest(key, _PURPOSE + body, "sha256")
    return base64.urlsafe_b64encode(tag).rstrip(b"=").decode()
