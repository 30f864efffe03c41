"""Periodic work on the ledger, in batches: cancelled campaigns, expiry, retry_once, mailings that rest."""

import asyncpg
from common.db.pool import Connection

BATCH = 5000

_RETURNING = """
returning m.workspace_id, m.id, m.mailing_id, m.contact_id, m.kind, m.variant_id, m.status, m.class, m.attempt,
          m.revision, m.provider, m.smtp_enhanced, m.smtp_text
"""

_CANCEL = """
with hit as (
  select m.workspace_id, m.id from mailings w
    join messages m on m.workspace_id = w.workspace_id and m.mailing_id = w.id
   where w.active and w.state = 'cancelled' and m.status in ('pending', 'deferred')
   limit $1 for update of m skip locked
)
update messages m set status = 'cancelled', revision = m.revision + 1
  from hit where m.workspace_id = hit.workspace_id and m.id = hit.id
"""

_EXPIRE_LATE = f"""
with hit as (
  select m.workspace_id, m.id from mailings w
    join messages m on m.workspace_id = w.workspace_id and m.mailing_id = w.id
   where w.active and m.status in ('pending', 'deferred')
     and (w.send_until <= now() or m.send_until <= now())
   limit $1 for update of m skip locked
)
update messages m set status = 'expired', class = 'send_until', revision = m.revision + 1
  from hit where m.workspace_id = hit.workspace_id and m.id = hit.id {_RETURNING}
"""  # noqa: S608 - the parts are constants

# While one is due it waits for us, for a limit, a warm-up or a mailer, and not for who refused it: that does not count.
_EXPIRE_REFUSED = f"""
with hit as (
  select m.workspace_id, m.id from mailings w
    join messages m on m.workspace_id = w.workspace_id and m.mailing_id = w.id
   where w.active and m.status = 'deferred' and w.held_reason is null
     and m.first_4xx_at <= coalesce(w.paused_at, now()) - w.paused_total - interval '72 hours'
     and m.first_4xx_at + greatest(now() - greatest(m.next_at, w.resumed_at), '0')
         <= coalesce(w.paused_at, now()) - w.paused_total - interval '72 hours'
   limit $1 for update of m skip locked
)
update messages m set status = 'expired', class = 'refused_too_long', revision = m.revision + 1
  from hit where m.workspace_id = hit.workspace_id and m.id = hit.id {_RETURNING}
"""  # noqa: S608 - the parts are constants

# Mailings first, as everywhere; then their uncertain messages, once each.
_RETRY = """
with hit as (
  select m.workspace_id, m.id from mailings w
    join messages m on m.workspace_id = w.workspace_id and m.mailing_id = w.id
   where w.uncertain_policy = 'retry_once' and w.state <> 'cancelled' and w.active
     and m.status = 'uncertain' and not m.resent and m.email is not null
   limit $1 for update of m skip locked
)
update messages m set status = 'pending', class = '', resent = true, revision = m.revision + 1, next_at = now()
  from hit where m.workspace_id = hit.workspace_id and m.id = hit.id
"""

# A late outcome can put a message of a resting campaign back to waiting. Whoever tells progress leaves it dirty then.
_REVIVE = """
update mailings w set active = true from progress p
 where p.dirty and w.workspace_id = p.workspace_id and w.id = p.mailing_id and not w.active
   and exists (select from message_counts c where c.workspace_id = w.workspace_id and c.mailing_id = w.id
                and c.status in ('pending', 'deferred') and c.n > 0)
"""

_ACTIVE = "select workspace_id, id from mailings where active order by 1, 2 for update skip locked"

_REST = """
update mailings w set active = false
 where (w.workspace_id, w.id) in (select * from unnest($1::uuid[], $2::uuid[]))
   and not exists (select from messages m where m.workspace_id = w.workspace_id and m.mailing_id = w.id
                    and (m.status in ('pending', 'deferred')
                      or (m.status = 'uncertain' and w.kind <> 'campaign' and m.at > now() - interval '1 day')))
   and not exists (select from intents i join messages m on m.workspace_id = i.workspace_id and m.id = any(i.ids)
                    where i.workspace_id = w.workspace_id and m.mailing_id = w.id)
   and not (w.uncertain_policy = 'retry_once' and exists (
         select from messages m where m.workspace_id = w.workspace_id and m.mailing_id = w.id
            and m.status = 'uncertain' and not m.resent and m.email is not null) and w.state <> 'cancelled')
"""


async def cancel(tx: Connection) -> int:
    """Waiting messages of cancelled campaigns become cancelled; how many did."""
    return int((await tx.execute(_CANCEL, BATCH)).split()[-1])


async def expire(tx: Connection) -> list[asyncpg.Record]:
    """Messages past their send_until, or refused with 4xx for 72 h of unpaused time, become expired."""
    return [*await tx.fetch(_EXPIRE_LATE, BATCH), *await tx.fetch(_EXPIRE_REFUSED, BATCH)]


async def retry_once(tx: Connection) -> int:
    """Uncertain messages of campaigns that want it are sent once more, under the same Message-ID."""
    return int((await tx.execute(_RETRY, BATCH)).split()[-1])


async def revive(tx: Connection) -> None:
    """Mailings with something to send are shown to mailers again."""
    await tx.execute(_REVIVE)


async def rest(tx: Connection) -> None:
    """Mailings with nothing left to send are not shown to mailers any more.

    Locked before they are looked at, in a statement of its own: a batch being added must be seen.
    """
    rows = await tx.fetch(_ACTIVE)
    await tx.execute(_REST, [row["workspace_id"] for row in rows], [row["id"] for row in rows])
