"""Endpoints that mail providers call, and the nonces they used."""

from uuid import UUID

import asyncpg
from common.db.pool import Connection

_COLUMNS = "workspace_id, id, provider, name, secret, last_event_at, created_at"

_ADD = f"""
insert into provider_endpoints (workspace_id, id, provider, name, token_hash, secret) values ($1, $2, $3, $4, $5, $6)
returning {_COLUMNS}
"""  # noqa: S608 - the parts are constants

_NONCE = """
with new as (
  insert into provider_nonces (workspace_id, endpoint_id, nonce, event_id) values ($1, $2, $3, $4)
  on conflict do nothing returning event_id
)
select event_id from new union all
select event_id from provider_nonces where workspace_id = $1 and endpoint_id = $2 and nonce = $3
"""

_SEEN = """
update provider_endpoints set last_event_at = now()
 where workspace_id = $1 and id = $2 and (last_event_at is null or last_event_at < now() - interval '1 minute')
"""


async def add(
    tx: Connection, workspace_id: UUID, id_: UUID, provider: str, name: str, token_hash: bytes, secret: bytes
) -> asyncpg.Record:
    """A new one."""
    (row,) = await tx.fetch(_ADD, workspace_id, id_, provider, name, token_hash, secret)
    return row


async def page(tx: Connection, workspace_id: UUID, after: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Newest first."""
    return await tx.fetch(
        f"select {_COLUMNS} from provider_endpoints where workspace_id = $1 and ($2::uuid is null or id < $2)"  # noqa: S608
        " order by id desc limit $3",
        workspace_id,
        after,
        limit,
    )


async def delete(tx: Connection, workspace_id: UUID, id_: UUID) -> bool:
    """Whether it was there."""
    done = await tx.execute("delete from provider_endpoints where workspace_id = $1 and id = $2", workspace_id, id_)
    return bool(done == "DELETE 1")


async def by_token(tx: Connection, workspace_id: UUID, provider: str, token_hash: bytes) -> asyncpg.Record | None:
    """The endpoint of an address."""
    return await tx.fetchrow(
        f"select {_COLUMNS} from provider_endpoints where workspace_id = $1 and provider = $2 and token_hash = $3",  # noqa: S608
        workspace_id,
        provider,
        token_hash,
    )


async def seen(tx: Connection, workspace_id: UUID, id_: UUID) -> None:
    """Note that it was called, to the minute."""
    await tx.execute(_SEEN, workspace_id, id_)


async def use_nonce(tx: Connection, workspace_id: UUID, endpoint_id: UUID, nonce: bytes, event_id: str) -> str:
    """The event that a nonce is used for: this one, or the one that came first."""
    used: str = await tx.fetchval(_NONCE, workspace_id, endpoint_id, nonce, event_id)
    return used


async def forget_nonces(tx: Connection) -> None:
    """Forget nonces whose signatures are too old to count."""
    await tx.execute("delete from provider_nonces where at < now() - interval '2 days'")
