"""Answers that wait to be sent on. Whoever takes one has it for a while; it goes once the server took it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg
from common.db.pool import Connection

LEASE = timedelta(minutes=15)

_ADD = """
insert into forwards (workspace_id, id, recipient, mail)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[]) on conflict do nothing
"""

_TAKE = """
with due as (
  select workspace_id, id from forwards where next_at <= now() order by next_at limit $1 for update skip locked
)
update forwards f set attempts = f.attempts + 1, next_at = now() + $2
  from due where f.workspace_id = due.workspace_id and f.id = due.id
returning f.workspace_id, f.id, f.recipient, f.mail, f.attempts, f.at
"""

_LATER = """
update forwards set next_at = now() + $3, attempts = attempts - (not $4)::int where workspace_id = $1 and id = $2
"""


async def add(tx: Connection, rows: Sequence[tuple[UUID, UUID, str, bytes]]) -> None:
    """Answers to send on: workspace, return, recipient, mail."""
    if rows:
        await tx.execute(_ADD, *(list(column) for column in zip(*rows, strict=True)))


async def take(tx: Connection, limit: int) -> list[asyncpg.Record]:
    """Those that are due, for LEASE."""
    return await tx.fetch(_TAKE, limit, LEASE)


async def later(tx: Connection, workspace_id: UUID, id_: UUID, wait: timedelta, *, tried: bool = True) -> None:
    """Try again after a while; what was not tried is no attempt."""
    await tx.execute(_LATER, workspace_id, id_, wait, tried)


async def done(tx: Connection, workspace_id: UUID, id_: UUID) -> None:
    """It is sent on, or given up."""
    await tx.execute("delete from forwards where workspace_id = $1 and id = $2", workspace_id, id_)
