"""Notes that members write about contacts."""

from uuid import UUID

import asyncpg
from common.db.pool import Connection

_INSERT = """
insert into contact_notes (workspace_id, contact_id, id, text, author) values ($1, $2, $3, $4, $5) returning *
"""
_PAGE = """
select * from contact_notes
 where workspace_id = $1 and contact_id = $2 and ($3::uuid is null or id < $3) order by id desc limit $4
"""


async def insert(
    tx: Connection, workspace_id: UUID, contact_id: UUID, note_id: UUID, text: str, author: str
) -> asyncpg.Record:
    """A new note."""
    row = await tx.fetchrow(_INSERT, workspace_id, contact_id, note_id, text, author)
    assert row is not None  # noqa: S101
    return row


async def page(
    tx: Connection, workspace_id: UUID, contact_id: UUID, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Notes about a contact, the newest first."""
    return await tx.fetch(_PAGE, workspace_id, contact_id, before, limit)


async def delete(tx: Connection, workspace_id: UUID, contact_id: UUID, note_id: UUID) -> bool:
    """Delete a note; False if there was none."""
    done = await tx.execute(
        "delete from contact_notes where workspace_id = $1 and contact_id = $2 and id = $3",
        workspace_id,
        contact_id,
        note_id,
    )
    return done != "DELETE 0"
