"""Webinars and events. Who registered, attended and missed is activity, found by `activity_occasion`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.domain.attendance import PREFIX

# As the index says it. The first of a person's types by the alphabet is their status.
_ATTENDANCE = "type in ('occasion.registered', 'occasion.attended', 'occasion.missed')"
_INSERT = """
insert into occasions (workspace_id, id, kind, title, starts_at, ends_at, timezone, url, missed_after_hours, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning *
"""
# An end that is put off opens it again.
_CHANGE = """
update occasions
   set kind = $3, title = $4, starts_at = $5, ends_at = $6, timezone = $7, url = $8, missed_after_hours = $9,
       closed_at = case when $6::timestamptz + make_interval(hours => $9) > now() then null else closed_at end,
       deleted = $10, revision = revision + 1, updated_at = now()
 where workspace_id = $1 and id = $2 returning *
"""
_LOCK = """
select from occasions where workspace_id = $1 and id = any ($2::uuid[]) order by id for no key update
"""
_STANDINGS = f"""
select properties ->> 'occasion_id' as occasion_id, contact_id, min(type) as type
  from activity
 where workspace_id = $1 and {_ATTENDANCE} and properties ->> 'occasion_id' = any ($2::text[])
   and contact_id = any ($3::uuid[])
 group by 1, 2
"""  # noqa: S608
_WITHDRAW = """
with gone as (
  delete from activity a using unnest($2::text[], $3::uuid[]) as t(o, c)
   where a.workspace_id = $1 and a.type = 'occasion.missed' and a.properties ->> 'occasion_id' = t.o
     and a.contact_id = t.c
  returning a.contact_id)
insert into segment_touched (workspace_id, bulk, contact_ids, what)
select $1, count(*) > 100, array_agg(distinct contact_id), '{occasion.missed}' from gone having count(*) > 0
"""
_COUNTS = f"""
select type, count(*) as people
  from (select contact_id, min(type) as type from activity
         where workspace_id = $1 and {_ATTENDANCE} and properties ->> 'occasion_id' = $2 group by contact_id) a
 group by type
"""  # noqa: S608
_ATTENDEES = f"""
select a.*, c.email, c.first_name, c.last_name
  from (select contact_id, min(type) as type,
               min(at) filter (where type = 'occasion.registered') as registered_at,
               min(at) filter (where type = 'occasion.attended') as attended_at,
               min(at) filter (where type = 'occasion.missed') as missed_at
          from activity
         where workspace_id = $1 and {_ATTENDANCE} and properties ->> 'occasion_id' = $2
           and ($3::uuid is null or contact_id > $3)
         group by contact_id
        having $4::text is null or min(type) = $4
         order by contact_id limit $5) a
  join contacts c on c.workspace_id = $1 and c.id = a.contact_id
 order by a.contact_id
"""  # noqa: S608
_WAITING = f"""
select contact_id from activity
 where workspace_id = $1 and {_ATTENDANCE} and properties ->> 'occasion_id' = $2
 group by contact_id having min(type) = 'occasion.registered' limit $3
"""  # noqa: S608
_DUE = """
select workspace_id, id from occasions
 where closed_at is null and not deleted and ends_at < now()
   and ends_at + make_interval(hours => missed_after_hours) < now()
 order by ends_at limit $1
"""
FIELDS = ("kind", "title", "starts_at", "ends_at", "timezone", "url", "missed_after_hours")


async def insert(
    tx: Connection, workspace_id: UUID, occasion_id: UUID, fields: Mapping[str, Any], created_by: str
) -> asyncpg.Record:
    """A new one."""
    row = await tx.fetchrow(_INSERT, workspace_id, occasion_id, *(fields[name] for name in FIELDS), created_by)
    assert row is not None  # noqa: S101
    return row


async def find(tx: Connection, workspace_id: UUID, occasion_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One that is not deleted."""
    return await tx.fetchrow(
        "select * from occasions where workspace_id = $1 and id = $2 and not deleted"  # noqa: S608
        f"{' for no key update' if lock else ''}",
        workspace_id,
        occasion_id,
    )


async def page(
    tx: Connection, workspace_id: UUID, before: tuple[datetime, UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """Those that are not deleted, the latest first."""
    at, last = before or (None, None)
    return await tx.fetch(
        "select * from occasions where workspace_id = $1 and not deleted"
        " and ($2::timestamptz is null or (starts_at, id) < ($2, $3::uuid)) order by starts_at desc, id desc limit $4",
        workspace_id,
        at,
        last,
        limit,
    )


async def change(
    tx: Connection, workspace_id: UUID, occasion_id: UUID, fields: Mapping[str, Any], *, deleted: bool = False
) -> asyncpg.Record:
    """Write a locked one."""
    row = await tx.fetchrow(_CHANGE, workspace_id, occasion_id, *(fields[name] for name in FIELDS), deleted)
    assert row is not None  # noqa: S101
    return row


async def lock(tx: Connection, workspace_id: UUID, occasion_ids: Sequence[UUID]) -> None:
    """Nobody else changes who attends these until the transaction ends."""
    await tx.fetch(_LOCK, workspace_id, occasion_ids)


async def standings(
    tx: Connection, workspace_id: UUID, occasion_ids: Sequence[UUID], contact_ids: Sequence[UUID]
) -> dict[tuple[UUID, UUID], str]:
    """Occasion and contact → status, of those who have one."""
    rows = await tx.fetch(_STANDINGS, workspace_id, [str(one) for one in occasion_ids], contact_ids)
    return {(UUID(row["occasion_id"]), row["contact_id"]): row["type"].removeprefix(PREFIX) for row in rows}


async def withdraw_missed(tx: Connection, workspace_id: UUID, who: Sequence[tuple[UUID, UUID]]) -> None:
    """They attended after all: what their rules say of having missed holds no more."""
    await tx.execute(_WITHDRAW, workspace_id, [str(occasion) for occasion, _ in who], [contact for _, contact in who])


async def reopen(tx: Connection, workspace_id: UUID, occasion_ids: Sequence[UUID]) -> None:
    """Somebody registered late: look again who missed it."""
    await tx.execute(
        "update occasions set closed_at = null"
        " where workspace_id = $1 and id = any ($2::uuid[]) and closed_at is not null",
        workspace_id,
        occasion_ids,
    )


async def counts(tx: Connection, workspace_id: UUID, occasion_id: UUID) -> dict[str, int]:
    """How many people are in each status."""
    rows = await tx.fetch(_COUNTS, workspace_id, str(occasion_id))
    return {row["type"].removeprefix(PREFIX): row["people"] for row in rows}


async def attendees(
    tx: Connection, workspace_id: UUID, occasion_id: UUID, status: str | None, after: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Who is in this status, or in any."""
    wanted = PREFIX + status if status else None
    return await tx.fetch(_ATTENDEES, workspace_id, str(occasion_id), after, wanted, limit)


async def waiting(tx: Connection, workspace_id: UUID, occasion_id: UUID, most: int) -> list[UUID]:
    """Some of those who registered and of whom nothing was heard since."""
    return [row["contact_id"] for row in await tx.fetch(_WAITING, workspace_id, str(occasion_id), most)]


async def due(tx: Connection, most: int) -> list[tuple[UUID, UUID]]:
    """Those that have been over for long enough: workspace and id."""
    return [(row["workspace_id"], row["id"]) for row in await tx.fetch(_DUE, most)]


async def close(tx: Connection, workspace_id: UUID, occasion_id: UUID) -> None:
    """Everybody who registered has attended or missed it."""
    await tx.execute(
        "update occasions set closed_at = now() where workspace_id = $1 and id = $2", workspace_id, occasion_id
    )
