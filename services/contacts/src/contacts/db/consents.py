"""Consents: the append-only ledger, and where each contact stands now.

Whoever writes here holds the contact's row lock. What happened last decides, in whatever order it was told: a line
that comes late goes into the ledger and changes nothing that happened after it.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id

EMAIL = "email"
# Whether a person agreed to be counted: for all mail, so its lines have no purpose.
TRACKING = "tracking"
NO_PURPOSE = UUID(int=0)

_APPEND = """
insert into consent_records (workspace_id, contact_id, purpose_id, status, source, evidence, wording_version, actor,
                             ip, caused_by, channel, basis, express, wording_language, agent, expires_at, paused_until,
                             happened_at, id)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::text[],
                     $9::text[], $10::uuid[], $11::text[], $12::text[], $13::boolean[], $14::text[], $15::text[],
                     $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::uuid[])
on conflict do nothing
returning *
"""

# An answer to delivery's block is taken over even from a line that came late: the block must be lifted or kept by it.
_SET = """
with wanted as (
  select distinct on (workspace_id, contact_id, purpose_id) *
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::timestamptz[], $7::timestamptz[],
                $8::timestamptz[])
         with ordinality
         w (workspace_id, contact_id, purpose_id, status, caused_by, paused_until, expires_at, decided_at, n)
   order by workspace_id, contact_id, purpose_id, decided_at desc, n desc),
old as (
  select c.* from consents c join wanted w using (workspace_id, contact_id, purpose_id)),
judged as (
  select w.*, o.revision as before, o.status as status_before,
         o.revision is null or w.decided_at >= coalesce(o.decided_at, o.updated_at) as later,
         w.caused_by is not null and o.caused_by is distinct from w.caused_by as answers,
         (w.status, w.paused_until, w.expires_at) is distinct from (o.status, o.paused_until, o.expires_at) as differs
    from wanted w left join old o using (workspace_id, contact_id, purpose_id)),
written as (
  insert into consents as c (workspace_id, contact_id, purpose_id, status, caused_by, paused_until, expires_at,
                             decided_at)
  select workspace_id, contact_id, purpose_id, status, caused_by, paused_until, expires_at, decided_at
    from judged where later or answers
   order by workspace_id, contact_id, purpose_id
  on conflict (workspace_id, contact_id, purpose_id) do update
     set status = case when excluded.decided_at >= coalesce(c.decided_at, c.updated_at)
                       then excluded.status else c.status end,
         paused_until = case when excluded.decided_at >= coalesce(c.decided_at, c.updated_at)
                             then excluded.paused_until else c.paused_until end,
         expires_at = case when excluded.decided_at >= coalesce(c.decided_at, c.updated_at)
                           then excluded.expires_at else c.expires_at end,
         decided_at = greatest(excluded.decided_at, coalesce(c.decided_at, c.updated_at)),
         caused_by = coalesce(excluded.caused_by, c.caused_by), updated_at = now(),
         revision = c.revision + case
           when excluded.decided_at >= coalesce(c.decided_at, c.updated_at)
            and (excluded.status, excluded.paused_until, excluded.expires_at)
                is distinct from (c.status, c.paused_until, c.expires_at)
             or excluded.caused_by is not null and c.caused_by is distinct from excluded.caused_by then 1 else 0 end
  returning c.*)
select w.* from written w join judged j using (workspace_id, contact_id, purpose_id)
 where j.before is null or (j.later and j.differs) or j.answers
"""


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One line of the ledger. `happened_at` None: now."""

    workspace_id: UUID
    contact_id: UUID
    purpose_id: UUID
    status: str
    source: str
    evidence: str | None
    wording_version: int | None
    actor: str
    ip: str | None = None
    caused_by: UUID | None = None
    channel: str = EMAIL
    basis: str | None = None
    express: bool | None = None
    wording_language: str | None = None
    agent: str | None = None
    expires_at: datetime | None = None
    paused_until: datetime | None = None
    happened_at: datetime | None = None


async def append(tx: Connection, records: Sequence[ConsentRecord]) -> list[asyncpg.Record]:
    """Add lines to the ledger and move the current state; returns the states that changed.

    A line that was there already (the same block told twice) must not undo what was decided since.
    """
    if not records:
        return []
    columns = list(zip(*map(astuple, records), strict=True))
    added = await tx.fetch(_APPEND, *columns, [new_id() for _ in records])
    mail = [row for row in added if row["channel"] == EMAIL]
    if not mail:
        return []
    names = ("workspace_id", "contact_id", "purpose_id", "status", "caused_by", "paused_until", "expires_at")
    return await tx.fetch(
        _SET, *([row[name] for row in mail] for name in names), [row["happened_at"] or row["at"] for row in mail]
    )


async def of_contact(tx: Connection, workspace_id: UUID, contact_id: UUID) -> list[asyncpg.Record]:
    """Where a contact stands with each purpose."""
    return await tx.fetch(
        "select * from consents where workspace_id = $1 and contact_id = $2 order by purpose_id",
        workspace_id,
        contact_id,
    )


async def history(
    tx: Connection, workspace_id: UUID, contact_id: UUID, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """The ledger of a contact, the newest first."""
    return await tx.fetch(
        "select * from consent_records where workspace_id = $1 and contact_id = $2"
        " and ($3::uuid is null or id < $3) order by id desc limit $4",
        workspace_id,
        contact_id,
        before,
        limit,
    )


_DECIDING = """
select distinct on (channel, purpose_id) * from consent_records
 where workspace_id = $1 and contact_id = $2 and coalesce(happened_at, at) <= $3
 order by channel, purpose_id, coalesce(happened_at, at) desc, at desc, id desc
"""


async def deciding(tx: Connection, workspace_id: UUID, contact_id: UUID, as_of: datetime) -> list[asyncpg.Record]:
    """The line that decided at a time, for each channel and purpose."""
    return await tx.fetch(_DECIDING, workspace_id, contact_id, as_of)


_OVER = """
select workspace_id, contact_id, purpose_id, expires_at, coalesce(decided_at, updated_at) as decided_at from consents
 where {column} <= now() order by {column} limit 1000
"""
_RESUME = """
update consents c set paused_until = null, revision = revision + 1, updated_at = now(),
       decided_at = coalesce(decided_at, c.updated_at)
  from unnest($1::uuid[], $2::uuid[], $3::uuid[]) n (workspace_id, contact_id, purpose_id)
 where c.workspace_id = n.workspace_id and c.contact_id = n.contact_id and c.purpose_id = n.purpose_id
   and c.paused_until <= now()
returning c.*
"""


async def over(tx: Connection, what: str) -> list[asyncpg.Record]:
    """Up to a thousand consents whose pause (`paused_until`) or time (`expires_at`) is over."""
    return await tx.fetch(_OVER.format(column=what))


async def resume(tx: Connection, rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
    """Take away pauses that are over. Whoever holds the contacts' locks."""
    names = ("workspace_id", "contact_id", "purpose_id")
    return await tx.fetch(_RESUME, *([row[name] for row in rows] for name in names))
