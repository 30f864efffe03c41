"""Rows of purposes."""

from uuid import UUID

import asyncpg
from common.db.pool import Connection

from campaigns.db.returning import returning

_INSERT = """
insert into purposes (workspace_id, id, key, wording) values ($1, $2, $3, $4)
on conflict do nothing
returning *
"""
_LIST = "select * from purposes where workspace_id = $1 order by key"
_GET = "select * from purposes where workspace_id = $1 and id = $2"
_BY_KEY = "select * from purposes where workspace_id = $1 and key = $2"
_REWORD = """
update purposes set wording = $3, version = version + 1, updated_at = now()
where workspace_id = $1 and id = $2
returning *
"""


async def insert_if_absent(
    tx: Connection, workspace_id: UUID, purpose_id: UUID, key: str, wording: dict[str, str]
) -> asyncpg.Record | None:
    """A new purpose, or None if the key is taken."""
    return await tx.fetchrow(_INSERT, workspace_id, purpose_id, key, wording)


async def all_of(tx: Connection, workspace_id: UUID) -> list[asyncpg.Record]:
    """Every purpose of a workspace, by key; there are a handful."""
    return await tx.fetch(_LIST, workspace_id)


async def get(tx: Connection, workspace_id: UUID, purpose_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One purpose."""
    return await tx.fetchrow(_GET + (" for update" if lock else ""), workspace_id, purpose_id)


async def by_key(tx: Connection, workspace_id: UUID, key: str) -> asyncpg.Record | None:
    """The purpose with a key."""
    return await tx.fetchrow(_BY_KEY, workspace_id, key)


async def reword(tx: Connection, workspace_id: UUID, purpose_id: UUID, wording: dict[str, str]) -> asyncpg.Record:
    """New wording is a new version: what people consented to stays told apart."""
    return await returning(tx, _REWORD, workspace_id, purpose_id, wording)
