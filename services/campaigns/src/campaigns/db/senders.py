"""Rows of senders."""

from uuid import UUID

import asyncpg
from common.db.pool import Connection

from campaigns.db.returning import returning

_INSERT = """
insert into senders (workspace_id, id, name, email, reply_to) values ($1, $2, $3, $4, $5) returning *
"""
_GET = "select * from senders where workspace_id = $1 and id = $2 and not deleted"
_PAGE = """
select * from senders where workspace_id = $1 and not deleted and ($2::uuid is null or id < $2)
order by id desc limit $3
"""
_UPDATE = """
update senders set name = $3, email = $4, reply_to = $5, revision = revision + 1, updated_at = now()
where workspace_id = $1 and id = $2
returning *
"""
_DELETE = """
update senders set deleted = true, revision = revision + 1, updated_at = now()
where workspace_id = $1 and id = $2
returning *
"""
_USED = """
select exists (select from campaigns where workspace_id = $1 and sender_id = $2 and status = 'scheduled')
"""

# Locked, so that no newer revision is told before this one.
_EVERYWHERE = """
select * from senders where $1::uuid is null or (workspace_id, id) > ($1, $2) order by workspace_id, id limit $3
for no key update
"""


async def insert(
    tx: Connection, workspace_id: UUID, sender_id: UUID, name: str, email: str, reply_to: str | None
) -> asyncpg.Record:
    """A new sender."""
    return await returning(tx, _INSERT, workspace_id, sender_id, name, email, reply_to)


async def get(tx: Connection, workspace_id: UUID, sender_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One sender that is not deleted."""
    return await tx.fetchrow(_GET + (" for update" if lock else ""), workspace_id, sender_id)


async def page(tx: Connection, workspace_id: UUID, after: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Newest first, from after an id."""
    return await tx.fetch(_PAGE, workspace_id, after, limit)


async def update(
    tx: Connection, workspace_id: UUID, sender_id: UUID, name: str, email: str, reply_to: str | None
) -> asyncpg.Record:
    """Store every column anew."""
    return await returning(tx, _UPDATE, workspace_id, sender_id, name, email, reply_to)


async def delete(tx: Connection, workspace_id: UUID, sender_id: UUID) -> asyncpg.Record:
    """Mark as deleted; campaigns that were sent keep their copy."""
    return await returning(tx, _DELETE, workspace_id, sender_id)


async def is_scheduled(tx: Connection, workspace_id: UUID, sender_id: UUID) -> bool:
    """A campaign that waits for its time uses this sender."""
    return bool(await tx.fetchval(_USED, workspace_id, sender_id))


async def everywhere(tx: Connection, after: asyncpg.Record | None, limit: int) -> list[asyncpg.Record]:
    """Senders of all workspaces, deleted ones too, from after one, locked."""
    return await tx.fetch(_EVERYWHERE, after["workspace_id"] if after else None, after["id"] if after else None, limit)
