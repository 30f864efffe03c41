"""Events told from outside: their definitions, and storing them as activity."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.domain.values import AttributeType

_INSERT = """
insert into event_definitions (workspace_id, name, label, properties) values ($1, $2, $3, $4)
on conflict do nothing returning *
"""
_CHANGE = """
update event_definitions set label = $3, properties = $4, revision = revision + 1
 where workspace_id = $1 and name = $2 returning *
"""
_BY_EMAIL = "select email_normalised as key, id from contacts where workspace_id = $1 and email_normalised = any ($2)"
_BY_EXTERNAL = "select external_id as key, id from contacts where workspace_id = $1 and external_id = any ($2)"
# A merged contact's former id still means the person.
_BY_ID = """
select w.id as key, c.id
  from unnest($2::uuid[]) as w(id)
  left join contact_aliases a on a.workspace_id = $1 and a.alias_id = w.id
  join contacts c on c.workspace_id = $1 and c.id = coalesce(a.contact_id, w.id)
"""
# As in `activity`: an erasure under way is waited for, one that comes later waits for us.
_MEET_ERASURE = "select from contacts where workspace_id = $1 and id = any ($2::uuid[]) order by id for key share"
_ADD = """
insert into activity (workspace_id, event_id, contact_id, type, at, properties)
select $1, t.e, coalesce(a.contact_id, t.i), t.k, t.at, t.p
  from unnest($2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::jsonb[])
       with ordinality as t(e, i, k, at, p, n)
  left join contact_aliases a on a.workspace_id = $1 and a.alias_id = t.i
 where not exists (select from tombstones x where x.workspace_id = $1 and x.contact_id in (t.i, a.contact_id))
 order by t.e, t.n
on conflict do nothing
returning event_id
"""


async def page(tx: Connection, workspace_id: UUID, after: str, limit: int) -> list[asyncpg.Record]:
    """Definitions by name."""
    return await tx.fetch(
        "select * from event_definitions where workspace_id = $1 and name > $2 order by name limit $3",
        workspace_id,
        after,
        limit,
    )


async def locked(tx: Connection, workspace_id: UUID, name: str) -> asyncpg.Record | None:
    """A definition, locked."""
    return await tx.fetchrow(
        "select * from event_definitions where workspace_id = $1 and name = $2 for update", workspace_id, name
    )


async def insert(
    tx: Connection, workspace_id: UUID, name: str, label: str | None, properties: Mapping[str, AttributeType]
) -> asyncpg.Record | None:
    """A new definition; None if the name is taken."""
    return await tx.fetchrow(_INSERT, workspace_id, name, label, properties)


async def change(
    tx: Connection, workspace_id: UUID, name: str, label: str | None, properties: Mapping[str, AttributeType]
) -> asyncpg.Record:
    """Replace a locked definition."""
    row = await tx.fetchrow(_CHANGE, workspace_id, name, label, properties)
    assert row is not None  # noqa: S101
    return row


async def delete(tx: Connection, workspace_id: UUID, name: str) -> None:
    """Forget a definition. What was told stays."""
    await tx.execute("delete from event_definitions where workspace_id = $1 and name = $2", workspace_id, name)


async def definitions(
    tx: Connection, workspace_id: UUID, names: Sequence[str]
) -> dict[str, Mapping[str, AttributeType]]:
    """Name → property → type, of those that are defined."""
    rows = await tx.fetch(
        "select name, properties from event_definitions where workspace_id = $1 and name = any ($2)",
        workspace_id,
        names,
    )
    return {row["name"]: row["properties"] for row in rows}


async def people(
    tx: Connection, workspace_id: UUID, emails: Sequence[str], external_ids: Sequence[str], ids: Sequence[UUID]
) -> dict[tuple[str, Any], UUID]:
    """Who is meant by each address, external id and id: those who are known."""
    found: dict[tuple[str, Any], UUID] = {}
    for kind, statement, keys in (
        ("email", _BY_EMAIL, emails),
        ("external_id", _BY_EXTERNAL, external_ids),
        ("id", _BY_ID, ids),
    ):
        if keys:
            rows = await tx.fetch(statement, workspace_id, keys)
            found |= {(kind, row["key"]): row["id"] for row in rows}
    return found


async def add(
    tx: Connection,
    workspace_id: UUID,
    event_ids: Sequence[UUID],
    contact_ids: Sequence[UUID],
    types: Sequence[str],
    times: Sequence[datetime],
    properties: Sequence[Mapping[str, Any]],
) -> int:
    """Store what is not stored yet, except about people who were erased; how many that was."""
    await tx.fetch(_MEET_ERASURE, workspace_id, contact_ids)
    return len(await tx.fetch(_ADD, workspace_id, event_ids, contact_ids, types, times, properties))
