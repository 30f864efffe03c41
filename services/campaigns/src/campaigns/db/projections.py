"""What contacts tells: segments, lists and contacts; and how far the telling has come."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_STORE_SOURCES = """
insert into audience_sources (workspace_id, kind, id, name, deleted, revision)
select distinct on (workspace_id, id) workspace_id, $1, id, name, deleted, revision
from unnest($2::uuid[], $3::uuid[], $4::text[], $5::boolean[], $6::bigint[])
  as n (workspace_id, id, name, deleted, revision)
order by workspace_id, id, revision desc
on conflict (workspace_id, kind, id) do update
  set name = excluded.name, deleted = excluded.deleted, revision = excluded.revision
  where excluded.revision > audience_sources.revision
"""
_MISSING = """
select w.kind, w.id from unnest($2::text[], $3::uuid[]) as w (kind, id)
where not exists (
  select from audience_sources s
  where s.workspace_id = $1 and s.kind = w.kind and s.id = w.id and not s.deleted)
"""
_STORE_LEADS = """
insert into leads (workspace_id, contact_id, revision, data)
select distinct on (workspace_id, contact_id) workspace_id, contact_id, revision, data::jsonb
from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[]) as n (workspace_id, contact_id, revision, data)
order by workspace_id, contact_id, revision desc
on conflict (workspace_id, contact_id) do update set revision = excluded.revision, data = excluded.data
  where excluded.revision > leads.revision and not leads.erased
"""
_ERASE_LEADS = """
insert into leads (workspace_id, contact_id, revision, data, erased)
select distinct workspace_id, contact_id, 0, null::jsonb, true
from unnest($1::uuid[], $2::uuid[]) as n (workspace_id, contact_id)
order by workspace_id, contact_id
on conflict (workspace_id, contact_id) do update set data = null, erased = true, revision = 0 where not leads.erased
"""
_LEAD = "select data, erased from leads where workspace_id = $1 and contact_id = $2"
# Members of the group work side by side: none waits for another's transaction only to say how far it is.
_HANDLED = """
with free as (select name from projection_progress where name = $1 for update skip locked)
update projection_progress p set event_at = $2, handled_at = now() from free where p.name = free.name
"""
_ALIVE = """
insert into projection_progress (name, alive_at) values ($1, now())
on conflict (name) do update set alive_at = excluded.alive_at
"""
_LAG = """
select case
  when alive_at < clock_timestamp() - $2 * interval '1 second' then extract(epoch from clock_timestamp() - alive_at)
  when handled_at > clock_timestamp() - interval '20 seconds' and handled_at - event_at > $3 * interval '1 second'
  then extract(epoch from handled_at - event_at) end::float8
from projection_progress where name = $1
"""


async def store_sources(tx: Connection, kind: str, rows: Sequence[tuple[UUID, UUID, str, bool, int]]) -> None:
    """Segments or lists as told: (workspace, id, name, deleted, revision). The highest revision stands."""
    workspaces, ids, names, deleted, revisions = zip(*rows, strict=True)
    await tx.execute(_STORE_SOURCES, kind, workspaces, ids, names, deleted, revisions)


async def missing_sources(
    tx: Connection, workspace_id: UUID, wanted: Sequence[tuple[str, UUID]]
) -> list[tuple[str, UUID]]:
    """Those of the wanted (kind, id) that this workspace does not have."""
    kinds, ids = zip(*wanted, strict=True)
    return [(row["kind"], row["id"]) for row in await tx.fetch(_MISSING, workspace_id, kinds, ids)]


async def store_leads(tx: Connection, rows: Sequence[tuple[UUID, UUID, int, str]]) -> None:
    """Contacts as told: (workspace, contact, revision, JSON text). Never passes a tombstone."""
    workspaces, ids, revisions, data = zip(*rows, strict=True)
    await tx.execute(_STORE_LEADS, workspaces, ids, revisions, data)


async def erase_leads(tx: Connection, rows: Sequence[tuple[UUID, UUID]]) -> None:
    """Leave tombstones of these (workspace, contact)."""
    workspaces, ids = zip(*rows, strict=True)
    await tx.execute(_ERASE_LEADS, workspaces, ids)


async def lead(tx: Connection, workspace_id: UUID, contact_id: UUID) -> asyncpg.Record | None:
    """One contact, or its tombstone."""
    return await tx.fetchrow(_LEAD, workspace_id, contact_id)


async def handled(tx: Connection, name: str, event_at: datetime) -> None:
    """Events up to about this time are in."""
    await tx.execute(_HANDLED, name, event_at)


async def alive(tx: Connection, name: str) -> None:
    """The consumer lives, and hears from the bus."""
    await tx.execute(_ALIVE, name)


async def lag_s(tx: Connection, name: str, silent_s: float, late_s: float) -> float | None:
    """How far the consumer is behind: silent for longer than `silent_s`, or its events late by more than `late_s`."""
    lag: float | None = await tx.fetchval(_LAG, name, silent_s, late_s)
    return lag
