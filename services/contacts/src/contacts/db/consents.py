"""Consents: the append-only ledger, and where each contact stands now.

Whoever writes here holds the contact's row lock.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id

_APPEND = """
insert into consent_records (workspace_id, id, contact_id, purpose_id, status, source, evidence, wording_version,
                             actor, ip, caused_by)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                     $8::integer[], $9::text[], $10::text[], $11::uuid[])
on conflict do nothing
returning id
"""

_SET = """
insert into consents (workspace_id, contact_id, purpose_id, status, caused_by)
select distinct on (1, 2, 3) * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[])
on conflict (workspace_id, contact_id, purpose_id) do update
   set status = excluded.status, revision = consents.revision + 1, updated_at = now(),
       caused_by = coalesce(excluded.caused_by, consents.caused_by)
 where consents.status <> excluded.status
    or (excluded.caused_by is not null and consents.caused_by is distinct from excluded.caused_by)
returning *
"""


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One line of the ledger."""

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


async def append(tx: Connection, records: Sequence[ConsentRecord]) -> list[asyncpg.Record]:
    """Add lines to the ledger and move the current state; returns the states that changed."""
    if not records:
        return []
    ids = [new_id() for _ in records]
    columns = list(zip(*map(astuple, records), strict=True))
    added = {row["id"] for row in await tx.fetch(_APPEND, columns[0], ids, *columns[1:])}
    # A line that was there already (the same block told twice) must not undo what was decided since.
    new = [astuple(one) for id_, one in zip(ids, records, strict=True) if id_ in added]
    if not new:
        return []
    columns = list(zip(*new, strict=True))
    return await tx.fetch(_SET, *columns[:4], columns[9])


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
