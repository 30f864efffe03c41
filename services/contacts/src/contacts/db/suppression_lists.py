"""Suppressions by the thousand: coming in as hashes, going out with what they hide where a contact still tells it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection

# What is suppressed already, and for as long or longer, stays as it is.
_PUT = """
insert into suppressions (workspace_id, id, scope, hash, reason, actor, expires_at)
select $1, n.id, $4, n.hash, $5, $6, $7 from unnest($2::uuid[], $3::bytea[]) n (id, hash) order by n.hash
on conflict (workspace_id, scope, hash) do update
   set reason = excluded.reason, active = true, revision = suppressions.revision + 1, actor = excluded.actor,
       expires_at = excluded.expires_at, updated_at = now()
 where not suppressions.active or suppressions.expires_at < coalesce(excluded.expires_at, 'infinity')
returning *
"""

_PUT_DIGESTS = """
insert into suppressed_digests (workspace_id, algorithm, digest, reason, actor, expires_at)
select $1, $2, n.digest, $4, $5, $6 from unnest($3::bytea[]) n (digest) order by n.digest
on conflict (workspace_id, algorithm, digest) do update
   set reason = excluded.reason, actor = excluded.actor, expires_at = excluded.expires_at
 where suppressed_digests.expires_at < coalesce(excluded.expires_at, 'infinity')
"""

_PAGE = """
with s as (
  select id, hash, reason, created_at, expires_at from suppressions
   where workspace_id = $1 and scope = $2 and active and (expires_at is null or expires_at > now())
     and ($3::uuid is null or id > $3)
   order by id limit $4
)
select s.*, {value} as value from s {source} order by s.id
"""

# Neither hash of a contact has an index: a page is large, and one pass over the contacts serves it.
_VALUES = {
    "plain": {"address": "c.email", "domain": "split_part(c.email_normalised, '@', 2)"},
    "sha256": {"address": "encode(sha256(convert_to(c.email_normalised, 'UTF8')), 'hex')"},
    "md5": {"address": "md5(convert_to(c.email_normalised, 'UTF8'))"},
}
_OF = {
    "address": "left join contacts c on c.workspace_id = $1 and c.address_hash = s.hash",
    "domain": "left join (select distinct on (domain_hash) domain_hash, email_normalised from contacts"
    " where workspace_id = $1 order by domain_hash) c on c.domain_hash = s.hash",
}


async def put(
    tx: Connection,
    workspace_id: UUID,
    scope: str,
    ids: Sequence[UUID],
    hashes: Sequence[bytes],
    reason: str,
    actor: str,
    expires_at: datetime | None,
) -> list[asyncpg.Record]:
    """Suppress these hashes, each once; those that changed are returned. `ids`: for new ones."""
    return await tx.fetch(_PUT, workspace_id, ids, hashes, scope, reason, actor, expires_at)


async def put_digests(
    tx: Connection,
    workspace_id: UUID,
    algorithm: str,
    digests: Sequence[bytes],
    reason: str,
    actor: str,
    expires_at: datetime | None,
) -> int:
    """Keep digests, and suppress the contacts they name; how many of these were not suppressed before."""
    await tx.execute(_PUT_DIGESTS, workspace_id, algorithm, digests, reason, actor, expires_at)
    found: int = await tx.fetchval("select meet_suppressed_digests($1, null)", workspace_id)
    return found


def known_as(scope: str, form: str) -> bool:
    """Whether suppressions of this scope can be given in this form."""
    return form == "keyed" or scope in _VALUES[form]


async def page(
    tx: Connection, workspace_id: UUID, scope: str, form: str, after: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Active suppressions by id. `value` is null where nobody here has that address or domain any more."""
    keyed = form == "keyed"
    value = "encode(s.hash, 'hex')" if keyed else _VALUES[form][scope]
    statement = _PAGE.format(value=value, source="" if keyed else _OF[scope])
    return await tx.fetch(statement, workspace_id, scope, after, limit)
