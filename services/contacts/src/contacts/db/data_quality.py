"""How good the contacts of a workspace are, reckoned whole and kept by the day."""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from common.db.pool import Connection

FIELDS = ("first_name", "last_name", "language", "timezone", "country", "phone", "company", "city", "external_id")
FLAGS = ("role", "disposable", "freemail")
DECAY_DAYS = 180

# One pass over the people, one over what happened to them of late; nothing is counted when somebody asks.
_RECKON = f"""
with people as (
  select count(*) as contacts,
         jsonb_build_object({", ".join(f"'{name}', count({name})" for name in FIELDS)}) as filled,
         jsonb_build_object({
    ", ".join(f"'{name}', count(*) filter (where provenance ? '{name}')" for name in FIELDS)
}) as concluded,
         jsonb_build_object({
    ", ".join(f"'{name}', count(*) filter (where '{name}' = any(flags))" for name in FLAGS)
}) as flags,
         count(*) filter (where
           exists (select from suppressions s where s.workspace_id = $1 and s.scope = 'address'
                      and s.hash = c.address_hash and s.active and (s.expires_at is null or s.expires_at > now()))
           or exists (select from suppressions s where s.workspace_id = $1 and s.scope = 'domain'
                      and s.hash = c.domain_hash and s.active and (s.expires_at is null or s.expires_at > now()))
         ) as unreachable
    from contacts c where workspace_id = $1
), late as (
  select bool_or(type = 'email.sent') as sent, bool_or(type = 'email.bounced') as bounced,
         bool_or(type in ('email.opened', 'email.clicked', 'email.replied') and not machine) as awake
    from activity
   where workspace_id = $1 and at > now() - make_interval(days => $2)
     and type in ('email.sent', 'email.bounced', 'email.opened', 'email.clicked', 'email.replied')
   group by contact_id
), decay as (
  select count(*) filter (where bounced) as bounced,
         count(*) filter (where sent and awake is not true) as asleep
    from late
)
insert into data_quality (workspace_id, day, at, contacts, measures)
select $1, current_date, now(), contacts,
       jsonb_build_object('filled', filled, 'concluded', concluded, 'flags', flags, 'unreachable', unreachable,
                          'bounced', bounced, 'asleep', asleep, 'duplicates',
                          (select count(*) from duplicate_pairs where workspace_id = $1 and decision is null))
  from people, decay
on conflict (workspace_id, day) do update
   set at = excluded.at, contacts = excluded.contacts, measures = excluded.measures
"""  # noqa: S608


async def reckon(tx: Connection, workspace_id: UUID) -> None:
    """Reckon a workspace's state, in the place of the one of earlier today."""
    await tx.execute(_RECKON, workspace_id, DECAY_DAYS)


async def latest(tx: Connection, workspace_id: UUID) -> asyncpg.Record | None:
    """The last state; None before the first."""
    return await tx.fetchrow(
        "select * from data_quality where workspace_id = $1 order by day desc limit 1", workspace_id
    )


async def page(tx: Connection, workspace_id: UUID, before: datetime | None, limit: int) -> list[asyncpg.Record]:
    """One state a day, the newest first."""
    return await tx.fetch(
        "select * from data_quality where workspace_id = $1 and ($2::timestamptz is null or at < $2)"
        " order by day desc limit $3",
        workspace_id,
        before,
        limit,
    )


async def forget(tx: Connection, age: timedelta) -> None:
    """Drop what is older."""
    await tx.execute("delete from data_quality where day < (now() - $1::interval)::date", age)
