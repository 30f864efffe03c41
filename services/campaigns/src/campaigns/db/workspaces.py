"""Rows of workspaces."""

from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from campaigns.db.returning import returning

COLUMNS = ["name", "postal_address", "tracking_mode", "languages", "time_zone", "weekend", "sender_policy"]

_INSERT = """
insert into workspaces (workspace_id, name, postal_address, tracking_mode, languages, time_zone, weekend, sender_policy)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (workspace_id) do nothing
returning *
"""
_GET = "select * from workspaces where workspace_id = $1"
_UPDATE = """
update workspaces set name = $2, postal_address = $3, tracking_mode = $4, languages = $5, time_zone = $6, weekend = $7,
  sender_policy = $8, revision = revision + 1, updated_at = now()
where workspace_id = $1
returning *
"""
_TOUCH = "update workspaces set revision = revision + 1, updated_at = now() where workspace_id = $1 returning *"

# Locked, so that no newer revision is told before this one.
_EVERYWHERE = """
select * from workspaces where $1::uuid is null or workspace_id > $1 order by workspace_id limit $2
for no key update
"""


async def insert_if_absent(tx: Connection, workspace_id: UUID, values: dict[str, Any]) -> asyncpg.Record | None:
    """A new workspace, or None if it exists."""
    return await tx.fetchrow(_INSERT, workspace_id, *(values[column] for column in COLUMNS))


async def get(tx: Connection, workspace_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One workspace."""
    return await tx.fetchrow(_GET + (" for no key update" if lock else ""), workspace_id)


async def update(tx: Connection, workspace_id: UUID, values: dict[str, Any]) -> asyncpg.Record:
    """Store every column anew."""
    return await returning(tx, _UPDATE, workspace_id, *(values[column] for column in COLUMNS))


async def touch(tx: Connection, workspace_id: UUID) -> asyncpg.Record:
    """The next revision, because something told with the workspace changed."""
    return await returning(tx, _TOUCH, workspace_id)


async def everywhere(tx: Connection, after: asyncpg.Record | None, limit: int) -> list[asyncpg.Record]:
    """Workspaces from after one, locked."""
    return await tx.fetch(_EVERYWHERE, after["workspace_id"] if after else None, limit)
