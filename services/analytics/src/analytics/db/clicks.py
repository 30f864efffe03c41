"""Clicks, and by which rule each is a machine's. Never dropped: a verdict is a note on the click."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from common.db.pool import Connection

_ADD = """
insert into clicks (workspace_id, message_id, event_id, at, composed_at, link, kind, contact_id, campaign_id,
                    variant_id, told_rule, rule, rules)
select w, m, e, at, c, l, k, p, g, v, r, r, $12
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::integer[], $7::text[],
              $8::uuid[], $9::uuid[], $10::text[], $11::text[]) as t (w, m, e, at, c, l, k, p, g, v, r)
 order by w, m, e
on conflict do nothing
"""
# 64 of them, not one a message: a batch has thousands, and the table of locks is small.
_LOCK = """
select pg_advisory_xact_lock(l) from (
  select distinct hashtextextended('click', 0) + hashtextextended(m::text, 0) % 64 as l
    from unnest($1::uuid[]) as m order by 1) locks
"""
# By the primary keys, message by message, even before there are statistics: joined as sets, or with the status among
# the conditions, which another index has, each batch read all messages of the workspace.
OF = """
select c.*, (select case when s.status = 'sent' then s.at end from message_status s
              where s.workspace_id = c.workspace_id and s.message_id = c.message_id) as sent_at
  from unnest($1::uuid[], $2::uuid[]) as k (workspace_id, message_id)
 cross join lateral (
   select * from clicks where workspace_id = k.workspace_id and message_id = k.message_id offset 0) c
 order by c.workspace_id, c.message_id, c.event_id
"""
CLICKED = """
select distinct k.workspace_id, k.message_id from unnest($1::uuid[], $2::uuid[]) as k (workspace_id, message_id)
 cross join lateral (
   select from clicks where workspace_id = k.workspace_id and message_id = k.message_id limit 1) c
"""
_JUDGE = """
update clicks c set rule = u.rule, rules = $5, settled = c.settled or $6,
       revision = c.revision + case when (c.rule is null) <> (u.rule is null) then 1 else 0 end
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) as u (workspace_id, message_id, event_id, rule)
 where c.workspace_id = u.workspace_id and c.message_id = u.message_id and c.event_id = u.event_id
returning c.*
"""
_TO_JUDGE = """
(select workspace_id, message_id from clicks where rules < $1 limit $2)
union
(select workspace_id, message_id from clicks where not settled and at < now() - make_interval(secs => $3) limit $2)
"""
Keys = Sequence[tuple[UUID, UUID]]


@dataclass(frozen=True, slots=True)
class NewClick:
    """One click as the tracker told it."""

    workspace_id: UUID
    message_id: UUID
    event_id: UUID
    at: datetime
    composed_at: datetime | None
    link: int
    kind: str
    contact_id: UUID | None
    campaign_id: UUID | None
    variant_id: str
    told_rule: str | None


def _columns(keys: Keys) -> tuple[list[UUID], list[UUID]]:
    return [key[0] for key in keys], [key[1] for key in keys]


async def lock(tx: Connection, keys: Keys) -> None:
    """Nobody else judges clicks of these messages until the transaction ends."""
    await tx.execute(_LOCK, [key[1] for key in keys])


async def add(tx: Connection, clicks: Sequence[NewClick], rules: int) -> None:
    """Store new clicks, by the tracker's verdict for now."""
    await tx.execute(
        _ADD,
        [one.workspace_id for one in clicks],
        [one.message_id for one in clicks],
        [one.event_id for one in clicks],
        [one.at for one in clicks],
        [one.composed_at for one in clicks],
        [one.link for one in clicks],
        [one.kind for one in clicks],
        [one.contact_id for one in clicks],
        [one.campaign_id for one in clicks],
        [one.variant_id for one in clicks],
        [one.told_rule for one in clicks],
        rules,
    )


async def of_messages(tx: Connection, keys: Keys) -> list[Record]:
    """All clicks of these messages, with the time each message was sent, if that is known."""
    return await tx.fetch(OF, *_columns(keys))


async def clicked(tx: Connection, keys: Keys) -> list[tuple[UUID, UUID]]:
    """Those of these messages that have clicks."""
    return [(row["workspace_id"], row["message_id"]) for row in await tx.fetch(CLICKED, *_columns(keys))]


async def set_rules(
    tx: Connection, judged: Sequence[tuple[UUID, UUID, UUID, str | None]], rules: int, *, settled: bool
) -> list[Record]:
    """Note verdicts on (workspace, message, event); the rows as they are now."""
    workspaces, messages, events, found = zip(*judged, strict=True)
    return await tx.fetch(_JUDGE, workspaces, messages, events, found, rules, settled)


async def to_judge(tx: Connection, rules: int, limit: int, settle_s: float) -> list[tuple[UUID, UUID]]:
    """Messages with clicks that other rules judged, or that were judged once only, while more was on its way."""
    rows = await tx.fetch(_TO_JUDGE, rules, limit, settle_s)
    return sorted((row["workspace_id"], row["message_id"]) for row in rows)


async def machines_of_campaign(tx: Connection, workspace_id: UUID, campaign_id: UUID) -> dict[str, int]:
    """Rule → clicks of the campaign that are machines' by it."""
    rows = await tx.fetch(
        """
        select rule, count(*) as n from clicks
        where workspace_id = $1 and campaign_id = $2 and kind = 'campaign' and rule is not null group by rule order by 1
        """,
        workspace_id,
        campaign_id,
    )
    return {row["rule"]: row["n"] for row in rows}
