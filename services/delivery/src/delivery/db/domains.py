"""Sending domains and their DKIM keys. A domain's row is locked before its keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_ADD = """
insert into domains (workspace_id, id, name, checks) values ($1, $2, $3, $4)
on conflict (workspace_id, name) do nothing returning *
"""
_ADD_KEYS = """
insert into dkim_keys (workspace_id, domain_id, selector, algorithm, state, private_key, public_key)
select $1, $2, k.selector, k.algorithm, 'published', k.private_key, k.public_key
  from unnest($3::text[], $4::text[], $5::bytea[], $6::bytea[]) as k (selector, algorithm, private_key, public_key)
"""
_KEYS = """
select domain_id, selector, algorithm, state, public_key, created_at, activated_at, retired_at
  from dkim_keys where workspace_id = $1 and domain_id = any($2::uuid[])
 order by domain_id, created_at desc, algorithm desc, selector
"""
_STORE = """
update domains set checks = $3, verified = $4, subdomains = $5, failing = $6, checked_at = now(), check_at = now() + $7,
       returns = $8,
       revision = revision + case when (verified, subdomains, failing) is distinct from ($4, $5, $6::text[])
                                  then 1 else 0 end
 where workspace_id = $1 and id = $2 returning *
"""
# Who signs has its own copy for a moment longer; what is retired can be sealed by no old key that must be kept.
_RETIRE = """
update dkim_keys set state = 'retired', retired_at = now(), private_key = null
 where workspace_id = $1 and domain_id = $2 and algorithm = any($3::text[]) and state = 'active'
   and selector <> all($4::text[])
"""
_ACTIVATE = """
update dkim_keys set state = 'active', activated_at = now()
 where workspace_id = $1 and domain_id = $2 and selector = any($3::text[]) and state = 'published'
"""
_DUE = """
update domains d set check_at = now() + interval '5 minutes'
  from (select workspace_id, id from domains where check_at <= now() order by check_at limit $1
          for update skip locked) due
 where d.workspace_id = due.workspace_id and d.id = due.id returning d.workspace_id, d.id
"""
_SIGNING = """
select d.name, k.selector, k.private_key, k.domain_id from dkim_keys k
  join domains d on d.workspace_id = k.workspace_id and d.id = k.domain_id
 where k.workspace_id = $1 and d.name = any($2::text[]) and k.state = 'active'
 order by length(d.name) desc, k.algorithm desc
"""
# Of the domain whose key signs, or of one above it: what is bounced is of the same organization then, or is nobody's.
_RETURNS = """
select name from domains where workspace_id = $1 and name = any($2::text[]) and verified and returns
 order by length(name) desc limit 1
"""
_PAGE = "select * from domains where workspace_id = $1 and id > $2 order by id limit $3"


async def add(tx: Connection, workspace_id: UUID, domain_id: UUID, name: str, checks: Any) -> asyncpg.Record | None:
    """A new domain; None where the workspace has it."""
    return await tx.fetchrow(_ADD, workspace_id, domain_id, name, checks)


async def add_keys(
    tx: Connection, workspace_id: UUID, domain_id: UUID, keys: Sequence[tuple[str, str, bytes, bytes]]
) -> None:
    """New keys to publish: (selector, algorithm, sealed private half, public half)."""
    await tx.execute(_ADD_KEYS, workspace_id, domain_id, *map(list, zip(*keys, strict=True)))


async def get(tx: Connection, workspace_id: UUID, domain_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One domain."""
    text = "select * from domains where workspace_id = $1 and id = $2"
    return await tx.fetchrow(f"{text} for update" if lock else text, workspace_id, domain_id)


async def named(tx: Connection, workspace_id: UUID, name: str) -> UUID | None:
    """The id of the workspace's domain of that name."""
    found: UUID | None = await tx.fetchval(
        "select id from domains where workspace_id = $1 and name = $2", workspace_id, name
    )
    return found


async def page(tx: Connection, workspace_id: UUID, after: UUID, limit: int) -> list[asyncpg.Record]:
    """Domains, the oldest first."""
    return await tx.fetch(_PAGE, workspace_id, after, limit)


async def keys_of(tx: Connection, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, list[asyncpg.Record]]:
    """The keys of domains, the newest first, without their private halves."""
    found: dict[UUID, list[asyncpg.Record]] = {one: [] for one in ids}
    for row in await tx.fetch(_KEYS, workspace_id, ids):
        found[row["domain_id"]].append(row)
    return found


async def activate(
    tx: Connection, workspace_id: UUID, domain_id: UUID, selectors: Sequence[str], algorithms: Sequence[str]
) -> None:
    """These keys sign from now on; others of their algorithms no more."""
    await tx.execute(_RETIRE, workspace_id, domain_id, algorithms, selectors)
    await tx.execute(_ACTIVATE, workspace_id, domain_id, selectors)


async def store(
    tx: Connection,
    workspace_id: UUID,
    domain_id: UUID,
    *,
    checks: Any,
    verified: bool,
    subdomains: bool,
    failing: Sequence[str],
    returns: bool,
    again: timedelta,
) -> asyncpg.Record:
    """What a look at the DNS found; the revision rises where what is told of the domain changed."""
    row = await tx.fetchrow(_STORE, workspace_id, domain_id, checks, verified, subdomains, failing, again, returns)
    if row is None:
        raise LookupError("the domain's row is locked by this transaction")
    return row


async def set_checks(tx: Connection, workspace_id: UUID, domain_id: UUID, checks: Any) -> None:
    """What is to be published, after the keys changed."""
    await tx.execute(
        "update domains set checks = $3, check_at = now() where workspace_id = $1 and id = $2",
        workspace_id,
        domain_id,
        checks,
    )


async def delete(tx: Connection, workspace_id: UUID, domain_id: UUID) -> None:
    """The domain and its keys."""
    await tx.execute("delete from domains where workspace_id = $1 and id = $2", workspace_id, domain_id)


async def take_due(tx: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """(workspace, domain) to look at now; somebody else's turn comes only minutes later."""
    return [(row["workspace_id"], row["id"]) for row in await tx.fetch(_DUE, limit)]


async def signing_keys(tx: Connection, workspace_id: UUID, names: Sequence[str]) -> list[asyncpg.Record]:
    """Sealed keys that sign for the first of these names that has any: the longest, RSA first."""
    rows = await tx.fetch(_SIGNING, workspace_id, names)
    return [row for row in rows if row["name"] == rows[0]["name"]]


async def returning(tx: Connection, workspace_id: UUID, names: Sequence[str]) -> str | None:
    """The first of these names, the longest, whose own return path leads back here."""
    found: str | None = await tx.fetchval(_RETURNS, workspace_id, names)
    return found


async def forget_retired(tx: Connection, before: datetime) -> None:
    """Keys whose records nobody needs any more."""
    await tx.execute("delete from dkim_keys where state = 'retired' and retired_at < $1", before)
