"""Attribute definitions."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.domain.values import AttributeType, Definition

_ENSURE = """
insert into attribute_definitions (workspace_id, name, type, indexed)
select $1, * from unnest($2::text[], $3::text[], $4::boolean[])
on conflict (workspace_id, name) do nothing
"""


async def types(tx: Connection, workspace_id: UUID) -> dict[str, AttributeType]:
    """Name → type of every attribute of the workspace."""
    rows = await tx.fetch("select name, type from attribute_definitions where workspace_id = $1", workspace_id)
    return {row["name"]: row["type"] for row in rows}


async def definitions(tx: Connection, workspace_id: UUID) -> dict[str, Definition]:
    """Name → what its values may be, of every attribute of the workspace."""
    rows = await tx.fetch(
        "select name, type, allowed_values from attribute_definitions where workspace_id = $1", workspace_id
    )
    return {
        row["name"]: Definition(
            row["type"], None if row["allowed_values"] is None else frozenset(row["allowed_values"])
        )
        for row in rows
    }


async def ensure(
    tx: Connection, workspace_id: UUID, names: Sequence[str], kinds: Sequence[str], indexed: Sequence[bool]
) -> None:
    """Define attributes that are not there yet."""
    await tx.execute(_ENSURE, workspace_id, names, kinds, indexed)


async def page(tx: Connection, workspace_id: UUID, after: str | None, limit: int) -> list[asyncpg.Record]:
    """Definitions by name."""
    return await tx.fetch(
        "select * from attribute_definitions where workspace_id = $1 and name > $2 order by name limit $3",
        workspace_id,
        after or "",
        limit,
    )


async def insert(
    tx: Connection,
    workspace_id: UUID,
    name: str,
    kind: str,
    label: str | None,
    allowed: Sequence[str] | None,
    *,
    indexed: bool,
) -> asyncpg.Record | None:
    """A new definition; None if the name is taken."""
    return await tx.fetchrow(
        "insert into attribute_definitions (workspace_id, name, type, label, allowed_values, indexed)"
        " values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning *",
        workspace_id,
        name,
        kind,
        label,
        allowed,
        indexed,
    )


async def locked(tx: Connection, workspace_id: UUID, name: str) -> asyncpg.Record | None:
    """A definition, locked."""
    return await tx.fetchrow(
        "select * from attribute_definitions where workspace_id = $1 and name = $2 for update", workspace_id, name
    )


async def change(
    tx: Connection, workspace_id: UUID, name: str, label: str | None, allowed: Sequence[str] | None, *, indexed: bool
) -> asyncpg.Record | None:
    """Set label, allowed values and index flag."""
    return await tx.fetchrow(
        "update attribute_definitions set label = $3, allowed_values = $4, indexed = $5, revision = revision + 1"
        " where workspace_id = $1 and name = $2 returning *",
        workspace_id,
        name,
        label,
        allowed,
        indexed,
    )


async def delete(tx: Connection, workspace_id: UUID, name: str) -> None:
    """Delete a definition that is locked."""
    await tx.execute("delete from attribute_definitions where workspace_id = $1 and name = $2", workspace_id, name)


async def users(tx: Connection, workspace_id: UUID, name: str) -> list[asyncpg.Record]:
    """Segments whose rule names the attribute."""
    return await tx.fetch(
        "select id, name from segments where workspace_id = $1 and not deleted"
        " and jsonb_path_exists(rule, '$.**.field ? (@ == $field)', jsonb_build_object('field', $2::text)) limit 10",
        workspace_id,
        f"attributes.{name}",
    )


_WITH = """
select max(id::text)::uuid as last, coalesce(array_agg(id order by id) filter (where attributes ? $2), '{}') as ids
  from (select id, attributes from contacts where workspace_id = $1 and id > $3 order by id limit $4) part
"""


async def holders(
    tx: Connection, workspace_id: UUID, name: str, after: UUID, limit: int
) -> tuple[UUID | None, list[UUID]]:
    """Among the next so many contacts: the last one's id (None: there are no more), and who has a value."""
    row = await tx.fetchrow(_WITH, workspace_id, name, after, limit)
    assert row is not None  # noqa: S101
    return row["last"], row["ids"]


async def is_being_removed(tx: Connection, kind: str, key: str) -> bool:
    """Whether a job still takes the values of a deleted attribute away."""
    found: bool = await tx.fetchval(
        "select exists (select from jobs where kind = $1 and unique_key = $2 and state in ('queued', 'running'))",
        kind,
        key,
    )
    return found


_FILL_INDEX = """
with part as (select id, attributes ->> $2 as text, attributes -> $2 as value from contacts
               where workspace_id = $1 and id > $3 order by id limit $4 for share),
filled as (
  insert into contact_value (workspace_id, attribute, value, number, moment, contact_id)
  select $1, $2, left(text, 500),
         case when $5 = 'number' and jsonb_typeof(value) = 'number' then text::double precision end,
         case when $5 = 'date' then text::timestamptz end, id
    from part where text is not null
  on conflict do nothing)
select id from part order by id desc limit 1
"""


async def fill_index(tx: Connection, workspace_id: UUID, name: str, kind: str, after: UUID, limit: int) -> UUID | None:
    """Index one more part of the contacts; returns the last id, None when there was none left."""
    last: UUID | None = await tx.fetchval(_FILL_INDEX, workspace_id, name, after, limit, kind)
    return last


async def drop_index(tx: Connection, workspace_id: UUID, name: str) -> None:
    """Forget the indexed values of an attribute."""
    await tx.execute("delete from contact_value where workspace_id = $1 and attribute = $2", workspace_id, name)


async def await_index(tx: Connection, workspace_id: UUID, name: str, job_id: UUID | None) -> None:
    """The index of an attribute is not whole before this job is done; None: it is whole, or there is none."""
    await tx.execute(
        "update attribute_definitions set index_job = $3 where workspace_id = $1 and name = $2",
        workspace_id,
        name,
        job_id,
    )
