"""Which events may be told from outside, and what becomes of those about contacts that nobody knows."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.domain import own_events
from contacts.domain.values import AttributeType

_INSERT = """
insert into event_definitions (workspace_id, name, label, properties) values ($1, $2, $3, $4)
on conflict do nothing returning *
"""
_CHANGE = """
update event_definitions set label = $3, properties = $4, revision = revision + 1
 where workspace_id = $1 and name = $2 returning *
"""
_POLICY = """
insert into event_policies as p (workspace_id, unknown_contacts, keep_days) values ($1, $2, $3)
on conflict (workspace_id) do update
   set unknown_contacts = excluded.unknown_contacts, keep_days = excluded.keep_days, revision = p.revision + 1,
       updated_at = now()
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
    tx: Connection, workspace_id: UUID, names: Sequence[str] | None
) -> dict[str, Mapping[str, AttributeType]]:
    """Name → property → type, of these (None: all) that are defined, Barid's own among them."""
    rows = await tx.fetch(
        "select name, properties from event_definitions"
        " where workspace_id = $1 and ($2::text[] is null or name = any ($2))",
        workspace_id,
        names,
    )
    own = {name: types for name, types in own_events.DEFINED.items() if names is None or name in names}
    return {row["name"]: row["properties"] for row in rows} | own


async def policy(tx: Connection, workspace_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """What the workspace wants done with events about unknown contacts, if it has said."""
    return await tx.fetchrow(
        f"select * from event_policies where workspace_id = $1{' for update' if lock else ''}",  # noqa: S608
        workspace_id,
    )


async def put_policy(tx: Connection, workspace_id: UUID, unknown_contacts: str, keep_days: int) -> None:
    """Say it, or say it anew."""
    await tx.execute(_POLICY, workspace_id, unknown_contacts, keep_days)
