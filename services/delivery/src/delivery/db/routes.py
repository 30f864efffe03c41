"""Rows of routes."""

from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_INSERT = """
insert into routes (workspace_id, id, name, host, port, tls, username, password, priority, weight, enabled, limits,
                    kind)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict do nothing returning *
"""
_GET = "select * from routes where workspace_id = $1 and id = $2"
_PAGE = """
select * from routes where workspace_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3
"""
# What a failure was about may be mended now.
_UPDATE = """
update routes set name = $3, host = $4, port = $5, tls = $6, username = $7, password = $8, priority = $9, weight = $10,
       enabled = $11, limits = $12, revision = revision + 1, updated_at = now(), failing_since = null, failure = null
 where workspace_id = $1 and id = $2
   and not exists (select from routes o where o.workspace_id = $1 and o.name = $3 and o.id <> $2)
returning *
"""
_DELETE = """
with gone as (delete from routes where workspace_id = $1 and id = $2),
     budgets as (delete from route_budgets where workspace_id = $1 and route_id = $2)
delete from route_connections where workspace_id = $1 and route_id = $2
"""
_ENABLED = "select * from routes where enabled order by workspace_id, priority, id"
_COUNT_FAILING = "select count(*) from routes where enabled and failing_since is not null"
_FAILING = """
update routes set failure = $4, failing_since = coalesce(failing_since, now())
 where workspace_id = $1 and id = $2 and revision = $3 and failure is distinct from $4
"""
_WORKING = """
update routes set failure = null, failing_since = null
 where workspace_id = $1 and id = $2 and revision = $3 and failing_since is not null
"""

COLUMNS = (
    "name", "host", "port", "tls", "username", "password", "priority", "weight", "enabled", "limits",
)  # fmt: skip
# Columns that cannot be empty, of a route without a host: a mailer that does not know its kind finds no such host
# (RFC 2606), and its mail waits.
NO_HOST = {"host": "direct.invalid", "port": 25, "tls": "starttls"}


async def insert(tx: Connection, workspace_id: UUID, route_id: UUID, values: dict[str, Any]) -> asyncpg.Record | None:
    """A new route; None when another has its name."""
    return await tx.fetchrow(_INSERT, workspace_id, route_id, *(values[column] for column in (*COLUMNS, "kind")))


async def get(tx: Connection, workspace_id: UUID, route_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One route."""
    return await tx.fetchrow(_GET + (" for update" if lock else ""), workspace_id, route_id)


async def page(tx: Connection, workspace_id: UUID, after: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Newest first, from after an id."""
    return await tx.fetch(_PAGE, workspace_id, after, limit)


async def update(tx: Connection, workspace_id: UUID, route_id: UUID, values: dict[str, Any]) -> asyncpg.Record | None:
    """Store every column anew; None when another has its name."""
    return await tx.fetchrow(_UPDATE, workspace_id, route_id, *(values[column] for column in COLUMNS))


async def delete(tx: Connection, workspace_id: UUID, route_id: UUID) -> None:
    """Delete a route, and what is kept of its limits."""
    await tx.execute(_DELETE, workspace_id, route_id)


async def enabled(tx: Connection) -> list[asyncpg.Record]:
    """Routes of all workspaces that mail may go over."""
    return await tx.fetch(_ENABLED)


async def failing(tx: Connection) -> int:
    """How many enabled routes do not work."""
    return int(await tx.fetchval(_COUNT_FAILING))


async def note_failure(tx: Connection, workspace_id: UUID, route_id: UUID, revision: int, failure: str | None) -> None:
    """What keeps a route from working; None: it works."""
    if failure is None:
        await tx.execute(_WORKING, workspace_id, route_id, revision)
    else:
        await tx.execute(_FAILING, workspace_id, route_id, revision, failure)
