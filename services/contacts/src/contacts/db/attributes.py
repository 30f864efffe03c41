"""Attribute definitions."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.domain.values import AttributeType

_ENSURE = """
insert into attribute_definitions (workspace_id, name, type, indexed)
select $1, * from unnest($2::text[], $3::text[], $4::boolean[])
on conflict (workspace_id, name) do nothing
"""


async def types(tx: Connection, workspace_id: UUID) -> dict[str, AttributeType]:
    """Name → type of every attribute of the workspace."""
    rows = await tx.fetch("select name, type from attribute_definitions where workspace_id = $1", workspace_id)
    return {row["name"]: row["type"] for row in rows}


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
    tx: Connection, workspace_id: UUID, name: str, kind: str, label: str | None, *, indexed: bool
) -> asyncpg.Record | None:
    """A new definition; None if the name is taken."""
    return await tx.fetchrow(
        "insert into attribute_definitions (workspace_id, name, type, label, indexed) values ($1, $2, $3, $4, $5)"
        " on conflict do nothing returning *",
        workspace_id,
        name,
        kind,
        label,
        indexed,
    )


async def locked(tx: Connection, workspace_id: UUID, name: str) -> asyncpg.Record | None:
    """A definition, locked."""
    return await tx.fetchrow(
        "select * from attribute_definitions where workspace_id = $1 and name = $2 for update", workspace_id, name
    )


async def change(
    tx: Connection, workspace_id: UUID, name: str, label: str | None, *, indexed: bool
) -> asyncpg.Record | None:
    """Set label and index flag."""
    return await tx.fetchrow(
        "update attribute_definitions set label = $3, indexed = $4, revision = revision + 1"
        " where workspace_id = $1 and name = $2 returning *",
        workspace_id,
        name,
        label,
        indexed,
    )


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
