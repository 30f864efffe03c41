"""What came back: found in the ledger, stored once, and what it adds up to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection

# A claim knows the end of its workspace's id, or nothing of it; a caller knows it whole.
_FIND = """
select c.n, c.place, m.workspace_id, m.id, m.mailing_id, m.contact_id, m.kind, m.email, m.status, m.attempt,
       m.variant_id, m.provider, coalesce(m.sent_at, m.at) as sent_at,
       w.campaign_id, w.purpose_id, w.program_id, w.active,
       coalesce(w.sender ->> 'reply_to', w.sender ->> 'email') as reply_to
  from unnest($1::int[], $2::int[], $3::uuid[], $4::bytea[]) as c (n, place, id, tail)
  join (select workspace_id from workspaces where $5::uuid is null union all select $5 where $5 is not null) s
    on c.tail is null or substring(uuid_send(s.workspace_id) from 11) = c.tail
  join messages m on m.workspace_id = s.workspace_id and m.id = c.id
  join mailings w on w.workspace_id = m.workspace_id and w.id = m.mailing_id
 order by c.n, c.place
"""

# What comes again is a repetition, unless it proves only now what it is about (by the address it was delivered to), or
# that it is what it says: without proof no refusal was taken for a dead mailbox.
_STORE = """
insert into returns as r
  (workspace_id, id, source, message_id, mailing_id, kind, reason, status, reply, delayed, counts, sent_at)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[],
                     $9::text[], $10::boolean[], $11::boolean[], $12::timestamptz[])
 order by 1, 2
on conflict (workspace_id, id) do update
  set source = excluded.source, message_id = excluded.message_id, mailing_id = excluded.mailing_id,
      kind = excluded.kind, reason = excluded.reason, status = excluded.status, reply = excluded.reply,
      delayed = excluded.delayed, counts = excluded.counts, sent_at = excluded.sent_at, at = now()
  where excluded.counts and (not r.counts or (r.reason = 'unproven' and excluded.reason <> 'unproven'))
returning r.workspace_id, r.id
"""

_PAGE = """
select id, source, message_id, mailing_id, kind, reason, status, reply, delayed, counts, block_id, at from returns
 where workspace_id = $1 and ($2::timestamptz is null or (at, id) < ($2, $3::uuid))
   and ($5::uuid is null or message_id = $5) and ($6::uuid is null or mailing_id = $6)
   and ($7::text is null or kind = $7)
 order by at desc, id desc limit $4
"""

_TOLD = """
select distinct r.workspace_id, r.message_id, r.kind
  from unnest($1::uuid[], $2::uuid[]) as u (workspace_id, message_id)
  join returns r on r.workspace_id = u.workspace_id and r.message_id = u.message_id
 where r.counts and not r.delayed and r.id <> all($3)
"""

_NOTE_BLOCKS = """
update returns r set block_id = u.block_id
  from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as u (workspace_id, id, block_id)
 where r.workspace_id = u.workspace_id and r.id = u.id
"""

# Whatever comes back of a message, its server had taken it.
_RESOLVE = """
with hit as (
  select m.workspace_id, m.id from unnest($1::uuid[], $2::uuid[]) as u (workspace_id, id)
    join messages m on m.workspace_id = u.workspace_id and m.id = u.id
   where m.status = 'uncertain' order by 1, 2 for update of m
)
update messages m set status = 'sent', class = '', revision = m.revision + 1, sent_at = now()
  from hit where m.workspace_id = hit.workspace_id and m.id = hit.id and m.status = 'uncertain'
returning m.workspace_id, m.id, m.mailing_id, m.contact_id, m.kind, m.variant_id, m.status, m.class, m.attempt,
          m.revision, m.provider, m.smtp_code, m.smtp_enhanced, m.smtp_text, m.next_at, m.sent_at
"""

_FORGET_OLD = """
with forgotten as (delete from set_aside where at < now() - interval '7 days')
delete from returns where at < now() - interval '400 days'
"""


@dataclass(frozen=True, slots=True)
class Return:
    """One row. Without a message it is about none of this workspace's."""

    workspace_id: UUID
    id: UUID
    source: str
    message_id: UUID | None
    mailing_id: UUID | None
    kind: str
    reason: str
    status: str
    reply: str
    delayed: bool
    counts: bool
    sent_at: datetime | None


async def find(
    tx: Connection,
    numbers: list[int],
    places: list[int],
    message_ids: list[UUID],
    tails: list[bytes | None],
    workspace_id: UUID | None,
) -> list[asyncpg.Record]:
    """The messages that claims name, of one workspace or of any; by number, and by place among its claims."""
    return await tx.fetch(_FIND, numbers, places, message_ids, tails, workspace_id)


async def store(tx: Connection, rows: Sequence[Return]) -> set[tuple[UUID, UUID]]:
    """Store what was not stored before, or was not proven; workspace and id of each that is new."""
    new = await tx.fetch(
        _STORE,
        [r.workspace_id for r in rows],
        [r.id for r in rows],
        [r.source for r in rows],
        [r.message_id for r in rows],
        [r.mailing_id for r in rows],
        [r.kind for r in rows],
        [r.reason for r in rows],
        [r.status for r in rows],
        [r.reply for r in rows],
        [r.delayed for r in rows],
        [r.counts for r in rows],
        [r.sent_at for r in rows],
    )
    return {(row["workspace_id"], row["id"]) for row in new}


async def page(
    tx: Connection,
    workspace_id: UUID,
    after: tuple[datetime, UUID] | None,
    limit: int,
    *,
    message_id: UUID | None,
    campaign_id: UUID | None,
    kind: str | None,
) -> list[asyncpg.Record]:
    """What came back, the newest first."""
    return await tx.fetch(_PAGE, workspace_id, *(after or (None, None)), limit, message_id, campaign_id, kind)


async def told_before(
    tx: Connection, workspace_ids: list[UUID], message_ids: list[UUID], but: list[UUID]
) -> set[tuple[UUID, UUID, str]]:
    """Workspace, message and kind of what counted before these returns."""
    return {tuple(row) for row in await tx.fetch(_TOLD, workspace_ids, message_ids, but)}


async def note_blocks(tx: Connection, noted: Sequence[tuple[UUID, UUID, UUID]]) -> None:
    """Note to which block each of these returns led: workspace, id, block."""
    if noted:
        await tx.execute(_NOTE_BLOCKS, *(list(column) for column in zip(*noted, strict=True)))


async def resolve_uncertain(tx: Connection, workspace_ids: list[UUID], ids: list[UUID]) -> list[asyncpg.Record]:
    """Uncertain messages of these were sent after all; the rows that changed."""
    return await tx.fetch(_RESOLVE, workspace_ids, ids)


async def forget_old(tx: Connection) -> None:
    """Forget mails set aside a week ago, and what came back more than a year ago."""
    await tx.execute(_FORGET_OLD)
