"""Sending domains, as delivery tells them."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from common.contracts.delivery import DomainChangedV1
from common.db.pool import Connection

_STORE = """
insert into domains as d (workspace_id, id, name, verified, subdomains, failing, deleted, revision)
select distinct on (workspace_id, id) workspace_id, id, name, verified, subdomains,
       coalesce(string_to_array(nullif(failing, ''), ','), '{}'), deleted, revision
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::boolean[], $5::boolean[], $6::text[], $7::boolean[], $8::bigint[])
    as n (workspace_id, id, name, verified, subdomains, failing, deleted, revision)
 order by workspace_id, id, revision desc
on conflict (workspace_id, id) do update
  set name = excluded.name, verified = excluded.verified, subdomains = excluded.subdomains, failing = excluded.failing,
      deleted = excluded.deleted, revision = excluded.revision
  where excluded.revision > d.revision
"""
_SIGNING = """
select name, failing from domains
 where workspace_id = $1 and name = any($2::text[]) and verified and not deleted and (subdomains or name = $3)
 order by length(name) desc limit 1
"""


async def store(tx: Connection, told: Sequence[tuple[UUID, DomainChangedV1]]) -> None:
    """Domains as told; the highest revision stands."""
    await tx.execute(
        _STORE,
        [workspace_id for workspace_id, _ in told],
        [one.domain_id for _, one in told],
        [one.domain for _, one in told],
        [one.verified for _, one in told],
        [one.subdomains for _, one in told],
        [",".join(one.failing) for _, one in told],
        [one.deleted for _, one in told],
        [one.revision for _, one in told],
    )


async def signing_for(tx: Connection, workspace_id: UUID, domain: str, lineage: Sequence[str]) -> asyncpg.Record | None:
    """The verified domain whose signature stands for a sender's domain: itself, or the nearest above it that may."""
    return await tx.fetchrow(_SIGNING, workspace_id, lineage, domain)
