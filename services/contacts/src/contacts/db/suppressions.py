"""Suppressions: keyed hashes of addresses and domains that must not be mailed in a workspace."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_SET = """
insert into suppressions (workspace_id, id, scope, hash, reason, active, caused_by, actor, expires_at)
select distinct on (workspace_id, scope, hash) *
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::boolean[], $7::uuid[], $8::text[],
              $9::timestamptz[]) n (workspace_id, id, scope, hash, reason, active, caused_by, actor, expires_at)
 order by workspace_id, scope, hash, id desc
on conflict (workspace_id, scope, hash) do update
   set reason = excluded.reason, active = excluded.active, revision = suppressions.revision + 1,
       caused_by = coalesce(excluded.caused_by, suppressions.caused_by), actor = excluded.actor,
       expires_at = excluded.expires_at, updated_at = now()
 where excluded.caused_by is null or suppressions.caused_by is distinct from excluded.caused_by
returning *
"""

_LIFT = """
update suppressions set active = false, revision = revision + 1, actor = $3, updated_at = now()
 where workspace_id = $1 and id = $2 and active returning *
"""

_EXPIRE = """
update suppressions set active = false, revision = revision + 1, actor = 'expiry', updated_at = now()
 where ctid in (select ctid from suppressions where active and expires_at <= now() limit 1000 for update skip locked)
returning *
"""

_COVERS = """
select s.reason from suppressions s join contacts c on c.workspace_id = s.workspace_id
 where c.workspace_id = $1 and c.id = $2 and s.active and (s.expires_at is null or s.expires_at > now())
   and (s.scope, s.hash) in (('address', c.address_hash), ('domain', c.domain_hash))
 order by s.scope limit 1
"""


@dataclass(frozen=True, slots=True)
class Suppression:
    """One row to write. `id` is used only if the hash is new."""

    workspace_id: UUID
    id: UUID
    scope: str
    hash: bytes
    reason: str
    active: bool = True
    caused_by: UUID | None = None
    actor: str = ""
    expires_at: datetime | None = None


async def put(tx: Connection, suppressions: Sequence[Suppression]) -> list[asyncpg.Record]:
    """Write suppressions by scope and hash; returns those written, with their new revisions.

    What a block of delivery caused before is not caused by it again.
    """
    if not suppressions:
        return []
    return await tx.fetch(_SET, *map(list, zip(*map(astuple, suppressions), strict=True)))


async def lift(tx: Connection, workspace_id: UUID, suppression_id: UUID, actor: str) -> asyncpg.Record | None:
    """Let an address or domain be mailed again; None if there is nothing to lift."""
    return await tx.fetchrow(_LIFT, workspace_id, suppression_id, actor)


async def expire(tx: Connection) -> list[asyncpg.Record]:
    """Lift up to a thousand suppressions whose time is over."""
    return await tx.fetch(_EXPIRE)


async def get(tx: Connection, workspace_id: UUID, suppression_id: UUID) -> asyncpg.Record | None:
    """One suppression."""
    return await tx.fetchrow(
        "select * from suppressions where workspace_id = $1 and id = $2", workspace_id, suppression_id
    )


async def by_hash(tx: Connection, workspace_id: UUID, scope: str, hash_: bytes) -> asyncpg.Record | None:
    """The suppression of one address or domain, active or not."""
    return await tx.fetchrow(
        "select * from suppressions where workspace_id = $1 and scope = $2 and hash = $3", workspace_id, scope, hash_
    )


async def page(tx: Connection, workspace_id: UUID, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Active suppressions, the newest first."""
    return await tx.fetch(
        "select * from suppressions where workspace_id = $1 and active and ($2::uuid is null or id < $2)"
        " order by id desc limit $3",
        workspace_id,
        before,
        limit,
    )


async def reason_of(tx: Connection, workspace_id: UUID, contact_id: UUID) -> str | None:
    """Why the contact's address or domain is suppressed; None if neither is."""
    reason: str | None = await tx.fetchval(_COVERS, workspace_id, contact_id)
    return reason


async def covers(tx: Connection, workspace_id: UUID, contact_id: UUID) -> bool:
    """Whether the contact's address or domain is suppressed."""
    return await reason_of(tx, workspace_id, contact_id) is not None


_AS_OF = """
select distinct on (scope, hash) * from suppression_records
 where workspace_id = $1 and (scope, hash) in (('address', $2::bytea), ('domain', $3::bytea)) and at <= $4
 order by scope, hash, at desc, revision desc
"""


async def standing(
    tx: Connection, workspace_id: UUID, address_hash: bytes, domain_hash: bytes | None, as_of: datetime
) -> asyncpg.Record | None:
    """The suppression of an address or its domain that stood at a time; the address's own first."""
    rows = await tx.fetch(_AS_OF, workspace_id, address_hash, domain_hash, as_of)
    return next((row for row in rows if row["active"] and not (row["expires_at"] and row["expires_at"] <= as_of)), None)
