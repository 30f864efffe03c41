"""The mark: one statement takes due messages, checks blocks and campaign state, and writes the intents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from common.db.pool import Connection

# The workspace of the platform's own route.
PLATFORM = UUID(int=0)

# Active mailings are few; each is probed per provider through messages_due. Lanes in order, then workspaces in turn.
# The share lock on the mailing makes a pause wait for the marks under way: who sees the pause sees their intents.
# `way`: whose routes a workspace's mail goes over, its own or the platform's. A way has a quota per provider; several
# providers can share the room of one bucket. `warm`: plans of sending domains; single mail is not held back by them.
# A block is looked up by its whole key, one scope after the other: of those of a workspace there may be millions.
# Candidates are more than are wanted, as others may hold some of them; `granted` takes no more than there is room for.
# A message that was due and had to wait for us does not grow older by it: first_4xx_at moves along. What it waited
# while its campaign was paused is in that campaign's clock already.
TAKE = """
with want as materialized (
  select w.workspace_id, w.id, w.lane, w.purpose_id, w.traceparent, w.resumed_at, x.plan, x.allowance,
         case when w.workspace_id = any($9) then w.workspace_id else $10 end as way
    from mailings w
    left join unnest($11::uuid[], $12::text[], $13::int[], $14::int[]) as x (workspace_id, domain, plan, allowance)
      on x.workspace_id = w.workspace_id and x.domain = lower(split_part(w.sender ->> 'email', '@', 2))
   where w.active and w.started and w.state = 'running' and w.held_reason is null
     and (w.send_until is null or w.send_until > now())
     and (x.allowance > 0 or x.allowance is null or w.lane = 0)
     and exists (select from mailers where id = $1 and epoch = $2 and expires_at > now())
   for share of w skip locked
), due as (
  select w.lane, w.purpose_id, w.resumed_at, w.plan, w.allowance, r.workspace_id, r.id, p.quota, p.bucket, p.room,
         p.provider, row_number() over (partition by w.lane, w.workspace_id order by r.next_at, r.id) as turn
    from want w
    join unnest($4::uuid[], $5::text[], $6::int[], $7::int[], $8::int[]) as p (way, provider, quota, bucket, room)
      on p.way = w.way
    cross join lateral (
      select m.workspace_id, m.id, m.next_at from messages m
       where m.workspace_id = w.workspace_id and m.mailing_id = w.id and m.provider = p.provider
         and m.status in ('pending', 'deferred') and m.next_at <= now()
       order by m.next_at, m.id limit least(p.quota, $3) * 2
    ) r
), picked as (
  select * from (
    select d.*, row_number() over (partition by bucket, provider order by lane, turn) as of_provider,
           row_number() over (partition by bucket order by lane, turn) as of_bucket
      from due d) ranked
   where of_provider <= quota * 2 and of_bucket <= room * 2 order by lane, turn limit $3 * 2
), locked as (
  select m.workspace_id, m.id, m.kind, m.contact_id, m.email, m.address_hash, m.domain_hash, m.provider,
         p.purpose_id, p.lane, p.turn, p.plan, p.allowance, p.quota, p.bucket, p.room, p.resumed_at
    from picked p join messages m on m.workspace_id = p.workspace_id and m.id = p.id
   where m.status in ('pending', 'deferred') and m.next_at <= now()
   order by p.lane, p.turn limit $3 for update of m skip locked
), granted as (
  select * from (
    select l.*, row_number() over (partition by bucket, provider order by lane, turn) as of_provider,
           row_number() over (partition by bucket order by lane, turn) as of_bucket,
           case when lane > 0 then row_number() over (partition by plan order by lane, turn) end as of_plan
      from locked l) ranked
   where of_provider <= quota and of_bucket <= room and (plan is null or of_plan is null or of_plan <= allowance)
), verdict as materialized (
  select l.workspace_id, l.id, l.resumed_at, l.plan, case when l.email is null then 'erased' else coalesce(
    (select case when b.own_id is not null then b.own_reason else b.told_reason end from blocks b
      where b.workspace_id = l.workspace_id and b.scope = 'address' and b.subject = l.address_hash
        and (b.own_id is not null or b.told_blocked)),
    (select case when b.own_id is not null then b.own_reason else b.told_reason end from blocks b
      where b.workspace_id = l.workspace_id and b.scope = 'domain' and b.subject = l.domain_hash
        and (b.own_id is not null or b.told_blocked)),
    (select case when b.own_id is not null then b.own_reason else b.told_reason end from blocks b
      where b.workspace_id = l.workspace_id and b.scope = 'consent'
        and b.subject = uuid_send(l.contact_id) || uuid_send(l.purpose_id)
        and (b.own_id is not null or b.told_blocked)
        and (l.kind = 'campaign' or (l.kind <> 'test' and (b.own_id is not null or b.told_reason = 'unsubscribed'))))
  ) end as reason
    from granted l
), moved as (
  update messages m
     set status = case when v.reason is null then 'attempting' else 'suppressed' end, class = coalesce(v.reason, ''),
         attempt = m.attempt + (v.reason is null)::int, revision = m.revision + 1, mailer_id = $1, mailer_epoch = $2,
         first_4xx_at = m.first_4xx_at + (now() - greatest(m.next_at, v.resumed_at))
    from verdict v where m.workspace_id = v.workspace_id and m.id = v.id
  returning m.workspace_id, m.id, m.mailing_id, m.contact_id, m.kind, m.lane, m.email, m.language, m.timezone,
            m.country, m.tracking, m.fields, m.variant_id, m.provider, m.status, m.class, m.attempt, m.revision,
            m.first_4xx_at, v.plan
), intent as (
  insert into intents (workspace_id, mailer_id, mailer_epoch, ids)
  select workspace_id, $1, $2, array_agg(id) from moved where status = 'attempting' group by workspace_id
)
select m.*, w.traceparent, w.way from moved m join want w on w.workspace_id = m.workspace_id and w.id = m.mailing_id
 order by m.lane
"""

# Parts of a `with`: the ids of its part `done` leave the intents of a mailer ($1, $2). Outcomes commit in another order
# than marks: what is done leaves its intent, an empty intent goes.
LEAVE_INTENTS = """), emptied as (
  delete from intents i using done d
   where i.mailer_id = $1 and i.mailer_epoch = $2 and i.workspace_id = d.workspace_id and i.ids <@ d.ids
), left_over as (
  update intents i set ids = (select array_agg(x) from unnest(i.ids) x where x <> all(d.ids))
    from done d
   where i.mailer_id = $1 and i.mailer_epoch = $2 and i.workspace_id = d.workspace_id and i.ids && d.ids
     and not i.ids <@ d.ids
)"""

# An id that is attempting again, because this outcome had been written before, stays.
_UNMARK = f"""
with done as (
  select m.workspace_id, array_agg(m.id) as ids from unnest($3::uuid[], $4::uuid[]) as d (workspace_id, id)
    join messages m on m.workspace_id = d.workspace_id and m.id = d.id
   where m.status <> 'attempting' group by 1
{LEAVE_INTENTS}
select
"""  # noqa: S608 - the parts are constants

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


@dataclass(frozen=True, slots=True)
class Quota:
    """How many messages to a provider may be marked now, over the routes of a way.

    `bucket`, `room`: quotas of the same bucket together get no more than its room.
    """

    provider: str
    quota: int
    bucket: int
    room: int
    way: UUID = PLATFORM


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many messages from a sending domain may be marked now; several spellings share a plan."""

    workspace_id: UUID
    domain: str
    plan: int
    n: int


def unlimited(providers: Iterable[str], n: int) -> list[Quota]:
    """Up to n of each, over the platform's route."""
    return [Quota(provider, n, bucket, n) for bucket, provider in enumerate(providers)]


async def take(
    tx: Connection,
    mailer_id: UUID,
    epoch: int,
    limit: int,
    quotas: Sequence[Quota],
    own_ways: Sequence[UUID] = (),
    warm: Sequence[Allowance] = (),
) -> list[asyncpg.Record]:
    """Mark up to `limit` due messages; those blocked come back as suppressed. Empty without a standing lease.

    `own_ways`: workspaces with routes of their own; all others' mail goes over the platform's.
    """
    return await tx.fetch(TAKE, *arguments(mailer_id, epoch, limit, quotas, own_ways, warm))


def arguments(
    mailer_id: UUID,
    epoch: int,
    limit: int,
    quotas: Sequence[Quota],
    own_ways: Sequence[UUID],
    warm: Sequence[Allowance],
) -> tuple[object, ...]:
    """What TAKE is run with."""
    return (
        mailer_id,
        epoch,
        limit,
        [one.way for one in quotas],
        [one.provider for one in quotas],
        [one.quota for one in quotas],
        [one.bucket for one in quotas],
        [one.room for one in quotas],
        list(own_ways),
        PLATFORM,
        [one.workspace_id for one in warm],
        [one.domain for one in warm],
        [one.plan for one in warm],
        [one.n for one in warm],
    )


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
