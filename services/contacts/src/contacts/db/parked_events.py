"""Events that wait for their contact."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_PARK = """
insert into parked_events (workspace_id, event_id, type, at, properties, email_normalised, address_hash, external_id,
                           expires_at)
select $1, t.e, t.k, t.at, t.p, t.m, t.h, t.x, now() + $9::interval
  from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::jsonb[], $6::text[], $7::bytea[], $8::text[])
       with ordinality as t(e, k, at, p, m, h, x, n)
 order by t.e, t.n
on conflict do nothing
returning event_id
"""
_FOUND = """
select workspace_id from parked_events where contact_id is not null group by 1 limit 100
"""
_TAKE = """
delete from parked_events p
 using (select event_id from parked_events where workspace_id = $1 and contact_id is not null
         order by event_id limit $2 for update skip locked) t
 where p.workspace_id = $1 and p.event_id = t.event_id
returning p.event_id, p.contact_id, p.type, p.at, p.properties
"""
# A contact whose transaction was open while the event was parked, and so did not see it; and one that was merged.
_LOOK_AGAIN = """
update parked_events p set contact_id = f.id
  from (select n.workspace_id, n.event_id, c.id
          from parked_events n
          join contacts c on c.workspace_id = n.workspace_id and c.email_normalised = n.email_normalised
         where n.parked_at > now() - $1::interval and n.contact_id is null
        union all
        select n.workspace_id, n.event_id, c.id
          from parked_events n
          join contacts c on c.workspace_id = n.workspace_id and c.external_id = n.external_id
         where n.parked_at > now() - $1::interval and n.contact_id is null
        union all
        select n.workspace_id, n.event_id, a.contact_id
          from contact_aliases a
          join parked_events n on n.workspace_id = a.workspace_id and n.address_hash = a.address_hash
         where n.contact_id is null) f
 where p.workspace_id = f.workspace_id and p.event_id = f.event_id and p.contact_id is null
"""
_FORGET = """
delete from parked_events where (workspace_id, event_id) in (
  select workspace_id, event_id from parked_events where expires_at < now() limit $1 for update skip locked)
"""


class Waiting(NamedTuple):
    """An event of somebody unknown, checked: by address with its keyed hash, or by external id."""

    event_id: UUID
    type: str
    at: datetime
    properties: Mapping[str, Any]
    email: str | None
    address_hash: bytes | None
    external_id: str | None


async def count(tx: Connection, workspace_id: UUID, most: int) -> int:
    """How many wait; not counted further than `most`."""
    found: int = await tx.fetchval(
        "select count(*) from (select from parked_events where workspace_id = $1 limit $2) p", workspace_id, most
    )
    return found


async def park(tx: Connection, workspace_id: UUID, waiting: Sequence[Waiting], keep: timedelta) -> int:
    """Keep events until then; how many were new."""
    columns = map(list, zip(*waiting, strict=True))
    return len(await tx.fetch(_PARK, workspace_id, *columns, keep))


async def workspaces_with_found(tx: Connection) -> list[UUID]:
    """Where events have found their contact."""
    return [row["workspace_id"] for row in await tx.fetch(_FOUND)]


async def take_found(tx: Connection, workspace_id: UUID, most: int) -> list[asyncpg.Record]:
    """Events that have found their contact; gone from here when the transaction is committed."""
    return await tx.fetch(_TAKE, workspace_id, most)


async def look_again(tx: Connection, younger_than: timedelta) -> None:
    """Find the contacts of events parked lately, which the triggers on contacts may have missed."""
    await tx.execute(_LOOK_AGAIN, younger_than)


async def forget_expired(tx: Connection, most: int) -> int:
    """Delete events that waited too long; how many."""
    return int((await tx.execute(_FORGET, most)).split()[-1])
