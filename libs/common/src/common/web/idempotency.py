"""`Idempotency-Key` on POST: the first answer is stored in the transaction of its effects, and given again.

Only answers below 400 are stored: a refused request had no effect, so it may simply be sent again.
"""

import hashlib
from collections.abc import Awaitable, Callable

from fastapi import Request, Response

from common.db.pool import Connection, Database
from common.errors import BadRequest, Conflict, Invalid
from common.metrics import HTTP_REPLAYED
from common.web.tokens import Principal

HEADER = "idempotency-key"
MAX_KEY = 255

_LOCK = "select pg_try_advisory_xact_lock(hashtextextended($1, 0))"
_FIND = """
select body_hash, status, headers, body from idempotency_keys
where workspace_id = $1 and route = $2 and key = $3 and at > now() - interval '24 hours'
"""
_STORE = """
insert into idempotency_keys (workspace_id, route, key, body_hash, status, headers, body)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (workspace_id, route, key) do update
set body_hash = excluded.body_hash, status = excluded.status, headers = excluded.headers, body = excluded.body,
    at = now()
"""
_FORGET = "delete from idempotency_keys where at < now() - interval '24 hours'"


class InProgress(Conflict):
    """The first request with this Idempotency-Key is still running."""

    code = "in_progress"


class KeyReused(Invalid):
    """This Idempotency-Key was used with another request."""

    code = "key_reused"


def key_of(request: Request) -> str | None:
    """The request's key, if it is a POST that is no upload. Raises BadRequest for a key that cannot be one."""
    if request.method != "POST":
        return None
    key = request.headers.get(HEADER)
    if key is None or request.headers.get("content-type", "").startswith("multipart/"):
        return None
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise BadRequest(f"Idempotency-Key must be 1 to {MAX_KEY} printable characters", max=MAX_KEY)
    return key


async def once(
    tx: Connection,
    caller: Principal,
    request: Request,
    key: str,
    handle: Callable[[], Awaitable[Response]],
) -> Response:
    """Answer from the store, or handle the request and store its answer, in this transaction."""
    # The path itself, not its template: one key for two campaigns is two requests.
    route = f"POST {request.url.path}"
    body = await request.body()
    digest = hashlib.sha256(
        b"\0".join((request.url.query.encode(), request.headers.get("content-type", "").encode(), body))
    ).digest()
    if not await tx.fetchval(_LOCK, f"{caller.workspace_id} {route} {key}"):
        raise InProgress(mend="Send it again when the first one is done", retry_after_s=1)
    row = await tx.fetchrow(_FIND, caller.workspace_id, route, key)
    if row is not None:
        if row["body_hash"] != digest:
            raise KeyReused(mend="Use a new key for a new request")
        HTTP_REPLAYED.labels(request.app.state.service).inc()
        replay = Response(row["body"], row["status"])
        replay.raw_headers.extend((name.encode("latin-1"), value.encode("latin-1")) for name, value in row["headers"])
        replay.headers["Idempotent-Replayed"] = "true"
        return replay
    response = await handle()
    if response.status_code < 400 and isinstance(response.body, bytes):
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in response.raw_headers
            if name != b"content-length"
        ]
        await tx.execute(_STORE, caller.workspace_id, route, key, digest, response.status_code, headers, response.body)
    return response


async def forget_old_keys(database: Database) -> None:
    """Delete keys older than 24 hours. Each service's `jobs` runs it as a Periodic, every hour."""
    async with database.connection() as connection:
        await connection.execute(_FORGET)
