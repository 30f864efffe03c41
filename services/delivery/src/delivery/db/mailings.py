"""Mailings: campaigns, and accepted requests for single and test mail. Their rows are locked before messages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_ENSURE = """
insert into mailings (workspace_id, id, kind, lane, campaign_id)
select distinct workspace_id, id, 'campaign', 1, id from unnest($1::uuid[], $2::uuid[]) as u (workspace_id, id)
 order by 1, 2 on conflict (workspace_id, id) do nothing
"""

_LOCK = """
select m.workspace_id, m.id, m.state, m.purged, m.active, m.send_until from mailings m
 where (m.workspace_id, m.id) in (select * from unnest($1::uuid[], $2::uuid[]))
 order by m.workspace_id, m.id for share
"""

_START = """
update mailings m set started = true, name = $3, purpose_id = $4, program_id = $5, sender = $6, content = $7,
       tracking = $8, uncertain_policy = $9, send_until = $10, traceparent = $11
 where workspace_id = $1 and id = $2 and not started and not purged
"""

_REQUEST = """
insert into mailings (workspace_id, id, kind, lane, campaign_id, purpose_id, program_id, sender, content, tracking,
                      started, active)
values ($1, $2, $3, 0, $4, $5, $6, $7, $8, '{"opens": false, "clicks": false}', true, true)
on conflict (workspace_id, id) do nothing
"""

# The clock of the 72 hours stands still while a campaign is paused. Whoever lets a held one go on knows of what was
# refused until now, also of what was under way when it was held: only what comes from here on may hold it again.
_STATE = """
update mailings m set state = u.state, state_revision = u.revision,
       held_reason = case when u.state = 'running' then null else m.held_reason end,
       held_at = case when u.state = 'running' and m.held_reason is not null then now() else m.held_at end,
       (held_after_policy, held_after_refused, held_after_tried) = (
         select case when b.again then t.policy else m.held_after_policy end,
                case when b.again then t.refused else m.held_after_refused end,
                case when b.again then t.tried else m.held_after_tried end
           from (select u.state = 'running' and m.held_reason is not null) b (again), lateral (
             select coalesce(sum(n) filter (where status = 'failed' and class = 'policy'), 0) as policy,
                    coalesce(sum(n) filter (where status = 'failed' and class in ('bad_mailbox', 'bad_domain')), 0)
                      as refused,
                    coalesce(sum(n) filter (where status in ('sent', 'failed')), 0) as tried
               from message_counts c where c.workspace_id = m.workspace_id and c.mailing_id = m.id) t),
       paused_total = m.paused_total + case when u.state = 'paused' then interval '0'
                                            else coalesce(now() - m.paused_at, '0') end,
       resumed_at = case when u.state <> 'paused' and m.paused_at is not null then now() else m.resumed_at end,
       paused_at = case when u.state = 'paused' then coalesce(m.paused_at, now()) end
  from (select distinct on (workspace_id, id) * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[])
          as t (workspace_id, id, state, revision) order by workspace_id, id, revision desc) u
 where m.workspace_id = u.workspace_id and m.id = u.id and u.revision > m.state_revision and not m.purged
"""

_CLOSE = """
update mailings m set audience = $3, eligible = $4
 where workspace_id = $1 and id = $2 and eligible is null and not purged
"""

_COMPLETE = "update mailings set outcome = $3, final_revision = $4 where workspace_id = $1 and id = $2 and not purged"

_ACTIVATE = """
update mailings m set active = true from unnest($1::uuid[], $2::uuid[]) as u (workspace_id, id)
 where m.workspace_id = u.workspace_id and m.id = u.id and not m.active
"""

_ACTIVE_AMONG = "select distinct workspace_id from mailings where active and workspace_id = any($1)"

_TOUCH = """
insert into progress as p (workspace_id, mailing_id, revision)
select distinct workspace_id, id, 1 from unnest($1::uuid[], $2::uuid[]) as u (workspace_id, id) order by 1, 2
on conflict (workspace_id, mailing_id) do update set revision = p.revision + 1, dirty = true
"""

_LOAD = """
select w.workspace_id, w.id, w.kind, w.campaign_id, w.name, w.purpose_id, w.program_id, w.sender, w.content, w.tracking,
       (select p ->> 'key' from workspaces s, jsonb_array_elements(s.purposes) p
         where s.workspace_id = w.workspace_id and p ->> 'id' = w.purpose_id::text limit 1) as purpose_key,
       array(select distinct e.provider from provider_endpoints e where e.workspace_id = w.workspace_id) as told_by
  from mailings w where w.workspace_id = $1 and w.id = $2
"""

_FACTS = """
select workspace_id, id, campaign_id, purpose_id, program_id from mailings
 where (workspace_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
"""

Keys = Sequence[tuple[UUID, UUID]]


def _columns(keys: Keys) -> tuple[list[UUID], list[UUID]]:
    return [key[0] for key in keys], [key[1] for key in keys]


async def ensure_and_lock(tx: Connection, keys: Keys) -> dict[tuple[UUID, UUID], asyncpg.Record]:
    """Rows of these campaigns, made if their events came in another order; share-locked, so that states wait."""
    await tx.execute(_ENSURE, *_columns(keys))
    rows = await tx.fetch(_LOCK, *_columns(keys))
    return {(row["workspace_id"], row["id"]): row for row in rows}


async def ensure(tx: Connection, keys: Keys) -> None:
    """Rows of these campaigns exist."""
    await tx.execute(_ENSURE, *_columns(keys))


async def start(
    tx: Connection,
    workspace_id: UUID,
    campaign_id: UUID,
    *,
    name: str,
    purpose_id: UUID,
    program_id: UUID | None,
    sender: dict[str, Any],
    content: dict[str, Any],
    tracking: dict[str, Any],
    uncertain_policy: str,
    send_until: datetime | None,
    traceparent: str | None,
) -> None:
    """Store what a campaign sends; a repetition changes nothing."""
    await tx.execute(
        _START,
        workspace_id,
        campaign_id,
        name,
        purpose_id,
        program_id,
        sender,
        content,
        tracking,
        uncertain_policy,
        send_until,
        traceparent,
    )


async def request(
    tx: Connection,
    workspace_id: UUID,
    request_id: UUID,
    *,
    kind: str,
    campaign_id: UUID | None,
    purpose_id: UUID | None,
    program_id: UUID | None,
    sender: dict[str, Any],
    content: dict[str, Any],
) -> None:
    """Store what one accepted request sends; a repetition changes nothing."""
    await tx.execute(_REQUEST, workspace_id, request_id, kind, campaign_id, purpose_id, program_id, sender, content)


async def set_state(tx: Connection, keys: Keys, states: list[str], revisions: list[int]) -> None:
    """Apply states of higher revisions."""
    await tx.execute(_STATE, *_columns(keys), states, revisions)


async def close(tx: Connection, workspace_id: UUID, campaign_id: UUID, audience: int, eligible: int) -> None:
    """Note the closed totals."""
    await tx.execute(_CLOSE, workspace_id, campaign_id, audience, eligible)


async def complete(tx: Connection, workspace_id: UUID, campaign_id: UUID, outcome: str, revision: int) -> None:
    """Note that the books are closed."""
    await tx.execute(_COMPLETE, workspace_id, campaign_id, outcome, revision)


async def activate(tx: Connection, keys: Keys) -> None:
    """Show mailings to the mailers."""
    await tx.execute(_ACTIVATE, *_columns(keys))


async def active_among(tx: Connection, workspace_ids: list[UUID]) -> list[UUID]:
    """Those of the workspaces that have something to send."""
    return [row["workspace_id"] for row in await tx.fetch(_ACTIVE_AMONG, workspace_ids)]


async def touch(tx: Connection, keys: Keys) -> None:
    """A change that is not in the counters must be told too. Locks what comes last in the order of locks."""
    await tx.execute(_TOUCH, *_columns(keys))


async def load(tx: Connection, workspace_id: UUID, mailing_id: UUID) -> asyncpg.Record | None:
    """What a mailer needs to render."""
    return await tx.fetchrow(_LOAD, workspace_id, mailing_id)


async def facts(tx: Connection, keys: Keys) -> dict[tuple[UUID, UUID], asyncpg.Record]:
    """What events say of a message's mailing."""
    rows = await tx.fetch(_FACTS, *_columns(keys))
    return {(row["workspace_id"], row["id"]): row for row in rows}


async def traceparent(tx: Connection, workspace_id: UUID, mailing_id: UUID) -> str | None:
    """The trace in which a campaign was started."""
    found: str | None = await tx.fetchval(
        "select traceparent from mailings where workspace_id = $1 and id = $2", workspace_id, mailing_id
    )
    return found


async def known(tx: Connection, workspace_id: UUID, mailing_id: UUID) -> bool:
    """Whether anything is known of a campaign or request."""
    found: bool = await tx.fetchval(
        "select exists (select from mailings where workspace_id = $1 and id = $2)", workspace_id, mailing_id
    )
    return found
