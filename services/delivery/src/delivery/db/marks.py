"""The mark: one statement takes due messages, checks blocks and campaign state, and writes the intents."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg
from common.db.pool import Connection

# Active mailings are few; each is probed per provider through messages_due. Lanes in order, then workspaces in turn.
# The share lock on the mailing makes a pause wait for the marks under way: who sees the pause sees their intents.
_TAKE = """
with want as materialized (
  select w.workspace_id, w.id, w.lane, w.purpose_id, w.traceparent from mailings w
   where w.active and w.started and w.state = 'running' and w.held_reason is null
     and (w.send_until is null or w.send_until > now())
     and exists (select from mailers where id = $1 and epoch = $2 and expires_at > now())
   for share of w skip locked
), due as (
  select w.lane, w.purpose_id, r.workspace_id, r.id, p.quota,
         row_number() over (partition by w.lane, w.workspace_id order by r.next_at, r.id) as turn,
         row_number() over (partition by p.provider order by w.lane, r.next_at, r.id) as of_provider
    from want w cross join unnest($4::text[], $5::int[]) as p (provider, quota)
    cross join lateral (
      select m.workspace_id, m.id, m.next_at from messages m
       where m.workspace_id = w.workspace_id and m.mailing_id = w.id and m.provider = p.provider
         and m.status in ('pending', 'deferred') and m.next_at <= now()
       order by m.next_at, m.id limit least(p.quota, $3) * 2
    ) r
), picked as (
  select workspace_id, id, lane, purpose_id, turn from due
   where of_provider <= quota * 2 order by lane, turn limit $3 * 2
), locked as (
  select m.workspace_id, m.id, m.kind, m.contact_id, m.email, m.address_hash, m.domain_hash, p.purpose_id
    from picked p join messages m on m.workspace_id = p.workspace_id and m.id = p.id
   where m.status in ('pending', 'deferred') and m.next_at <= now()
   order by p.lane, p.turn limit $3 for update of m skip locked
), verdict as (
  select l.workspace_id, l.id, case when l.email is null then 'erased' else (
    select case when b.own_id is not null then b.own_reason else b.told_reason end from blocks b
     where b.workspace_id = l.workspace_id and (b.own_id is not null or b.told_blocked)
       and ((b.scope = 'address' and b.subject = l.address_hash)
         or (b.scope = 'domain' and b.subject = l.domain_hash)
         or (b.scope = 'consent' and l.kind <> 'test'
             and b.subject = uuid_send(l.contact_id) || uuid_send(l.purpose_id)
             and (l.kind = 'campaign' or b.own_id is not null or b.told_reason = 'unsubscribed')))
     limit 1) end as reason
    from locked l
), moved as (
  update messages m
     set status = case when v.reason is null then 'attempting' else 'suppressed' end, class = coalesce(v.reason, ''),
         attempt = m.attempt + (v.reason is null)::int, revision = m.revision + 1, mailer_id = $1, mailer_epoch = $2
    from verdict v where m.workspace_id = v.workspace_id and m.id = v.id
  returning m.workspace_id, m.id, m.mailing_id, m.contact_id, m.kind, m.lane, m.email, m.language, m.timezone,
            m.country, m.tracking, m.fields, m.variant_id, m.provider, m.status, m.class, m.attempt, m.revision,
            m.first_4xx_at
), intent as (
  insert into intents (workspace_id, mailer_id, mailer_epoch, ids)
  select workspace_id, $1, $2, array_agg(id) from moved where status = 'attempting' group by workspace_id
)
select m.*, w.traceparent from moved m join want w on w.workspace_id = m.workspace_id and w.id = m.mailing_id
"""

# Outcomes commit in another order than marks: what is done leaves its intent, an empty intent goes. An id that is
# attempting again, because this outcome had been written before, stays.
_UNMARK = """
with done as (
  select m.workspace_id, array_agg(m.id) as ids from unnest($3::uuid[], $4::uuid[]) as d (workspace_id, id)
    join messages m on m.workspace_id = d.workspace_id and m.id = d.id
   where m.status <> 'attempting' group by 1
), emptied as (
  delete from intents i using done d
   where i.mailer_id = $1 and i.mailer_epoch = $2 and i.workspace_id = d.workspace_id and i.ids <@ d.ids
)
update intents i set ids = (select array_agg(x) from unnest(i.ids) x where x <> all(d.ids))
  from done d
 where i.mailer_id = $1 and i.mailer_epoch = $2 and i.workspace_id = d.workspace_id and i.ids && d.ids
   and not i.ids <@ d.ids
"""

# Messages before intents, as where outcomes are written.
_GIVE_BACK = """
update messages m
   set status = case when m.email is null then 'suppressed' else 'pending' end,
       class = case when m.email is null then 'erased' else '' end, revision = m.revision + 1
  from intents i
 where i.mailer_id = $1 and i.mailer_epoch = $2 and m.workspace_id = i.workspace_id and m.id = any(i.ids)
   and m.id <> all($3) and m.status = 'attempting' and m.mailer_id = $1 and m.mailer_epoch = $2
"""

_KEEP = """
update intents i set ids = (select coalesce(array_agg(x), '{}') from unnest(i.ids) x where x = any($3))
 where i.mailer_id = $1 and i.mailer_epoch = $2 and exists (select from unnest(i.ids) x where x <> all($3))
"""

_STATES = """
select m.workspace_id, m.id from unnest($1::uuid[], $2::uuid[]) as u (workspace_id, id)
  join mailings m on m.workspace_id = u.workspace_id and m.id = u.id
 where m.state <> 'running' or m.held_reason is not null
"""


async def take(
    tx: Connection, mailer_id: UUID, epoch: int, limit: int, quotas: Mapping[str, int]
) -> list[asyncpg.Record]:
    """Mark up to `limit` due messages; those blocked come back as suppressed. Empty without a standing lease."""
    return await tx.fetch(_TAKE, mailer_id, epoch, limit, list(quotas), list(quotas.values()))


async def unmark(tx: Connection, mailer_id: UUID, epoch: int, workspace_ids: list[UUID], ids: list[UUID]) -> None:
    """Take ids out of their intents; with their outcomes, in one transaction."""
    await tx.execute(_UNMARK, mailer_id, epoch, workspace_ids, ids)


async def give_back_unknown(tx: Connection, mailer_id: UUID, epoch: int, known: list[UUID]) -> None:
    """After a mark of which nobody knows whether it was committed: what the mailer never got is pending again."""
    await tx.execute(_GIVE_BACK, mailer_id, epoch, known)
    await tx.execute(_KEEP, mailer_id, epoch, known)


async def stopped(tx: Connection, keys: list[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Which of these mailings are paused, cancelled or held now."""
    rows = await tx.fetch(_STATES, [key[0] for key in keys], [key[1] for key in keys])
    return {(row["workspace_id"], row["id"]) for row in rows}
