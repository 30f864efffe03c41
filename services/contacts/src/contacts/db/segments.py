"""Segments, and running their rules."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.db import segment_sql
from contacts.domain.segment_binding import Attribute, Bound

_ATTRIBUTES = """
select name, type, indexed and index_job is null as indexed from attribute_definitions where workspace_id = $1
"""
# `size`: how many are inside; unknown until everybody was looked at once.
_WITH_STATE = """
select g.*, case when s.built > 0 then s.size end as size, s.error
  from segments g left join segment_states s on s.workspace_id = g.workspace_id and s.segment_id = g.id
 where g.workspace_id = $1 and not g.deleted
"""


async def attributes(tx: Connection, workspace_id: UUID) -> dict[str, Attribute]:
    """The workspace's attributes as rules see them; an index that is still being filled does not count."""
    return _by_name(await tx.fetch(_ATTRIBUTES, workspace_id))


async def kept_attributes(tx: Connection, workspace_id: UUID) -> dict[str, Attribute]:
    """The same, and no index is dropped while this transaction lasts."""
    return _by_name(await tx.fetch(_ATTRIBUTES + " order by name for share", workspace_id))


def _by_name(rows: Sequence[asyncpg.Record]) -> dict[str, Attribute]:
    return {row["name"]: Attribute(row["name"], row["type"], row["indexed"]) for row in rows}


async def insert(
    tx: Connection, workspace_id: UUID, segment_id: UUID, name: str, rule: Any, description: str, created_by: str
) -> asyncpg.Record:
    """A new segment."""
    row = await tx.fetchrow(
        "insert into segments (workspace_id, id, name, rule, description, created_by)"
        " values ($1, $2, $3, $4, $5, $6) returning *",
        workspace_id,
        segment_id,
        name,
        rule,
        description,
        created_by,
    )
    assert row is not None  # noqa: S101
    return row


async def find(tx: Connection, workspace_id: UUID, segment_id: UUID) -> asyncpg.Record | None:
    """A segment that is not deleted."""
    return await tx.fetchrow(f"{_WITH_STATE} and g.id = $2", workspace_id, segment_id)


async def locked(tx: Connection, workspace_id: UUID, segment_id: UUID) -> asyncpg.Record | None:
    """A segment that is not deleted, locked."""
    return await tx.fetchrow(
        "select * from segments where workspace_id = $1 and id = $2 and not deleted for update",
        workspace_id,
        segment_id,
    )


async def page(tx: Connection, workspace_id: UUID, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Segments, newest first."""
    return await tx.fetch(
        f"{_WITH_STATE} and ($2::uuid is null or g.id < $2) order by g.id desc limit $3",
        workspace_id,
        before,
        limit,
    )


async def change(
    tx: Connection, before: asyncpg.Record, changes: Mapping[str, Any], *, deleted: bool = False
) -> asyncpg.Record:
    """Change name, rule or description of a locked segment, or delete it; its revision rises."""
    after = {**before, **changes}
    row = await tx.fetchrow(
        "update segments set name = $3, rule = $4, description = $5, deleted = $6, revision = revision + 1,"
        " updated_at = now() where workspace_id = $1 and id = $2 returning *",
        before["workspace_id"],
        before["id"],
        after["name"],
        after["rule"],
        after["description"],
        deleted,
    )
    assert row is not None  # noqa: S101
    return row


async def rules(tx: Connection, workspace_id: UUID, segment_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """The stored rules of those of the segments that exist."""
    rows = await tx.fetch(
        "select id, rule from segments where workspace_id = $1 and id = any($2::uuid[]) and not deleted",
        workspace_id,
        segment_ids,
    )
    return {row["id"]: row["rule"] for row in rows}


async def named(tx: Connection, workspace_id: UUID, segment_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Name and rule of those of the segments that exist."""
    return await tx.fetch(
        "select id, name, rule from segments where workspace_id = $1 and id = any($2::uuid[]) and not deleted",
        workspace_id,
        segment_ids,
    )


async def lock_names(tx: Connection, workspace_id: UUID) -> None:
    """Until the transaction ends, nobody else changes which segment names which."""
    await tx.execute(
        "select pg_advisory_xact_lock(hashtextextended('segment names' || $1::uuid::text, 0))", workspace_id
    )


async def naming(tx: Connection, workspace_id: UUID, segment_id: UUID) -> list[asyncpg.Record]:
    """The segments whose rule stands on this one, straight or through others."""
    return await tx.fetch(
        "with recursive names as (select id, rule, jsonb_path_query(rule, '$.**.segment') #>> '{}' as of from segments"
        "   where workspace_id = $1 and not deleted),"
        " on_it as (select id from names where of = $2::uuid::text"
        "   union select n.id from names n join on_it o on n.of = o.id::text)"
        " select id, rule from segments where workspace_id = $1 and id in (select id from on_it) and id <> $2",
        workspace_id,
        segment_id,
    )


async def naming_event(tx: Connection, workspace_id: UUID, event: str) -> set[UUID]:
    """The segments whose rule names this event, straight or through other segments."""
    rows = await tx.fetch(
        "with recursive known as (select id, rule from segments where workspace_id = $1 and not deleted),"
        " on_it as (select id from known"
        "            where jsonb_path_exists(rule, '$.**.event ? (@ == $name)', jsonb_build_object('name', $2::text))"
        "   union select k.id from known k join on_it o on jsonb_path_exists("
        "     k.rule, '$.**.segment ? (@ == $id)', jsonb_build_object('id', o.id::text)))"
        " select id from on_it",
        workspace_id,
        event,
    )
    return {row["id"] for row in rows}


async def limit_time(tx: Connection, timeout_s: float) -> None:
    """Let statements of this transaction run so long and use enough memory to hash a whole workspace."""
    await tx.execute(f"set local statement_timeout = {int(timeout_s * 1000)}; set local work_mem = '64MB'")


async def count(tx: Connection, workspace_id: UUID, rule: Bound, now: datetime) -> int:
    """How many contacts the rule holds for."""
    query = segment_sql.statement(segment_sql.count(rule, workspace_id, now))
    found: int = await tx.fetchval(query.sql, *query.args)
    return found


async def sample(tx: Connection, workspace_id: UUID, rule: Bound, now: datetime, size: int) -> list[asyncpg.Record]:
    """Some contacts the rule holds for."""
    query = segment_sql.statement(segment_sql.matching(rule, workspace_id, now).limit(size))
    return await tx.fetch(
        f"select id, email, first_name, last_name, language, country from contacts"  # noqa: S608
        f" where workspace_id = ${len(query.args) + 1} and id in ({query.sql}) order by id",
        *query.args,
        workspace_id,
    )
