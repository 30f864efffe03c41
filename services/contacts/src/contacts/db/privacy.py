"""Privacy requests, tombstones, and who has erased."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.db import segment_members

# Set-based: one statement per table, whatever the number of people.
_BURY = """
insert into tombstones (workspace_id, contact_id, address_hash, request_id)
select c.workspace_id, c.id, c.address_hash, $3::uuid from contacts c where c.workspace_id = $1 and c.id = any ($2)
union all
select a.workspace_id, a.alias_id, a.address_hash, $3::uuid from contact_aliases a
 where a.workspace_id = $1 and a.alias_id = any ($2)
on conflict do nothing
returning address_hash
"""

BLANK = (
    "delete from contacts where workspace_id = $1 and id = any ($2::uuid[])",
    "delete from consents where workspace_id = $1 and contact_id = any ($2::uuid[])",
    "delete from list_members where workspace_id = $1 and contact_id = any ($2::uuid[])",
    "delete from contact_merges where workspace_id = $1 and (kept_id = any ($2::uuid[]) or gone_id = any ($2::uuid[]))",
    "delete from contact_aliases where workspace_id = $1 and alias_id = any ($2::uuid[])",
    (
        "delete from duplicate_pairs"
        " where workspace_id = $1 and (first_id = any ($2::uuid[]) or second_id = any ($2::uuid[]))"
    ),
    "delete from segment_snapshot_members where workspace_id = $1 and contact_id = any ($2::uuid[])",
    # Under the lock of who else moves members, so that sizes stay right.
    (
        "with gone as (delete from segment_members where workspace_id = $1 and contact_id = any ($2::uuid[])"
        " returning segment_id)"
        " update segment_states s set size = size - g.n"
        " from (select segment_id, count(*) as n from gone group by 1) g"
        " where s.workspace_id = $1 and s.segment_id = g.segment_id"
    ),
    "delete from personal_data where workspace_id = $1 and contact_id = any ($2::uuid[])",
    "delete from stage_transitions where workspace_id = $1 and contact_id = any ($2::uuid[])",
    "delete from contact_notes where workspace_id = $1 and contact_id = any ($2::uuid[])",
    "delete from conversions where workspace_id = $1 and contact_id = any ($2::uuid[])",
    "delete from contact_money where workspace_id = $1 and contact_id = any ($2::uuid[])",
    # Only the latest imports have any, and only by import can they be found.
    (
        "delete from import_changes h using imports i where i.workspace_id = $1"
        " and h.workspace_id = $1 and h.import_id = i.id and h.contact_id = any ($2::uuid[])"
    ),
    (
        "delete from import_undo_kept h using imports i where i.workspace_id = $1"
        " and h.workspace_id = $1 and h.import_id = i.id and h.contact_id = any ($2::uuid[])"
    ),
    "delete from confirmations where workspace_id = $1 and contact_id = any ($2::uuid[])",
    (
        "delete from form_submissions where workspace_id = $1 and (contact_id = any ($2::uuid[]) or address_hash in"
        " (select address_hash from tombstones where workspace_id = $1 and contact_id = any ($2::uuid[])))"
    ),
    (
        "delete from parked_events where workspace_id = $1 and (contact_id = any ($2::uuid[]) or address_hash in"
        " (select address_hash from tombstones where workspace_id = $1 and contact_id = any ($2::uuid[])))"
    ),
    (
        "delete from source_deliveries where workspace_id = $1 and address_hashes && array("
        "select address_hash from tombstones where workspace_id = $1 and contact_id = any ($2::uuid[]))"
    ),
    (
        "delete from visitor_events e using visitors v where v.workspace_id = $1 and v.contact_id = any ($2::uuid[])"
        " and e.workspace_id = $1 and e.visitor_id = v.id"
    ),
    "delete from visitors where workspace_id = $1 and contact_id = any ($2::uuid[])",
    "delete from activity where workspace_id = $1 and contact_id = any ($2::uuid[])",
    (
        "delete from import_rejects where workspace_id = $1 and address_hash in"
        " (select address_hash from tombstones where workspace_id = $1 and contact_id = any ($2::uuid[]))"
    ),
    (
        "update consent_records set evidence = null, ip = null, agent = null"
        " where workspace_id = $1 and contact_id = any ($2::uuid[])"
    ),
)


# Whoever changes several segments takes them in this order.
_LOCK_SIZES = """
select from segment_states where workspace_id = $1 and segment_id in (
  select segment_id from segment_members where workspace_id = $1 and contact_id = any ($2::uuid[]))
 order by segment_id for update
"""


async def insert(
    tx: Connection, workspace_id: UUID, request_id: UUID, kind: str, contact_id: UUID, requested_by: str
) -> asyncpg.Record | None:
    """A new request."""
    return await tx.fetchrow(
        "insert into privacy_requests (workspace_id, id, kind, contact_id, requested_by) values ($1, $2, $3, $4, $5)"
        " returning *",
        workspace_id,
        request_id,
        kind,
        contact_id,
        requested_by,
    )


async def get(tx: Connection, workspace_id: UUID, request_id: UUID) -> asyncpg.Record | None:
    """One request."""
    return await tx.fetchrow(
        "select * from privacy_requests where workspace_id = $1 and id = $2", workspace_id, request_id
    )


async def page(tx: Connection, workspace_id: UUID, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Requests, the newest first."""
    return await tx.fetch(
        "select * from privacy_requests where workspace_id = $1 and ($2::uuid is null or id < $2)"
        " order by id desc limit $3",
        workspace_id,
        before,
        limit,
    )


async def erasures(tx: Connection, workspace_id: UUID, request_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Which services have erased, and when."""
    return await tx.fetch(
        "select request_id, service, at from erasures where workspace_id = $1 and request_id = any ($2) order by at",
        workspace_id,
        request_ids,
    )


async def erase(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID], request_id: UUID) -> list[bytes]:
    """Blank everything about people whose rows are locked; their ids and hashes stay. Returns the hashes."""
    rows = await tx.fetch(_BURY, workspace_id, contact_ids, request_id)
    await blank(tx, workspace_id, contact_ids)
    return [row["address_hash"] for row in rows]


async def blank(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID]) -> None:
    """Blank everything about people who have their tombstones. The locks: contacts, then segments, then members."""
    await segment_members.lock(tx, workspace_id)
    await tx.fetch(_LOCK_SIZES, workspace_id, contact_ids)
    for statement in BLANK:
        await tx.execute(statement, workspace_id, contact_ids)


_DONE = """
insert into erasures (workspace_id, request_id, service, at)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[])
on conflict do nothing
"""

_COMPLETE = """
update privacy_requests p set completed_at = now()
 where (p.workspace_id, p.id) in (select * from unnest($1::uuid[], $2::uuid[])) and p.completed_at is null
   and (select count(*) from erasures e where e.workspace_id = p.workspace_id and e.request_id = p.id) >= $3
"""


async def done(
    tx: Connection,
    workspace_ids: Sequence[UUID],
    request_ids: Sequence[UUID],
    services: Sequence[str],
    at: Sequence[datetime],
    needed: int,
) -> None:
    """Services have erased; a request is complete when `needed` of them have. May come before the request."""
    await tx.execute(_DONE, workspace_ids, request_ids, services, at)
    await tx.execute(_COMPLETE, workspace_ids, request_ids, needed)
