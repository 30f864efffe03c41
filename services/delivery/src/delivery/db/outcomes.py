"""Outcomes of attempts, written to sets of rows; accepted from attempting(n) and uncertain(n), whatever the lease."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg
from common.contracts.email import EmailSentV1
from common.contracts.topics import BY_CONTRACT
from common.db.pool import Connection

from delivery.db import marks
from delivery.domain.ledger import OutcomeStatus

_SENT = BY_CONTRACT[EmailSentV1]

# first_4xx_at is kept on the campaign's own clock, which stands still while it is paused.
_SETTLE = """
update messages m set
  status = case when m.email is null and o.status in ('pending', 'deferred') then 'suppressed' else o.status end,
  class = case when m.email is null and o.status in ('pending', 'deferred') then 'erased' else o.class end,
  revision = m.revision + 1,
  next_at = case o.status when 'deferred' then now() + o.wait when 'pending' then now() + o.wait else m.next_at end,
  first_4xx_at = case when o.status = 'deferred'
                      then coalesce(m.first_4xx_at, now() - w.paused_total) else m.first_4xx_at end,
  smtp_code = case when o.text is null then m.smtp_code else o.code end,
  smtp_enhanced = case when o.text is null then m.smtp_enhanced else o.enhanced end,
  smtp_text = coalesce(o.text, m.smtp_text),
  history = case when o.status in ('deferred', 'uncertain', 'failed') and m.email is not null
                 then coalesce(m.history, '[]')
                      || attempt_note(o.attempt, o.status, o.class, o.code, o.enhanced, o.text)
                 else m.history end,
  variant_id = coalesce(o.variant_id, m.variant_id),
  sent_at = case when o.status = 'sent' then o.at else m.sent_at end,
  route_id = case when o.status = 'pending' then m.route_id else o.route_id end
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::interval[], $7::int[], $8::text[],
            $9::text[], $10::text[], $11::timestamptz[], $12::uuid[])
       as o (workspace_id, id, attempt, status, class, wait, code, enhanced, text, variant_id, at, route_id),
     mailings w
where m.workspace_id = o.workspace_id and m.id = o.id and m.attempt = o.attempt
  and w.workspace_id = m.workspace_id and w.id = m.mailing_id
  and (m.status = 'attempting' or (m.status = 'uncertain' and o.status <> 'uncertain'))
returning m.workspace_id, m.id, m.mailing_id, m.contact_id, m.kind, m.status, m.class, m.attempt, m.revision,
          m.next_at, m.provider, m.variant_id, m.smtp_code, m.smtp_enhanced, m.smtp_text, m.sent_at,
          w.campaign_id, w.purpose_id, w.program_id
"""

# The most frequent outcome by far, so it has a statement that does all: ledger, intents and events, with no transaction
# around it.
_ACCEPT = f"""
with moved as (
update messages m set
  status = 'sent', class = '', revision = m.revision + 1, smtp_code = o.code, smtp_enhanced = o.enhanced,
  smtp_text = o.text, variant_id = coalesce(o.variant_id, m.variant_id), sent_at = o.at, route_id = o.route_id
from unnest($3::uuid[], $4::uuid[], $5::int[], $6::int[], $7::text[], $8::text[], $9::text[], $10::timestamptz[],
            $11::uuid[]) as o (workspace_id, id, attempt, code, enhanced, text, variant_id, at, route_id),
     mailings w
where m.workspace_id = o.workspace_id and m.id = o.id and m.attempt = o.attempt
  and w.workspace_id = m.workspace_id and w.id = m.mailing_id and m.status in ('attempting', 'uncertain')
returning m.workspace_id, m.id, m.kind, m.contact_id, w.campaign_id, w.purpose_id, w.program_id, m.variant_id,
          m.attempt, m.revision, m.provider, m.smtp_code, m.smtp_enhanced, m.smtp_text
), done as (
  select workspace_id, array_agg(id) as ids from moved group by 1
{marks.LEAVE_INTENTS}, told as (
  insert into outbox (lane, topic, type, key, event_id, workspace_id, traceparent, payload)
  select {_SENT.lane}, '{_SENT.name}', '{_SENT.type}', id::text, gen_random_uuid(), workspace_id, $12,
         json_build_object(
           'message_id', id, 'kind', kind, 'contact_id', contact_id, 'campaign_id', campaign_id,
           'purpose_id', purpose_id, 'program_id', program_id, 'variant_id', variant_id, 'attempt', attempt,
           'revision', revision, 'provider', provider,
           'smtp', json_build_object('code', smtp_code, 'enhanced', smtp_enhanced, 'text', smtp_text))::text
    from moved
)
select provider, count(*)::int as n from moved group by 1
"""  # noqa: S608 - the parts are constants

_REFILE = """
update messages m set provider = u.provider from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[])
       as u (workspace_id, id, attempt, provider)
 where m.workspace_id = u.workspace_id and m.id = u.id and m.attempt = u.attempt and m.status = 'pending'
"""

# A campaign is held by what came since it was last held: policy refusals that are many and a good part of what was
# tried; or, of 200 and more, 5 % that nobody reads, refused at once or bounced later, or 0.3 % who complain.
# What comes back late, of mail sent before that, was known to whoever let it go on.
_HOLD = """
with tally as (
  select workspace_id, mailing_id, coalesce(sum(n) filter (where status = 'failed' and class = 'policy'), 0) as policy,
         coalesce(sum(n) filter (where status = 'failed' and class in ('bad_mailbox', 'bad_domain')), 0) as refused,
         coalesce(sum(n) filter (where status in ('sent', 'failed')), 0) as tried
    from message_counts where (workspace_id, mailing_id) in (select * from unnest($1::uuid[], $2::uuid[])) group by 1, 2
), since as (
  select t.*, t.policy - w.held_after_policy as new_policy, t.tried - w.held_after_tried as new_tried,
         t.refused - w.held_after_refused + b.hard as new_hard, b.complaints
    from tally t join mailings w on w.workspace_id = t.workspace_id and w.id = t.mailing_id
   cross join lateral (
     select count(distinct r.message_id) filter (where r.kind = 'hard') as hard,
            count(distinct r.message_id) filter (where r.kind = 'complaint') as complaints
       from returns r
      where w.active
        and r.workspace_id = w.workspace_id and r.mailing_id = w.id and r.counts and r.kind in ('hard', 'complaint')
        and r.sent_at > coalesce(w.held_at, '-infinity')) b
   where w.held_reason is null and w.state = 'running'
), judged as (
  select s.*, case
           when (s.new_policy >= 5 and s.new_policy * 2 >= s.new_tried)
             or (s.new_policy >= 20 and s.new_policy * 10 >= s.new_tried) then 'policy'
           when s.new_tried >= 200 and s.new_hard * 20 >= s.new_tried then 'hard_bounces'
           when s.new_tried >= 200 and s.complaints * 1000 >= s.new_tried * 3 then 'complaints'
         end as reason
    from since s
)
update mailings w set held_reason = j.reason, held_at = now(), held_after_policy = j.policy,
       held_after_refused = j.refused, held_after_tried = j.tried
  from judged j
 where w.workspace_id = j.workspace_id and w.id = j.mailing_id and w.held_reason is null and w.state = 'running'
   and (j.reason = 'policy' or (j.reason is not null and w.active))
returning w.workspace_id, w.id, w.held_reason, w.state_revision
"""

NO_WAIT = timedelta(0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How attempt n ended. `wait`: until the next try, for deferred and pending.

    `text`: what the server said (then with its code), or why nothing was sent; without it the last word stands.
    `route_id`: None for the platform's own. `provider`: another than was thought, which it waits for now.
    """

    workspace_id: UUID
    id: UUID
    attempt: int
    status: OutcomeStatus
    klass: str = ""
    wait: timedelta = NO_WAIT
    code: int | None = None
    enhanced: str | None = None
    text: str | None = None
    variant_id: str | None = None
    at: object = None
    route_id: UUID | None = None
    provider: str | None = None


async def settle(tx: Connection, outcomes: Sequence[Outcome]) -> list[asyncpg.Record]:
    """Write outcomes; the rows that changed are returned. Repeating it changes nothing."""
    rows = sorted(outcomes, key=lambda o: (o.workspace_id, o.id))
    return await tx.fetch(
        _SETTLE,
        [o.workspace_id for o in rows],
        [o.id for o in rows],
        [o.attempt for o in rows],
        [o.status for o in rows],
        [o.klass for o in rows],
        [o.wait for o in rows],
        [o.code for o in rows],
        [o.enhanced for o in rows],
        [o.text for o in rows],
        [o.variant_id for o in rows],
        [o.at for o in rows],
        [o.route_id for o in rows],
    )


async def accept(
    connection: Connection, mailer_id: UUID, epoch: int, outcomes: Sequence[Outcome], traceparent: str | None
) -> dict[str, int]:
    """Write and tell what a server took (`sent`), and take it out of its intents: how many of each provider.

    All of it is one statement. Repeating it changes nothing.
    """
    rows = sorted(outcomes, key=lambda o: (o.workspace_id, o.id))
    moved = await connection.fetch(
        _ACCEPT,
        mailer_id,
        epoch,
        [o.workspace_id for o in rows],
        [o.id for o in rows],
        [o.attempt for o in rows],
        [o.code for o in rows],
        [o.enhanced for o in rows],
        [o.text for o in rows],
        [o.variant_id for o in rows],
        [o.at for o in rows],
        [o.route_id for o in rows],
        traceparent,
    )
    counted = {row["provider"]: row["n"] for row in moved}
    if sum(counted.values()) < len(rows):
        # What had been written before, or is known to others, leaves its intent too.
        await marks.unmark(connection, mailer_id, epoch, [o.workspace_id for o in rows], [o.id for o in rows])
    return counted


async def refile(tx: Connection, outcomes: Sequence[Outcome]) -> None:
    """Messages that wait for another provider than was thought; after `settle`."""
    rows = sorted((o for o in outcomes if o.provider is not None), key=lambda o: (o.workspace_id, o.id))
    if rows:
        await tx.execute(
            _REFILE,
            [o.workspace_id for o in rows],
            [o.id for o in rows],
            [o.attempt for o in rows],
            [o.provider for o in rows],
        )


async def hold_refused(tx: Connection, workspace_ids: list[UUID], mailing_ids: list[UUID]) -> list[asyncpg.Record]:
    """Hold those of the campaigns that meet policy refusals beyond measure; they are returned."""
    return await tx.fetch(_HOLD, workspace_ids, mailing_ids)
