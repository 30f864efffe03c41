"""Inbound sources, their mappings, and what came lately."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_INSERT = """
insert into sources (workspace_id, id, name, signature, secret, mapping, created_by)
values ($1, $2, $3, $4, $5, $6, $7) returning *
"""
_CHANGE = """
update sources set name = $3, signature = $4, secret = $5, active = $6, revision = revision + 1, updated_at = now()
 where workspace_id = $1 and id = $2 returning *
"""
_PUT_MAPPING = """
update sources set mapping = $3, mapping_version = mapping_version + 1, revision = revision + 1, updated_at = now()
 where workspace_id = $1 and id = $2 returning *
"""
_KEEP_MAPPING = """
insert into source_mappings (workspace_id, source_id, version, mapping, created_by) values ($1, $2, $3, $4, $5)
"""
_KEEP = """
insert into source_deliveries (workspace_id, id, source_id, body, address_hashes, outcome, reason, mapping_version)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_TRIED = """
update source_deliveries d set outcome = n.outcome, reason = n.reason, mapping_version = $2, tried_at = now()
  from unnest($3::uuid[], $4::text[], $5::jsonb[]) as n (id, outcome, reason)
 where d.workspace_id = $1 and d.id = n.id
"""
_DELIVERIES = """
select * from source_deliveries
 where workspace_id = $1 and source_id = $2 and ($3::uuid is null or id < $3) and ($4::text is null or outcome = $4)
 order by id desc limit $5
"""
_CHOSEN = """
select * from source_deliveries
 where workspace_id = $1 and source_id = $2
   and case when $3::uuid[] is null then outcome = 'failed' else id = any ($3) end
 order by tried_at, id limit $4 for update
"""
# The newest of each source, and none older than that.
_FORGET = """
delete from source_deliveries d using (
  select d.workspace_id, d.id from source_deliveries d
   where d.received_at < now() - $1::interval
  union all
  select s.workspace_id, o.id from sources s cross join lateral (
    select id from source_deliveries where workspace_id = s.workspace_id and source_id = s.id
     order by id desc offset $2) o) old
 where d.workspace_id = old.workspace_id and d.id = old.id
"""


async def insert(
    tx: Connection,
    workspace_id: UUID,
    source_id: UUID,
    name: str,
    signature: Any,
    secret: bytes,
    mapping: Any,
    created_by: str,
) -> asyncpg.Record:
    """A new source, with the first version of its mapping."""
    row = await tx.fetchrow(_INSERT, workspace_id, source_id, name, signature, secret, mapping, created_by)
    assert row is not None  # noqa: S101
    await tx.execute(_KEEP_MAPPING, workspace_id, source_id, 1, mapping, created_by)
    return row


async def get(tx: Connection, workspace_id: UUID, source_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One source."""
    return await tx.fetchrow(
        f"select * from sources where workspace_id = $1 and id = $2{' for update' if lock else ''}",  # noqa: S608
        workspace_id,
        source_id,
    )


async def page(tx: Connection, workspace_id: UUID, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Sources, the newest first."""
    return await tx.fetch(
        "select * from sources where workspace_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
        workspace_id,
        before,
        limit,
    )


async def count(tx: Connection, workspace_id: UUID) -> int:
    """How many sources there are."""
    found: int = await tx.fetchval("select count(*) from sources where workspace_id = $1", workspace_id)
    return found


async def change(
    tx: Connection, row: asyncpg.Record, name: str, signature: Any, secret: bytes, *, active: bool
) -> asyncpg.Record:
    """Change a locked source."""
    changed = await tx.fetchrow(_CHANGE, row["workspace_id"], row["id"], name, signature, secret, active)
    assert changed is not None  # noqa: S101
    return changed


async def put_mapping(tx: Connection, row: asyncpg.Record, mapping: Any, by: str) -> asyncpg.Record:
    """The next version of a locked source's mapping."""
    changed = await tx.fetchrow(_PUT_MAPPING, row["workspace_id"], row["id"], mapping)
    assert changed is not None  # noqa: S101
    await tx.execute(_KEEP_MAPPING, row["workspace_id"], row["id"], changed["mapping_version"], mapping, by)
    return changed


async def mappings(
    tx: Connection, workspace_id: UUID, source_id: UUID, before: int | None, limit: int
) -> list[asyncpg.Record]:
    """The versions of a mapping, the newest first."""
    return await tx.fetch(
        "select * from source_mappings where workspace_id = $1 and source_id = $2 and ($3::int is null or version < $3)"
        " order by version desc limit $4",
        workspace_id,
        source_id,
        before,
        limit,
    )


async def delete(tx: Connection, workspace_id: UUID, source_id: UUID) -> None:
    """Forget a source and what came to it. The events that were made of it stay."""
    for table, key in (("source_deliveries", "source_id"), ("source_mappings", "source_id"), ("sources", "id")):
        await tx.execute(f"delete from {table} where workspace_id = $1 and {key} = $2", workspace_id, source_id)  # noqa: S608


async def keep(
    tx: Connection,
    source: asyncpg.Record,
    delivery_id: UUID,
    body: bytes,
    address_hashes: Sequence[bytes],
    outcome: str,
    reason: Any,
) -> None:
    """Keep what came."""
    await tx.execute(
        _KEEP,
        source["workspace_id"],
        delivery_id,
        source["id"],
        body,
        address_hashes,
        outcome,
        reason,
        source["mapping_version"],
    )


async def deliveries(
    tx: Connection, workspace_id: UUID, source_id: UUID, before: UUID | None, outcome: str | None, limit: int
) -> list[asyncpg.Record]:
    """What came, the newest first."""
    return await tx.fetch(_DELIVERIES, workspace_id, source_id, before, outcome, limit)


async def chosen(
    tx: Connection, workspace_id: UUID, source_id: UUID, ids: Sequence[UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """These deliveries, or those that failed: first those tried longest ago, locked."""
    return await tx.fetch(_CHOSEN, workspace_id, source_id, ids, limit)


async def tried(
    tx: Connection,
    workspace_id: UUID,
    mapping_version: int,
    ids: Sequence[UUID],
    outcomes: Sequence[str],
    reasons: Sequence[Any],
) -> None:
    """What became of deliveries this time."""
    await tx.execute(_TRIED, workspace_id, mapping_version, ids, outcomes, reasons)


async def forget_old(tx: Connection, age: timedelta, most: int) -> None:
    """Keep the newest deliveries of each source."""
    await tx.execute(_FORGET, age, most)
