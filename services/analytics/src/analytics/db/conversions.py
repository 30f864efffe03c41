"""Conversions: what they are worth, of whom, and what they were corrected to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from asyncpg import Record
from common.db.pool import Connection


class New(NamedTuple):
    """A conversion as it was told."""

    id: UUID
    external_id: str
    contact_id: UUID
    campaign_id: UUID | None
    amount: Decimal
    currency: str
    occurred_at: datetime


# The lock meets an erasure: one under way is waited for, one that comes later waits for us.
_PEOPLE = """
select contact_id from leads where workspace_id = $1 and contact_id = any($2::uuid[])
 order by contact_id for key share
"""
_CAMPAIGNS = "select campaign_id from campaigns where workspace_id = $1 and campaign_id = any($2::uuid[])"
_ADD = """
insert into conversions (workspace_id, id, external_id, contact_id, campaign_id, amount, currency, occurred_at)
select $1, t.* from unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::numeric[], $7::text[],
                           $8::timestamptz[])
  as t (id, external_id, contact_id, campaign_id, amount, currency, occurred_at)
 order by t.id
on conflict do nothing
returning *
"""
_CHANGE = """
update conversions set amount = $3, refunded = $4, currency = $5, occurred_at = $6, campaign_id = $7, voided = $8,
       revision = revision + 1
 where workspace_id = $1 and id = $2 returning *
"""
_BY_IDS = "select * from conversions where workspace_id = $1 and id = any($2::uuid[])"
_FORGET = """
update conversions c set contact_id = null, external_id = null
  from unnest($1::uuid[], $2::uuid[]) as e (workspace_id, contact_id)
 where c.workspace_id = e.workspace_id and c.contact_id = e.contact_id
"""


async def known_people(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the contacts that analytics has heard of; none of them is erased before the transaction ends."""
    return {row["contact_id"] for row in await tx.fetch(_PEOPLE, workspace_id, contact_ids)}


async def known_campaigns(tx: Connection, workspace_id: UUID, campaign_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the campaigns that have begun."""
    return {row["campaign_id"] for row in await tx.fetch(_CAMPAIGNS, workspace_id, campaign_ids)}


async def add(tx: Connection, workspace_id: UUID, told: Sequence[New]) -> list[Record]:
    """Store what is not stored yet; those rows."""
    columns = [list(column) for column in zip(*told, strict=True)]
    return await tx.fetch(_ADD, workspace_id, *columns)


async def by_ids(tx: Connection, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Record]:
    """Conversions by id."""
    return {row["id"]: row for row in await tx.fetch(_BY_IDS, workspace_id, ids)}


async def get(tx: Connection, workspace_id: UUID, conversion_id: UUID, *, lock: bool = False) -> Record | None:
    """One conversion."""
    return await tx.fetchrow(
        f"select * from conversions where workspace_id = $1 and id = $2{' for update' if lock else ''}",  # noqa: S608
        workspace_id,
        conversion_id,
    )


async def page(
    tx: Connection, workspace_id: UUID, contact_id: UUID | None, after: UUID | None, limit: int
) -> list[Record]:
    """Conversions by id, of one contact or all."""
    of_contact = "and contact_id = $4" if contact_id else ""
    return await tx.fetch(
        f"""
        select * from conversions where workspace_id = $1 and ($2::uuid is null or id > $2) {of_contact}
         order by id limit $3
        """,  # noqa: S608
        workspace_id,
        after,
        limit,
        *([contact_id] if contact_id else []),
    )


async def change(tx: Connection, before: Record, changes: Mapping[str, Any]) -> Record:
    """Correct a locked conversion."""
    now = {**dict(before), **changes}
    row = await tx.fetchrow(
        _CHANGE,
        *(now[name] for name in ("workspace_id", "id", "amount", "refunded", "currency", "occurred_at", "campaign_id",
                                 "voided")),
    )  # fmt: skip
    assert row is not None  # noqa: S101
    return row


async def forget(tx: Connection, workspace_ids: Sequence[UUID], contact_ids: Sequence[UUID]) -> None:
    """Take from erased people's conversions what says whose they were; the sums stay."""
    await tx.execute(_FORGET, workspace_ids, contact_ids)
