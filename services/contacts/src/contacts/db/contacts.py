"""Contacts, one by one and in pages."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id

from contacts.domain.addresses import Address

_COLUMNS = """id, workspace_id, email, email_normalised, first_name, last_name, language, timezone, country,
  external_id, phone, phone_normalised, company, city, city_normalised, owner, attributes, tags, tracking, score,
  grade, stage, provenance, flags, revision, created_at, updated_at"""

_GET = f"select {_COLUMNS} from contacts where workspace_id = $1 and id = $2"  # noqa: S608

_INSERT = f"""
insert into contacts (workspace_id, id, email, email_normalised, address_hash, domain_hash, first_name, last_name,
                      language, timezone, country, external_id, phone, phone_normalised, company, city, owner,
                      attributes, tags, tracking, stage, provenance, flags)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
on conflict do nothing
returning {_COLUMNS}
"""  # noqa: S608

_UPDATE = f"""
update contacts
   set email = $3, email_normalised = $4, address_hash = coalesce($5, address_hash),
       domain_hash = coalesce($6, domain_hash), first_name = $7, last_name = $8, language = $9, timezone = $10,
       country = $11, external_id = $12, phone = $13, phone_normalised = $14, company = $15, city = $16, owner = $17,
       attributes = $18, tags = $19, tracking = $20, stage = $21, provenance = $22, flags = $23,
       revision = revision + 1, updated_at = now()
 where workspace_id = $1 and id = $2
returning {_COLUMNS}
"""  # noqa: S608

_PEOPLE = f"""
select {_COLUMNS} from contacts
 where workspace_id = $1 and (email_normalised = $2 or external_id = $3)
 order by id for update
"""  # noqa: S608

_CALLED = f"""
select {_COLUMNS} from contacts where workspace_id = $1 and phone_normalised = $2 order by id limit 20 for update
"""  # noqa: S608

_PAGE = "select {columns} from contacts where workspace_id = $1 and {where} order by {order} limit {limit}"

# In the order of the statements' parameters.
_FIELDS_AND_STATE = (
    "first_name", "last_name", "language", "timezone", "country", "external_id", "phone", "phone_normalised", "company",
    "city", "owner", "attributes", "tags", "tracking", "stage", "provenance", "flags",
)  # fmt: skip


async def get(tx: Connection, workspace_id: UUID, contact_id: UUID) -> asyncpg.Record | None:
    """One contact."""
    return await tx.fetchrow(_GET, workspace_id, contact_id)


async def get_locked(tx: Connection, workspace_id: UUID, contact_id: UUID) -> asyncpg.Record | None:
    """One contact, locked: whoever changes it, its consents or its score takes this lock first."""
    return await tx.fetchrow(f"{_GET} for update", workspace_id, contact_id)


async def by_identity(
    tx: Connection, workspace_id: UUID, email_normalised: str | None, external_id: str | None
) -> list[asyncpg.Record]:
    """Who has this address or this external id, locked: nobody, one, or two people."""
    return await tx.fetch(_PEOPLE, workspace_id, email_normalised, external_id)


async def by_phone(tx: Connection, workspace_id: UUID, normalised: str) -> list[asyncpg.Record]:
    """Who has this number, locked: a family or an office may share one. Twenty at most."""
    return await tx.fetch(_CALLED, workspace_id, normalised)


async def insert(
    tx: Connection, workspace_id: UUID, contact_id: UUID, address: Address, values: Mapping[str, Any]
) -> asyncpg.Record | None:
    """A new contact; None if the address or external id is taken."""
    return await tx.fetchrow(
        _INSERT,
        workspace_id,
        contact_id,
        address.email,
        address.normalised,
        address.hash,
        address.domain_hash,
        *(values[name] for name in _FIELDS_AND_STATE),
    )


_INSERT_BARE = f"""
insert into contacts (workspace_id, id, email, email_normalised, address_hash, domain_hash)
select $1, t.i, t.e, t.n, t.h, t.d from unnest($2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::bytea[])
                                        as t(i, e, n, h, d)
 where not exists (select from tombstones x where x.workspace_id = $1 and x.address_hash = t.h)
 order by t.n
on conflict do nothing
returning {_COLUMNS}
"""  # noqa: S608


async def insert_bare(tx: Connection, workspace_id: UUID, addresses: Sequence[Address]) -> list[asyncpg.Record]:
    """New contacts of whom only the address is known; without those who are there already or were erased."""
    return await tx.fetch(
        _INSERT_BARE,
        workspace_id,
        [new_id() for _ in addresses],
        [one.email for one in addresses],
        [one.normalised for one in addresses],
        [one.hash for one in addresses],
        [one.domain_hash for one in addresses],
    )


async def update(
    tx: Connection, workspace_id: UUID, contact_id: UUID, address: Address | None, values: Mapping[str, Any]
) -> asyncpg.Record | None:
    """Write a locked contact's values. Raises asyncpg.UniqueViolationError if an identity is taken."""
    return await tx.fetchrow(
        _UPDATE,
        workspace_id,
        contact_id,
        address.email if address else values["email"],
        address.normalised if address else values["email_normalised"],
        address.hash if address else None,
        address.domain_hash if address else None,
        *(values[name] for name in _FIELDS_AND_STATE),
    )


async def remove(tx: Connection, workspace_id: UUID, contact_id: UUID) -> None:
    """Take a contact out; what else is known of it is somebody else's business."""
    await tx.execute("delete from contacts where workspace_id = $1 and id = $2", workspace_id, contact_id)


async def page(
    tx: Connection, workspace_id: UUID, where: str, order: str, limit: int, args: Sequence[Any]
) -> list[asyncpg.Record]:
    """A page; the fragments come from the list's grammar."""
    statement = _PAGE.format(columns=_COLUMNS, where=where, order=order, limit=limit)
    return await tx.fetch(statement, workspace_id, *args)


_OF_IDS = f"""
select {_COLUMNS} from unnest($2::uuid[]) with ordinality f (wanted, place)
  join contacts on workspace_id = $1 and id = f.wanted order by f.place
"""  # noqa: S608


async def of_ids(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """These contacts in this order; those that are gone are left out."""
    return await tx.fetch(_OF_IDS, workspace_id, list(contact_ids))


_SCORE = """
update contacts c set score = n.score, grade = n.grade, score_revision = n.revision
  from unnest($1::uuid[], $2::uuid[], $3::float8[], $4::text[], $5::bigint[])
       n (workspace_id, contact_id, score, grade, revision)
 where c.workspace_id = n.workspace_id and c.id = n.contact_id and c.score_revision < n.revision
"""


async def set_scores(
    tx: Connection,
    workspace_ids: Sequence[UUID],
    contact_ids: Sequence[UUID],
    scores: Sequence[float],
    grades: Sequence[str],
    revisions: Sequence[int],
) -> None:
    """Write scores; an older revision changes nothing, and a contact that is gone stays gone."""
    await tx.execute(_SCORE, workspace_ids, contact_ids, scores, grades, revisions)


_HASHES = """
select c.id, c.address_hash from contacts c
  join unnest($1::uuid[], $2::uuid[]) n (workspace_id, id) on c.workspace_id = n.workspace_id and c.id = n.id
"""

_LOCK_ALL = """
select c.workspace_id, c.id from contacts c
 where (c.workspace_id, c.id) in (select * from unnest($1::uuid[], $2::uuid[]))
 order by c.workspace_id, c.id for update
"""


async def hashes(tx: Connection, workspace_ids: Sequence[UUID], contact_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Contact → address hash, of those that are still there."""
    rows = await tx.fetch(_HASHES, workspace_ids, contact_ids)
    return {row["id"]: row["address_hash"] for row in rows}


async def lock_all(
    tx: Connection, workspace_ids: Sequence[UUID], contact_ids: Sequence[UUID]
) -> set[tuple[UUID, UUID]]:
    """Lock the contacts that are still there, in one order for everybody."""
    rows = await tx.fetch(_LOCK_ALL, workspace_ids, contact_ids)
    return {(row["workspace_id"], row["id"]) for row in rows}


_HASHES_OF = """
select address_hash, domain_hash, null::timestamptz as erased_at from contacts where workspace_id = $1 and id = $2
union all
select address_hash, null, erased_at from tombstones where workspace_id = $1 and contact_id = $2
"""


async def hashes_of(tx: Connection, workspace_id: UUID, contact_id: UUID) -> asyncpg.Record | None:
    """The keyed hashes of a contact's address and domain; of somebody erased, the address's alone."""
    return await tx.fetchrow(_HASHES_OF, workspace_id, contact_id)
