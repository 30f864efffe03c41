"""Events told from outside: whom they are about, and storing them as activity."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from common.db.pool import Connection

_BY_EMAIL = "select email_normalised as key, id from contacts where workspace_id = $1 and email_normalised = any ($2)"
_BY_EXTERNAL = "select external_id as key, id from contacts where workspace_id = $1 and external_id = any ($2)"
# A merged contact's former id still means the person.
_BY_ID = """
select w.id as key, c.id
  from unnest($2::uuid[]) as w(id)
  left join contact_aliases a on a.workspace_id = $1 and a.alias_id = w.id
  join contacts c on c.workspace_id = $1 and c.id = coalesce(a.contact_id, w.id)
"""
# And so does the address it had.
_BY_FORMER_ADDRESS = """
select a.address_hash as key, c.id from contact_aliases a
  join contacts c on c.workspace_id = a.workspace_id and c.id = a.contact_id
 where a.workspace_id = $1 and a.address_hash = any ($2::bytea[])
"""
_ERASED = "select distinct address_hash from tombstones where workspace_id = $1 and address_hash = any ($2::bytea[])"
# As in `activity`: an erasure under way is waited for, one that comes later waits for us.
_MEET_ERASURE = "select from contacts where workspace_id = $1 and id = any ($2::uuid[]) order by id for key share"
_ADD = """
insert into activity (workspace_id, event_id, contact_id, type, at, properties, machine)
select $1, t.e, coalesce(a.contact_id, t.i), t.k, t.at, t.p, t.m
  from unnest($2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::jsonb[], $7::boolean[])
       with ordinality as t(e, i, k, at, p, m, n)
  left join contact_aliases a on a.workspace_id = $1 and a.alias_id = t.i
 where not exists (select from tombstones x where x.workspace_id = $1 and x.contact_id in (t.i, a.contact_id))
 order by t.e, t.n
on conflict do nothing
returning event_id, contact_id, type, at, properties, machine
"""


class Happened(NamedTuple):
    """An event of a known contact, checked."""

    event_id: UUID
    contact_id: UUID
    type: str
    at: datetime
    properties: Mapping[str, Any]
    machine: bool = False


async def people(
    tx: Connection, workspace_id: UUID, emails: Mapping[str, bytes], external_ids: Sequence[str], ids: Sequence[UUID]
) -> dict[tuple[str, Any], UUID]:
    """Who is meant by each address (with its keyed hash), external id and id: those who are known."""
    found: dict[tuple[str, Any], UUID] = {}
    for kind, statement, keys in (
        ("email", _BY_EMAIL, sorted(emails)),
        ("external_id", _BY_EXTERNAL, external_ids),
        ("id", _BY_ID, ids),
    ):
        if keys:
            rows = await tx.fetch(statement, workspace_id, keys)
            found |= {(kind, row["key"]): row["id"] for row in rows}
    missing = {digest: email for email, digest in emails.items() if ("email", email) not in found}
    if missing:
        rows = await tx.fetch(_BY_FORMER_ADDRESS, workspace_id, sorted(missing))
        found |= {("email", missing[row["key"]]): row["id"] for row in rows}
    return found


async def erased(tx: Connection, workspace_id: UUID, hashes: Sequence[bytes]) -> set[bytes]:
    """Which of these addresses were erased."""
    return {row["address_hash"] for row in await tx.fetch(_ERASED, workspace_id, hashes)}


async def add(tx: Connection, workspace_id: UUID, happened: Sequence[Happened]) -> list[Happened]:
    """Store what is not stored yet, except about people who were erased; what that was, and whose."""
    if not happened:
        return []
    event_ids, contact_ids, *others = map(list, zip(*happened, strict=True))
    await tx.fetch(_MEET_ERASURE, workspace_id, contact_ids)
    rows = await tx.fetch(_ADD, workspace_id, event_ids, contact_ids, *others)
    return [Happened(*row) for row in rows]
