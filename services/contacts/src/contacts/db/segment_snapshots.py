"""Snapshots of segments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.db import segment_sql
from contacts.domain.segment_binding import Bound


async def insert(
    tx: Connection, workspace_id: UUID, snapshot_id: UUID, segment_id: UUID, name: str, rule: Any, created_by: str
) -> asyncpg.Record:
    """A snapshot that is to be frozen."""
    row = await tx.fetchrow(
        "insert into segment_snapshots (workspace_id, id, segment_id, name, rule, created_by)"
        " values ($1, $2, $3, $4, $5, $6) returning *",
        workspace_id,
        snapshot_id,
        segment_id,
        name,
        rule,
        created_by,
    )
    assert row is not None  # noqa: S101
    return row


async def get(tx: Connection, workspace_id: UUID, segment_id: UUID, snapshot_id: UUID) -> asyncpg.Record | None:
    """A snapshot of this segment."""
    return await tx.fetchrow(
        "select * from segment_snapshots where workspace_id = $1 and segment_id = $2 and id = $3",
        workspace_id,
        segment_id,
        snapshot_id,
    )


async def locked(tx: Connection, workspace_id: UUID, snapshot_id: UUID) -> asyncpg.Record | None:
    """A snapshot that is not frozen yet, locked."""
    return await tx.fetchrow(
        "select * from segment_snapshots where workspace_id = $1 and id = $2 and frozen_at is null for update",
        workspace_id,
        snapshot_id,
    )


async def freeze(tx: Connection, workspace_id: UUID, snapshot_id: UUID, rule: Bound, now: datetime) -> int:
    """Keep whom the rule holds for now; how many."""
    query = segment_sql.statement(segment_sql.matching(rule, workspace_id, now))
    n = len(query.args) + 1
    size: int = await tx.fetchval(
        f"with inside as (insert into segment_snapshot_members (workspace_id, snapshot_id, contact_id)"  # noqa: S608
        f" select ${n}, ${n + 1}, id from ({query.sql}) matching order by id returning 1)"
        f" update segment_snapshots set size = (select count(*) from inside), frozen_at = ${n + 2}, error = null"
        f"  where workspace_id = ${n} and id = ${n + 1} returning size",
        *query.args,
        workspace_id,
        snapshot_id,
        now,
    )
    return size


async def fail(tx: Connection, workspace_id: UUID, snapshot_id: UUID, error: str) -> None:
    """It cannot be frozen."""
    await tx.execute(
        "update segment_snapshots set error = $3 where workspace_id = $1 and id = $2 and frozen_at is null",
        workspace_id,
        snapshot_id,
        error,
    )


async def frozen(tx: Connection, workspace_id: UUID, snapshot_ids: Sequence[UUID]) -> dict[UUID, bool]:
    """Those of the snapshots that exist, and whether they are frozen."""
    rows = await tx.fetch(
        "select id, frozen_at is not null as frozen from segment_snapshots"
        " where workspace_id = $1 and id = any($2::uuid[])",
        workspace_id,
        snapshot_ids,
    )
    return {row["id"]: row["frozen"] for row in rows}


async def page(
    tx: Connection, workspace_id: UUID, segment_id: UUID, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Snapshots of a segment, the newest first."""
    return await tx.fetch(
        "select * from segment_snapshots where workspace_id = $1 and segment_id = $2"
        " and ($3::uuid is null or id < $3) order by id desc limit $4",
        workspace_id,
        segment_id,
        before,
        limit,
    )


async def members(
    tx: Connection, workspace_id: UUID, snapshot_id: UUID, after: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Whom a snapshot has, by id: the contacts as they are now."""
    return await tx.fetch(
        "select c.id, c.email, c.first_name, c.last_name, c.language, c.country from segment_snapshot_members m"
        "  join contacts c on c.workspace_id = m.workspace_id and c.id = m.contact_id"
        " where m.workspace_id = $1 and m.snapshot_id = $2 and m.contact_id > $3 order by m.contact_id limit $4",
        workspace_id,
        snapshot_id,
        after or UUID(int=0),
        limit,
    )
