"""Audiences: who is in a campaign, frozen once, and why the others are not."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.audiences import AudienceBatchV1
from common.contracts.topics import BY_CONTRACT
from common.db.pool import Connection
from common.telemetry import current_traceparent

from contacts.db import segment_audiences, segment_sql
from contacts.domain.segment_binding import Bound

_START = """
insert into campaigns (workspace_id, campaign_id, status, purpose_id, rule, fields)
select w, c, 'freezing', p, r, array(select jsonb_array_elements_text(f -> 'names'))
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::jsonb[], $5::jsonb[]) as t(w, c, p, r, f)
on conflict (workspace_id, campaign_id) do update
   set status = excluded.status, purpose_id = excluded.purpose_id, rule = excluded.rule, fields = excluded.fields
 where campaigns.status = 'known'
returning workspace_id, campaign_id
"""
_STATE = """
insert into campaigns (workspace_id, campaign_id, state, state_revision)
select distinct on (w, c) w, c, s, r from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[]) as t(w, c, s, r)
 order by w, c, r desc
on conflict (workspace_id, campaign_id) do update
   set state = excluded.state, state_revision = excluded.state_revision
 where excluded.state_revision > campaigns.state_revision
"""
_COMPLETED = """
insert into campaigns (workspace_id, campaign_id, completed_at)
select w, c, min(t) from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as t(w, c, t) group by w, c order by w, c
on conflict (workspace_id, campaign_id) do update
   set completed_at = least(campaigns.completed_at, excluded.completed_at)
 where campaigns.completed_at is distinct from least(campaigns.completed_at, excluded.completed_at)
"""
# One address is one contact (a unique key), so nobody can be in an audience twice.
_FREEZE = """
with chosen as ({chosen}),
decided as (
  select c.id,
         case when chosen.left_out then 'excluded_segment'
              when chosen.over_limit then 'owner_limit'
              when position('@' in c.email_normalised) < 2 then 'invalid_address'
              when exists (select from suppressions s where s.workspace_id = c.workspace_id and s.scope = 'address'
                              and s.hash = c.address_hash and s.active
                              and (s.expires_at is null or s.expires_at > ${now}))
                or exists (select from suppressions s where s.workspace_id = c.workspace_id and s.scope = 'domain'
                              and s.hash = c.domain_hash and s.active
                              and (s.expires_at is null or s.expires_at > ${now})) then 'suppressed'
              when k.status = 'unsubscribed' then 'unsubscribed'
              when k.status = 'pending' then 'unconfirmed'
              when k.status is distinct from 'subscribed' or k.expires_at <= ${now} then 'no_consent'
              when k.paused_until > ${now} then 'paused'
         end reason
    from chosen
    join contacts c on c.workspace_id = ${workspace} and c.id = chosen.id
    left join consents k on k.workspace_id = ${workspace} and k.contact_id = c.id and k.purpose_id = ${purpose}
),
frozen as (
  insert into audience_members (workspace_id, campaign_id, contact_id, seq, decision, reason)
  select ${workspace}, ${campaign}, id,
         case when reason is null then row_number() over (partition by reason is null order by id) end,
         case when reason is null then 'eligible' else 'excluded' end, reason
    from decided
  returning reason
)
select reason, count(*) as members from frozen group by reason
"""
_RECIPIENTS = """
select m.seq,
       case when c.id is null then json_build_object('contact_id', m.contact_id, 'gone', true)
            else json_build_object('contact_id', m.contact_id, 'email', c.email, 'language', c.language,
                                   'timezone', c.timezone, 'country', c.country, 'tracking', c.tracking,
                                   'fields', {fields})
       end::text as recipient
  from audience_members m
  left join contacts c on c.workspace_id = m.workspace_id and c.id = m.contact_id
 where m.workspace_id = $1 and m.campaign_id = $2 and m.seq > $3 and m.seq <= $3 + $4
 order by m.seq
"""
_PUBLISH = """
insert into outbox (lane, topic, type, key, event_id, workspace_id, traceparent, payload)
select $1, $2, $3, $4, id, $5, $6, payload from unnest($7::uuid[], $8::text[]) with ordinality as t(id, payload, n)
 order by n
"""
_TOPIC = BY_CONTRACT[AudienceBatchV1]
_PLAIN = ("first_name", "last_name", "email", "language")


async def start(
    tx: Connection,
    workspace_ids: Sequence[UUID],
    campaign_ids: Sequence[UUID],
    purpose_ids: Sequence[UUID],
    rules: Sequence[Any],
    fields: Sequence[Sequence[str]],
) -> list[asyncpg.Record]:
    """Take note of started campaigns; returns those that nothing was known of but perhaps a state."""
    # An object around each list: the driver would take a list of lists for a matrix.
    names = [{"names": list(one)} for one in fields]
    return await tx.fetch(_START, workspace_ids, campaign_ids, purpose_ids, rules, names)


async def set_states(
    tx: Connection,
    workspace_ids: Sequence[UUID],
    campaign_ids: Sequence[UUID],
    states: Sequence[str],
    revisions: Sequence[int],
) -> None:
    """Keep each campaign's state of the highest revision."""
    await tx.execute(_STATE, workspace_ids, campaign_ids, states, revisions)


async def complete(
    tx: Connection, workspace_ids: Sequence[UUID], campaign_ids: Sequence[UUID], times: Sequence[datetime]
) -> None:
    """Take note of completed campaigns."""
    await tx.execute(_COMPLETED, workspace_ids, campaign_ids, times)


async def find(tx: Connection, workspace_id: UUID, campaign_id: UUID) -> asyncpg.Record | None:
    """What is known of a campaign."""
    return await tx.fetchrow(
        "select * from campaigns where workspace_id = $1 and campaign_id = $2", workspace_id, campaign_id
    )


async def locked(tx: Connection, workspace_id: UUID, campaign_id: UUID) -> asyncpg.Record | None:
    """What is known of a campaign, for whoever decides about its audience: one at a time.

    Not a lock of the row: freezing takes long, and the consumer that keeps campaigns' states must not wait for it.
    """
    await tx.execute(
        "select pg_advisory_xact_lock(hashtextextended('audience ' || $1::uuid || $2::uuid, 0))",
        workspace_id,
        campaign_id,
    )
    return await find(tx, workspace_id, campaign_id)


async def freeze(
    tx: Connection,
    campaign: asyncpg.Record,
    wanted: Sequence[Bound],
    list_ids: Sequence[UUID],
    unwanted: Sequence[Bound],
    limits: Mapping[UUID, int],
    now: datetime,
    timeout_s: float,
) -> tuple[int, dict[str, int]]:
    """Decide about everybody in the segments and lists, in one statement; returns eligible, excluded by reason."""
    workspace_id = campaign["workspace_id"]
    chosen = segment_sql.statement(segment_audiences.chosen(wanted, list_ids, unwanted, workspace_id, now, limits))
    first = len(chosen.args) + 1
    sql = _FREEZE.format(chosen=chosen.sql, now=first, workspace=first + 1, purpose=first + 2, campaign=first + 3)
    args = [*chosen.args, now, workspace_id, campaign["purpose_id"], campaign["campaign_id"]]
    totals = {row["reason"]: row["members"] for row in await tx.fetch(sql, *args, timeout=timeout_s)}
    eligible = totals.pop(None, 0)
    await tx.execute(
        "update campaigns set status = 'publishing', eligible = $3, excluded = $4, frozen_at = $5"
        " where workspace_id = $1 and campaign_id = $2",
        workspace_id,
        campaign["campaign_id"],
        eligible,
        totals,
        now,
    )
    return eligible, totals


async def recipients(tx: Connection, campaign: asyncpg.Record, after: int, limit: int) -> list[tuple[int, str]]:
    """The next eligible ones as they are now: place in the audience, and recipient as JSON."""
    names = set(campaign["fields"])
    plain = [f"'{name}', c.{name}" for name in _PLAIN if name in names]
    custom = sorted(name.removeprefix("attributes.") for name in names if name.startswith("attributes."))
    args: list[Any] = [campaign["workspace_id"], campaign["campaign_id"], after, limit]
    if custom:
        plain.append(
            "'attributes', (select coalesce(json_object_agg(n, c.attributes -> n), '{}')"
            " from unnest($5::text[]) n where c.attributes ? n)"
        )
        args.append(custom)
    rows = await tx.fetch(_RECIPIENTS.format(fields=f"json_build_object({', '.join(plain)})"), *args)
    return [(row["seq"], row["recipient"]) for row in rows]


async def publish(tx: Connection, workspace_id: UUID, campaign_id: UUID, batches: Sequence[tuple[UUID, str]]) -> None:
    """Put batches into the outbox: event id and JSON text. The recipients' JSON comes from the database as it is."""
    await tx.execute(
        _PUBLISH,
        _TOPIC.lane,
        _TOPIC.name,
        _TOPIC.type,
        str(campaign_id),
        workspace_id,
        current_traceparent(),
        [event_id for event_id, _ in batches],
        [text for _, text in batches],
    )


async def published(tx: Connection, campaign: asyncpg.Record, batches: int, seq: int) -> None:
    """Take note of how far the audience is published."""
    await tx.execute(
        "update campaigns set batches = $3, published = $4 where workspace_id = $1 and campaign_id = $2",
        campaign["workspace_id"],
        campaign["campaign_id"],
        batches,
        seq,
    )


async def end(tx: Connection, campaign: asyncpg.Record, status: str, now: datetime) -> None:
    """The audience is closed or rejected."""
    await tx.execute(
        "update campaigns set status = $3, closed_at = $4 where workspace_id = $1 and campaign_id = $2",
        campaign["workspace_id"],
        campaign["campaign_id"],
        status,
        now,
    )


async def members(
    tx: Connection,
    workspace_id: UUID,
    campaign_id: UUID,
    reason: str | None,
    after: tuple[str, UUID] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Who was left out, by reason and id; or who is in it (`reason` eligible)."""
    args: list[Any]
    last_reason, last_id = after or ("", UUID(int=0))
    if reason == "eligible":
        which, order, args = "m.seq is not null and m.seq > $3", "m.seq", [int(last_reason or 0)]
    elif reason is None:
        which, order = "m.reason is not null and (m.reason, m.contact_id) > ($3, $4)", "m.reason, m.contact_id"
        args = [last_reason, last_id]
    else:
        which, order, args = "m.reason = $3 and m.contact_id > $4", "m.contact_id", [reason, last_id]
    return await tx.fetch(
        "select m.contact_id, m.seq, m.decision, m.reason, c.email, c.first_name, c.last_name"  # noqa: S608
        " from audience_members m left join contacts c on c.workspace_id = m.workspace_id and c.id = m.contact_id"
        f" where m.workspace_id = $1 and m.campaign_id = $2 and {which} order by {order} limit {limit}",
        workspace_id,
        campaign_id,
        *args,
    )
