"""Messages that were put off, each time."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.db.pool import Connection

_DEFERRED = """
select provider, count(distinct message_id) as messages, count(*) as times from deferrals
 where workspace_id = $1 and at >= $2 and at < $3 group by 1
"""
_ADD = """
insert into deferrals (workspace_id, event_id, message_id, provider, at)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[])
on conflict do nothing
"""


async def between(tx: Connection, workspace_id: UUID, since: datetime, until: datetime) -> dict[str, tuple[int, int]]:
    """Provider → (messages put off, how often)."""
    rows = await tx.fetch(_DEFERRED, workspace_id, since, until)
    return {row["provider"]: (row["messages"], row["times"]) for row in rows}


async def add(tx: Connection, rows: Sequence[tuple[UUID, UUID, UUID, str, datetime]]) -> None:
    """Store (workspace, event, message, provider, at), each once."""
    if rows:
        await tx.execute(_ADD, *(list(column) for column in zip(*rows, strict=True)))
