"""Visitors of web sites, and what they did before anybody knew who they are."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from common.db.pool import Connection

# A merged contact's browser is that of whom it has become.
_PERSON = """
select c.id, c.tracking
  from (select coalesce((select contact_id from contact_aliases where workspace_id = $1 and alias_id = $2), $2) as id) w
  join contacts c on c.workspace_id = $1 and c.id = w.id
   for key share of c
"""
_SEEN = """
insert into visitors as v (workspace_id, id, site_id, contact_id, consent, expires_at)
values ($1, $2, $3, $4, $5, now() + $6::interval)
on conflict (workspace_id, id) do update
   set last_at = now(), expires_at = now() + $6::interval, consent = excluded.consent,
       contact_id = coalesce(excluded.contact_id, v.contact_id)
returning contact_id
"""
# A page that is read on says so again: the longest time stands.
_READ_ON = """
update {table} e set properties = e.properties || jsonb_build_object('seconds', t.s)
  from unnest($2::uuid[], $3::float8[]) as t(e, s)
 where e.workspace_id = $1 and e.event_id = t.e and e.type = 'page.read' and {whose} = $4
   and (e.properties ->> 'seconds')::float8 < t.s
"""
_KEEP = """
with new as (
  insert into visitor_events (workspace_id, visitor_id, event_id, type, at, properties, machine, expires_at)
  select $1, $2, t.e, t.k, t.at, t.p, t.m, now() + $8::interval
    from unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::jsonb[], $7::boolean[])
         with ordinality as t(e, k, at, p, m, n)
   where (select events from visitors where workspace_id = $1 and id = $2) < $9
   order by t.e, t.n
  on conflict do nothing
  returning event_id)
update visitors set events = events + (select count(*) from new) where workspace_id = $1 and id = $2
"""
_TAKE = """
with taken as (
  delete from visitor_events where workspace_id = $1 and visitor_id = $2
  returning event_id, type, at, properties, machine),
none as (update visitors set events = 0 where workspace_id = $1 and id = $2)
select * from taken order by at, event_id
"""
_FORGET = (
    "with gone as (delete from visitors where workspace_id = $1 and id = $2)"
    " delete from visitor_events where workspace_id = $1 and visitor_id = $2"
)
_EXPIRE = """
delete from {table} where ctid in (select ctid from {table} where expires_at < now() limit $1 for update skip locked)
"""


class Hit(NamedTuple):
    """Something a page told, checked."""

    event_id: UUID
    type: str
    at: datetime
    properties: dict[str, Any]
    machine: bool


async def contact_of(tx: Connection, workspace_id: UUID, visitor_id: UUID) -> UUID | None:
    """Whose browser it is, if that is known."""
    found: UUID | None = await tx.fetchval(
        "select contact_id from visitors where workspace_id = $1 and id = $2", workspace_id, visitor_id
    )
    return found


async def person(tx: Connection, workspace_id: UUID, contact_id: UUID) -> asyncpg.Record | None:
    """Who that is now, kept from being erased meanwhile, and what they say of being tracked."""
    return await tx.fetchrow(_PERSON, workspace_id, contact_id)


async def seen(
    tx: Connection,
    workspace_id: UUID,
    visitor_id: UUID,
    site_id: UUID,
    contact_id: UUID | None,
    consent: str,
    keep: timedelta,
) -> UUID | None:
    """A visitor is there, and locked; whose browser it is."""
    found: UUID | None = await tx.fetchval(_SEEN, workspace_id, visitor_id, site_id, contact_id, consent, keep)
    return found


async def read_on(
    tx: Connection, workspace_id: UUID, visitor_id: UUID, contact_id: UUID | None, hits: Sequence[Hit]
) -> None:
    """Pages told of before were read for longer."""
    read = [one for one in hits if one.type == "page.read"]
    if not read:
        return
    table, whose = ("activity", "e.contact_id") if contact_id else ("visitor_events", "e.visitor_id")
    await tx.execute(
        _READ_ON.format(table=table, whose=whose),
        workspace_id,
        [one.event_id for one in read],
        [float(one.properties["seconds"]) for one in read],
        contact_id or visitor_id,
    )


async def keep(
    tx: Connection, workspace_id: UUID, visitor_id: UUID, hits: Sequence[Hit], age: timedelta, most: int
) -> None:
    """Keep what an unknown visitor did; nothing more of one who has `most` waiting."""
    await tx.execute(_KEEP, workspace_id, visitor_id, *map(list, zip(*hits, strict=True)), age, most)


async def take(tx: Connection, workspace_id: UUID, visitor_id: UUID) -> list[Hit]:
    """What a visitor did while unknown; gone from here when the transaction is committed."""
    return [Hit(*row) for row in await tx.fetch(_TAKE, workspace_id, visitor_id)]


async def forget(tx: Connection, workspace_id: UUID, visitor_id: UUID) -> None:
    """A visitor was never there."""
    await tx.execute(_FORGET, workspace_id, visitor_id)


async def expire(tx: Connection, most: int) -> int:
    """Delete what was kept for as long as its site says; how much of one table at most."""
    gone = [await tx.execute(_EXPIRE.format(table=table), most) for table in ("visitor_events", "visitors")]
    return max(int(status.split()[-1]) for status in gone)
