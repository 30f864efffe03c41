"""Rows of the ledger: added from audiences and requests, read by the API, moved by people and by erasure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_ADD = """
insert into messages (workspace_id, id, mailing_id, contact_id, kind, lane, email, address_hash, domain_hash, language,
                      timezone, country, tracking, fields, variant_id, provider, status, class, next_at)
select n.workspace_id, n.id, n.mailing_id, n.contact_id, n.kind, n.lane,
       case when t.id is null then n.email end, case when t.id is null then n.address_hash end,
       case when t.id is null then n.domain_hash end, case when t.id is null then n.language end,
       case when t.id is null then n.timezone end, case when t.id is null then n.country end,
       n.tracking, case when t.id is null then n.fields end, n.variant_id, n.provider,
       case when t.id is null then n.status else 'suppressed' end,
       case when t.id is null then n.class else 'erased' end,
       now()
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::smallint[], $7::text[], $8::bytea[],
              $9::bytea[], $10::text[], $11::text[], $12::text[], $13::boolean[], $14::jsonb[], $15::text[],
              $16::text[], $17::text[], $18::text[])
         as n (workspace_id, id, mailing_id, contact_id, kind, lane, email, address_hash, domain_hash, language,
               timezone, country, tracking, fields, variant_id, provider, status, class)
  left join tombstones t on t.workspace_id = n.workspace_id and t.kind = 'contact' and t.id = n.contact_id
 order by n.workspace_id, n.id
on conflict do nothing
returning workspace_id, id, mailing_id, contact_id, kind, variant_id, status, class, attempt, revision, provider,
          smtp_code, smtp_enhanced, smtp_text, next_at
"""

# A batch and an erasure that do not see each other would leave an address behind: one waits for the other. Each
# lock is a statement of its own, so that the next one sees what was committed meanwhile.
_ADDING = "select pg_advisory_xact_lock_shared(hashtext('delivery.erasure'))"
_ERASING = "select pg_advisory_xact_lock(hashtext('delivery.erasure'))"

_BURY = """
insert into tombstones (workspace_id, kind, id)
select distinct workspace_id, 'contact', id from unnest($1::uuid[], $2::uuid[]) as u (workspace_id, id) order by 1, 3
on conflict do nothing
"""

_HASHES = """
select m.workspace_id, m.id, m.address_hash from unnest($1::uuid[], $2::uuid[]) as u (workspace_id, id)
  join messages m on m.workspace_id = u.workspace_id and m.id = u.id where m.address_hash is not null
"""

# Only what nobody has begun; and only where the other contact's mail has not failed.
_SPARE = """
with hit as (
  select g.workspace_id, g.id from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as u (workspace_id, merged_id, contact_id)
    join messages g on g.workspace_id = u.workspace_id and g.contact_id = u.merged_id and g.kind = 'campaign'
    join messages k on k.workspace_id = g.workspace_id and k.contact_id = u.contact_id and k.kind = 'campaign'
     and k.mailing_id = g.mailing_id and k.status not in ('failed', 'expired', 'cancelled', 'suppressed')
   where g.status in ('pending', 'deferred') order by 1, 2 for update of g
)
update messages m set status = 'suppressed', class = 'merged', revision = m.revision + 1
  from hit where m.workspace_id = hit.workspace_id and m.id = hit.id and m.status in ('pending', 'deferred')
returning m.workspace_id, m.id, m.mailing_id, m.contact_id, m.kind, m.variant_id, m.status, m.class, m.attempt,
          m.revision
"""

# What waits is suppressed; what is under an intent keeps its outcome; the address goes from all, at once.
_ERASE = """
with theirs as (
  select m.workspace_id, m.id from unnest($1::uuid[], $2::uuid[]) as u (workspace_id, contact_id)
    join messages m on m.workspace_id = u.workspace_id and m.contact_id = u.contact_id
  union
  select m.workspace_id, m.id from unnest($3::uuid[], $4::bytea[]) as u (workspace_id, address_hash)
    join messages m on m.workspace_id = u.workspace_id and m.address_hash = u.address_hash
     and m.kind <> 'campaign' and m.contact_id is null and m.address_hash is not null
), hit as (
  select m.workspace_id, m.id from theirs t join messages m on m.workspace_id = t.workspace_id and m.id = t.id
   order by 1, 2 for update of m
)
update messages m
   set status = case when m.status in ('pending', 'deferred') then 'suppressed' else m.status end,
       class = case when m.status in ('pending', 'deferred') then 'erased' else m.class end,
       revision = m.revision + (m.status in ('pending', 'deferred'))::int,
       email = null, address_hash = null, domain_hash = null, fields = null, language = null, timezone = null,
       country = null, smtp_text = null, history = null
  from hit where m.workspace_id = hit.workspace_id and m.id = hit.id
   and (m.email is not null or m.fields is not null)
returning m.workspace_id, m.id, m.mailing_id, m.contact_id, m.kind, m.variant_id, m.status, m.class, m.attempt,
          m.revision
"""

COLUMNS = """
  m.id, m.mailing_id, w.campaign_id, m.contact_id, m.kind, m.email, m.status, m.class, m.attempt, m.revision,
  m.provider, m.route_id, m.variant_id, m.next_at, m.sent_at, m.smtp_code, m.smtp_enhanced, m.smtp_text, m.at, m.history
"""

_LIST = f"""
select {COLUMNS} from messages m
  join mailings w on w.workspace_id = m.workspace_id and w.id = m.mailing_id
 where m.workspace_id = $1 and m.id > $2 %s order by m.id limit $3
"""  # noqa: S608 - the parts are constants

_GET = f"""
select {COLUMNS} from messages m
  join mailings w on w.workspace_id = m.workspace_id and w.id = m.mailing_id
 where m.workspace_id = $1 and m.id = $2
"""  # noqa: S608 - the parts are constants

_FOR_BROWSER = """
select workspace_id, id, mailing_id, contact_id, email, language, timezone, country, tracking, fields, variant_id
  from messages where workspace_id = $1 and id = $2 and email is not null
"""

_MAILING_OF = """
select w.id, w.state from mailings w
 where w.workspace_id = $1 and w.id = (select mailing_id from messages where workspace_id = $1 and id = $2)
 for update of w
"""

_RESEND = """
update messages set status = 'pending', class = '', revision = revision + 1, resent = true, next_at = now()
 where workspace_id = $1 and id = $2 and status = 'uncertain' and email is not null
returning id
"""

_RESOLVE = """
update messages set status = $3, class = $4, revision = revision + 1,
       sent_at = case when $3 = 'sent' then now() else sent_at end
 where workspace_id = $1 and id = $2 and status = 'uncertain'
returning workspace_id, id, mailing_id, contact_id, kind, variant_id, status, class, attempt, revision, provider,
          smtp_code, smtp_enhanced, smtp_text, next_at, sent_at
"""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """One row to add. `status` is pending, suppressed, cancelled or failed."""

    workspace_id: UUID
    id: UUID
    mailing_id: UUID
    contact_id: UUID | None
    kind: str
    lane: int
    email: str | None
    address_hash: bytes | None
    domain_hash: bytes | None
    language: str | None
    timezone: str | None
    country: str | None
    tracking: bool
    fields: dict[str, Any] | None
    variant_id: str | None
    provider: str
    status: str
    klass: str


async def add(tx: Connection, rows: Sequence[NewMessage]) -> list[asyncpg.Record]:
    """Add rows that are not there yet, erased people's without address; the added ones are returned."""
    await tx.execute(_ADDING)
    return await tx.fetch(
        _ADD,
        [r.workspace_id for r in rows],
        [r.id for r in rows],
        [r.mailing_id for r in rows],
        [r.contact_id for r in rows],
        [r.kind for r in rows],
        [r.lane for r in rows],
        [r.email for r in rows],
        [r.address_hash for r in rows],
        [r.domain_hash for r in rows],
        [r.language for r in rows],
        [r.timezone for r in rows],
        [r.country for r in rows],
        [r.tracking for r in rows],
        [r.fields for r in rows],
        [r.variant_id for r in rows],
        [r.provider for r in rows],
        [r.status for r in rows],
        [r.klass for r in rows],
    )


async def erase(
    tx: Connection, contacts: Sequence[tuple[UUID, UUID]], addresses: Sequence[tuple[UUID, bytes]]
) -> list[asyncpg.Record]:
    """Blank the rows of (workspace, contact) pairs, and leave tombstones that late batches cannot pass.

    `addresses`: (workspace, hash) of what they were written to; mail that names no contact is found by it.
    """
    workspace_ids, contact_ids = [one for one, _ in contacts], [one for _, one in contacts]
    await tx.execute(_ERASING)
    await tx.execute(_BURY, workspace_ids, contact_ids)
    return await tx.fetch(
        _ERASE, workspace_ids, contact_ids, [one for one, _ in addresses], [one for _, one in addresses]
    )


async def spare_merged(tx: Connection, pairs: Sequence[tuple[UUID, UUID, UUID]]) -> list[asyncpg.Record]:
    """Suppress what waits for merged contacts, (workspace, merged, contact) each, where it would be the second copy."""
    return await tx.fetch(_SPARE, *map(list, zip(*pairs, strict=True)))


async def page(
    tx: Connection, workspace_id: UUID, after: UUID, limit: int, campaign_id: UUID | None, status: str | None
) -> list[asyncpg.Record]:
    """Messages by id, after a cursor."""
    where, params = "", [workspace_id, after, limit]
    if campaign_id is not None:
        params.append(campaign_id)
        where += f" and m.mailing_id = ${len(params)}"
    if status is not None:
        # As a literal, so that the partial index on what is to be looked at can serve it.
        where += f" and m.status = '{status}'" if status.isalpha() else " and false"
    return await tx.fetch(_LIST % where, *params)


async def get(tx: Connection, workspace_id: UUID, message_id: UUID) -> asyncpg.Record | None:
    """One message."""
    return await tx.fetchrow(_GET, workspace_id, message_id)


async def lock_mailing(tx: Connection, workspace_id: UUID, message_id: UUID) -> asyncpg.Record | None:
    """The mailing of a message, locked: before the message, as everywhere."""
    return await tx.fetchrow(_MAILING_OF, workspace_id, message_id)


async def resend(tx: Connection, workspace_id: UUID, message_id: UUID) -> bool:
    """Whether the message was uncertain, and is pending now."""
    return await tx.fetchval(_RESEND, workspace_id, message_id) is not None


async def resolve(
    tx: Connection, workspace_id: UUID, message_id: UUID, status: str, klass: str
) -> asyncpg.Record | None:
    """The message if it was uncertain, as it is now."""
    return await tx.fetchrow(_RESOLVE, workspace_id, message_id, status, klass)


async def address_hashes(tx: Connection, messages: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], bytes]:
    """(workspace, message) → the keyed hash of the address it went to; nothing once that is erased."""
    rows = await tx.fetch(_HASHES, [one for one, _ in messages], [one for _, one in messages])
    return {(row["workspace_id"], row["id"]): row["address_hash"] for row in rows}


async def for_browser(tx: Connection, workspace_id: UUID, message_id: UUID) -> asyncpg.Record | None:
    """What rendering needs of a message, while its person is not erased."""
    return await tx.fetchrow(_FOR_BROWSER, workspace_id, message_id)
