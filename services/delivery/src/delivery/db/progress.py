"""The counters of campaigns: read for publishing, recounted when the books close."""

from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_DUE = """
select workspace_id, mailing_id, revision, published from progress
 where dirty and (published_at is null or published_at <= now() - interval '900 milliseconds')
 order by workspace_id, mailing_id limit $1 for update skip locked
"""

_STATES = """
select w.workspace_id, w.id, w.at, w.active, w.eligible, w.state_revision, w.uncertain_policy, w.state,
       exists (select from intents i join messages m on m.workspace_id = i.workspace_id and m.id = any(i.ids)
                where i.workspace_id = w.workspace_id and m.mailing_id = w.id) as marked,
       w.uncertain_policy = 'retry_once' and exists (
         select from messages m where m.workspace_id = w.workspace_id and m.mailing_id = w.id
            and m.status = 'uncertain' and not m.resent and m.email is not null) as unsent_uncertain,
       (select coalesce(jsonb_object_agg(c.status || ':' || c.class, c.n), '{}') from message_counts c
         where c.workspace_id = w.workspace_id and c.mailing_id = w.id) as counts
  from mailings w where (w.workspace_id, w.id) in (select * from unnest($1::uuid[], $2::uuid[]))
"""

_STANDING = """
select status, sum(n)::bigint as n from (
  select case when c.status in ('pending', 'deferred') and (w.state <> 'running' or w.held_reason is not null)
              then 'held' else c.status end as status, c.n
    from message_counts c join mailings w on w.workspace_id = c.workspace_id and w.id = c.mailing_id
   where c.status in ('pending', 'attempting', 'deferred', 'uncertain') and c.n > 0
  union all
  select m.status, 1 from mailings w join messages m on m.workspace_id = w.workspace_id and m.mailing_id = w.id
   where w.active and w.kind <> 'campaign' and m.status in ('pending', 'attempting', 'deferred', 'uncertain')
) t group by status
"""

_RECOUNT = """
select coalesce(jsonb_object_agg(status || ':' || class, n), '{}') from (
  select status, class, count(*) as n from messages where workspace_id = $1 and mailing_id = $2 group by 1, 2) t
"""

_MEND = """
with real as (
  select status, class, count(*) as n from messages where workspace_id = $1 and mailing_id = $2 group by 1, 2
), gone as (
  delete from message_counts where workspace_id = $1 and mailing_id = $2
     and (status, class) not in (select status, class from real)
)
insert into message_counts as c (workspace_id, mailing_id, status, class, n)
select $1, $2, status, class, n from real
on conflict (workspace_id, mailing_id, status, class) do update set n = excluded.n
"""

_PUBLISHED = """
update progress set published = $3, published_at = now(), dirty = $4, revision = revision + $5
 where workspace_id = $1 and mailing_id = $2
"""


async def due(tx: Connection, limit: int = 100) -> list[asyncpg.Record]:
    """Campaigns whose counters changed since they were told, at most once a second each; locked."""
    return await tx.fetch(_DUE, limit)


async def states(tx: Connection, workspace_ids: list[UUID], ids: list[UUID]) -> list[asyncpg.Record]:
    """Counters, applied state and whether any message is under an intent: one snapshot, after the lock."""
    return await tx.fetch(_STATES, workspace_ids, ids)


async def standing(tx: Connection) -> dict[str, int]:
    """Messages by status that are open or uncertain, of all campaigns; of other mail, while it is active."""
    return {row["status"]: row["n"] for row in await tx.fetch(_STANDING)}


async def recount(tx: Connection, workspace_id: UUID, mailing_id: UUID) -> dict[str, int]:
    """The ledger counted row by row."""
    counts: dict[str, int] = await tx.fetchval(_RECOUNT, workspace_id, mailing_id)
    return counts


async def mend(tx: Connection, workspace_id: UUID, mailing_id: UUID) -> None:
    """Set the counters to what the ledger says."""
    await tx.execute(_MEND, workspace_id, mailing_id)


async def published(
    tx: Connection, workspace_id: UUID, mailing_id: UUID, told: dict[str, Any], *, again: bool, bump: int
) -> None:
    """Note what was told. `again`: something, such as a state, still waits to be confirmed."""
    await tx.execute(_PUBLISHED, workspace_id, mailing_id, told, again, bump)
