"""Web sites whose pages tell of their visitors."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

FIELDS = ("name", "origins", "consent", "keep_days", "active")
_INSERT = """
insert into sites (workspace_id, id, name, origins, consent, keep_days, active, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8) returning *
"""
_CHANGE = """
update sites set name = $3, origins = $4, consent = $5, keep_days = $6, active = $7, secret_version = $8, deleted = $9,
                 revision = revision + 1, updated_at = now()
 where workspace_id = $1 and id = $2 returning *
"""


async def insert(
    tx: Connection, workspace_id: UUID, site_id: UUID, fields: Mapping[str, Any], created_by: str
) -> asyncpg.Record:
    """A new site."""
    row = await tx.fetchrow(_INSERT, workspace_id, site_id, *(fields[name] for name in FIELDS), created_by)
    assert row is not None  # noqa: S101
    return row


async def find(tx: Connection, workspace_id: UUID, site_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """A site that is not deleted."""
    return await tx.fetchrow(
        "select * from sites where workspace_id = $1 and id = $2 and not deleted"  # noqa: S608
        f"{' for update' if lock else ''}",
        workspace_id,
        site_id,
    )


async def page(tx: Connection, workspace_id: UUID, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Sites, the newest first."""
    return await tx.fetch(
        "select * from sites where workspace_id = $1 and not deleted and ($2::uuid is null or id < $2)"
        " order by id desc limit $3",
        workspace_id,
        before,
        limit,
    )


async def change(tx: Connection, workspace_id: UUID, site_id: UUID, fields: Mapping[str, Any]) -> asyncpg.Record:
    """Write a locked site."""
    row = await tx.fetchrow(
        _CHANGE,
        workspace_id,
        site_id,
        *(fields[name] for name in FIELDS),
        fields["secret_version"],
        fields["deleted"],
    )
    assert row is not None  # noqa: S101
    return row
