"""How campaigns' mail fared, counted by the hour in which its sending ended and by mailbox provider.

A message counts in `sent` or `failed`, and if it was sent in `bounced`, `complained` and `opened`. What is told of it
before its sending is, is left uncounted (`counted` of its row), for `count_late`; the report adds it by itself, so it
is exact at any moment. Thereby sending, which is most of what is told, need not look for what came before it.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from asyncpg import Record
from common.db.pool import Connection

# Several consumers add to one counter; a counter is the sum of its shards.
SHARD = "(pg_backend_pid() % 8)::smallint"
ENDED = frozenset({"sent", "failed"})
TOUCHES = frozenset({"opened", "complained"})
Key = tuple[UUID, datetime, str, str, str]
Message = tuple[UUID, UUID, UUID]
Touched = tuple[UUID, UUID, UUID, str, int]

# Who counts things told of messages shares this lock; who moves a counted message elsewhere has it alone.
_LOCK = "select pg_advisory_xact_lock{}(hashtextextended('fared', 0))"
_INTO = "insert into fared_counts (workspace_id, hour, provider, measure, reason, shard, n)"
_SUM = """
on conflict (workspace_id, hour, provider, measure, reason, shard) do update set n = fared_counts.n + excluded.n
"""
_ADD = f"""
{_INTO} select w, h, p, m, r, {SHARD}, n
from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::bigint[]) as d (w, h, p, m, r, n)
order by w, h, p, m, r {_SUM}
"""  # noqa: S608
# By the primary key, message by message: see clicks.OF.
_COUNTED_SENT = """
select s.provider, date_trunc('hour', s.at, 'UTC') as hour, s.status from message_status s
 where s.workspace_id = {of}.workspace_id and s.message_id = {of}.message_id and s.counted offset 0
"""
_FIRST_TOUCHES = f"""
with given as (
  select k.*, s.provider, s.hour
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::integer[])
      as k (workspace_id, campaign_id, message_id, kind, link)
    left join lateral ({_COUNTED_SENT.format(of="k")}) s on s.status = 'sent'
), added as (
  insert into first_touch (workspace_id, campaign_id, message_id, kind, link, counted)
  select workspace_id, campaign_id, message_id, kind, link, provider is not null from given order by 1, 2, 3, 4, 5
  on conflict do nothing
  returning workspace_id, campaign_id, message_id, kind, link, counted
), told as (
  {_INTO}
  select workspace_id, hour, provider, kind, '', {SHARD}, count(*)
    from added join given using (workspace_id, campaign_id, message_id, kind, link) where counted
   group by 1, 2, 3, 4 order by 1, 2, 3, 4 {_SUM}
)
select workspace_id, campaign_id, message_id, kind, link from added
"""  # noqa: S608
_TAKE_OUT = """
with undone as (
  update first_touch t set counted = false
    from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (workspace_id, campaign_id, message_id)
   where t.workspace_id = k.workspace_id and t.campaign_id = k.campaign_id and t.message_id = k.message_id
     and t.kind in ('opened', 'complained') and t.link = -1 and t.counted
  returning t.workspace_id, t.message_id, t.kind
), returned as (
  select b.workspace_id, b.message_id, b.counted
    from unnest($1::uuid[], $3::uuid[]) as k (workspace_id, message_id) join bounces b using (workspace_id, message_id)
   where b.counted is not null order by 1, 2 for update of b
), reset as (
  update bounces b set counted = null from returned r
   where b.workspace_id = r.workspace_id and b.message_id = r.message_id
)
select workspace_id, message_id, kind as measure, '' as reason from undone
union all select workspace_id, message_id, 'bounced', counted from returned
"""
_COUNT_BOUNCES = f"""
with due as (
  select b.workspace_id, b.message_id, b.counted as before, b.reason, s.provider, s.hour
    from {{these}} cross join lateral ({_COUNTED_SENT.format(of="b")}) s
   where s.status = 'sent' and b.counted is distinct from b.reason
   {{those}} for update of b
), done as (
  update bounces b set counted = due.reason from due
   where b.workspace_id = due.workspace_id and b.message_id = due.message_id
), told as (
  {_INTO}
  select d.workspace_id, d.hour, d.provider, 'bounced', m.reason, {SHARD}, sum(m.n)
    from due d cross join lateral (values (d.before, -1), (d.reason, 1)) as m (reason, n)
   where m.reason is not null group by 1, 2, 3, 5 order by 1, 2, 3, 5 {_SUM}
)
select count(*) from due
"""  # noqa: S608
_BOUNCES_OF = _COUNT_BOUNCES.format(
    these="unnest($1::uuid[], $2::uuid[]) as k (w, m) join bounces b on b.workspace_id = k.w and b.message_id = k.m",
    those="order by 1, 2",
)
_LATE_BOUNCES = _COUNT_BOUNCES.format(these="bounces b", those="limit $1")
_LATE_MESSAGES = f"""
with due as (
  select workspace_id, message_id from message_status
   where not counted and status in ('sent', 'failed') and provider is not null limit $1 for update skip locked
), done as (
  update message_status s set counted = true from due
   where s.workspace_id = due.workspace_id and s.message_id = due.message_id
  returning s.workspace_id, date_trunc('hour', s.at, 'UTC') as hour, s.provider, s.status, s.failure
), told as (
  {_INTO}
  select workspace_id, hour, provider, status, failure, {SHARD}, count(*) from done
   group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5 {_SUM}
)
select count(*) from done
"""  # noqa: S608
_LATE_TOUCHES = f"""
with due as (
  select t.workspace_id, t.campaign_id, t.message_id, t.kind, t.link, s.provider, s.hour
    from first_touch t cross join lateral ({_COUNTED_SENT.format(of="t")}) s
   where not t.counted and t.kind in ('opened', 'complained') and s.status = 'sent'
   limit $1 for update of t skip locked
), done as (
  update first_touch t set counted = true from due d
   where t.workspace_id = d.workspace_id and t.campaign_id = d.campaign_id and t.message_id = d.message_id
     and t.kind = d.kind and t.link = d.link
), told as (
  {_INTO}
  select workspace_id, hour, provider, kind, '', {SHARD}, count(*) from due
   group by 1, 2, 3, 4 order by 1, 2, 3, 4 {_SUM}
)
select count(*) from due
"""  # noqa: S608
# Whole hours, of which the messages before and after the time asked for are taken away again.
_FARED = """
with hours as (
  select date_trunc('hour', $2::timestamptz, 'UTC') as first,
         date_trunc('hour', $3::timestamptz - interval '1 microsecond', 'UTC') + interval '1 hour' as last
), uncounted as (
  select s.provider, s.status, s.failure, 1 as n from message_status s, hours
   where s.workspace_id = $1 and not s.counted and s.status in ('sent', 'failed') and s.provider is not null
     and s.at >= hours.first and s.at < hours.last
  union all
  select s.provider, told.measure, told.reason, told.n
    from (select message_id, kind as measure, '' as reason, 1 as n from first_touch
           where workspace_id = $1 and not counted and kind in ('opened', 'complained')
          union all
          select b.message_id, 'bounced', m.reason, m.n
            from bounces b cross join lateral (values (b.counted, -1), (b.reason, 1)) as m (reason, n)
           where b.workspace_id = $1 and b.counted is distinct from b.reason and m.reason is not null) told
   cross join lateral (select * from message_status where workspace_id = $1 and message_id = told.message_id offset 0) s
   cross join hours
   where s.status = 'sent' and s.provider is not null and s.at >= hours.first and s.at < hours.last
), outside as (
  select s.provider, m.measure, m.reason, -1 as n
    from hours
   cross join lateral (values (hours.first, $2::timestamptz), ($3::timestamptz, hours.last)) as e (since, until)
   cross join lateral (
     select * from message_status
      where workspace_id = $1 and at >= e.since and at < e.until and status in ('sent', 'failed')
        and provider is not null offset 0) s
    left join bounces b on b.workspace_id = s.workspace_id and b.message_id = s.message_id
    left join first_touch c on c.workspace_id = s.workspace_id and c.campaign_id = s.campaign_id
                           and c.message_id = s.message_id and c.kind = 'complained' and c.link = -1
    left join first_touch o on o.workspace_id = s.workspace_id and o.campaign_id = s.campaign_id
                           and o.message_id = s.message_id and o.kind = 'opened' and o.link = -1
   cross join lateral (values (s.status, s.failure, true), ('bounced', b.reason, s.status = 'sent'),
                              ('complained', case when c.message_id is not null then '' end, s.status = 'sent'),
                              ('opened', case when o.message_id is not null then '' end, s.status = 'sent'))
     as m (measure, reason, counts)
   where m.counts and m.reason is not null
)
select provider, measure, reason, sum(n)::bigint as n from (
  select provider, measure, reason, n from fared_counts, hours
   where workspace_id = $1 and hour >= hours.first and hour < hours.last
  union all select * from uncounted
  union all select * from outside) parts
 group by 1, 2, 3 having sum(n) <> 0
"""


def key_of(workspace_id: UUID, at: datetime, provider: str | None, status: str, failure: str) -> Key | None:
    """Where a message with that status counts, if it does."""
    if provider is None or status not in ENDED:
        return None
    return workspace_id, at.astimezone(UTC).replace(minute=0, second=0, microsecond=0), provider, status, failure


async def lock(tx: Connection) -> None:
    """Messages that are counted stay where they are until the transaction ends."""
    await tx.execute(_LOCK.format("_shared"))


async def add(tx: Connection, counts: Counter[Key]) -> None:
    """Add to (workspace, hour, provider, measure, reason)."""
    if changed := [(key, n) for key, n in counts.items() if n]:
        columns = zip(*(key for key, _ in changed), strict=True)
        await tx.execute(_ADD, *(list(column) for column in columns), [n for _, n in changed])


async def take_out(tx: Connection, messages: Sequence[tuple[Message, Key]]) -> Counter[Key]:
    """What is to be taken away for messages, counted so, that go elsewhere; what is told of them counts later again."""
    await tx.execute(_LOCK.format(""))
    counts: Counter[Key] = Counter()
    for _, key in messages:
        counts[key] -= 1
    at = {(message[0], message[2]): key for message, key in messages}
    columns = [list(column) for column in zip(*(message for message, _ in messages), strict=True)]
    for row in await tx.fetch(_TAKE_OUT, *columns):
        workspace_id, hour, provider, _, _ = at[row["workspace_id"], row["message_id"]]
        counts[workspace_id, hour, provider, row["measure"], row["reason"]] -= 1
    return counts


async def first_touches(tx: Connection, keys: Sequence[Touched]) -> list[Record]:
    """Store those of (workspace, campaign, message, kind, link), kinds of `TOUCHES`, that are new; these."""
    await lock(tx)
    return await tx.fetch(_FIRST_TOUCHES, *(list(column) for column in zip(*sorted(keys), strict=True)))


async def count_bounces(tx: Connection, messages: Sequence[tuple[UUID, UUID]]) -> None:
    """Count what the bounces of these (workspace, message) say now. After `lock`."""
    await tx.execute(_BOUNCES_OF, [key[0] for key in messages], [key[1] for key in messages])


async def count_late(tx: Connection, limit: int) -> int:
    """Count some of what came before the sending it belongs to; how many were counted."""
    await lock(tx)
    found = [await tx.fetchval(text, limit) for text in (_LATE_MESSAGES, _LATE_TOUCHES, _LATE_BOUNCES)]
    return sum(found)


async def between(tx: Connection, workspace_id: UUID, since: datetime, until: datetime) -> list[Record]:
    """Rows (provider, measure, reason, n) of mail whose sending ended in that time."""
    return await tx.fetch(_FARED, workspace_id, since, until)
