"""How campaigns' mail fared, by mailbox provider: counted from the messages themselves when somebody asks."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from common.db.pool import Connection

_FARED = """
select s.provider, s.status, s.failure, b.bounce, b.reason, count(*) as n, count(c.message_id) as complained,
       count(o.message_id) as opened
  from message_status s
  left join bounces b on b.workspace_id = s.workspace_id and b.message_id = s.message_id
  left join first_touch c on c.workspace_id = s.workspace_id and c.campaign_id = s.campaign_id
                         and c.message_id = s.message_id and c.kind = 'complained' and c.link = -1
  left join first_touch o on o.workspace_id = s.workspace_id and o.campaign_id = s.campaign_id
                         and o.message_id = s.message_id and o.kind = 'opened' and o.link = -1
 where s.workspace_id = $1 and s.at >= $2 and s.at < $3 and s.status in ('sent', 'failed') and s.provider is not null
 group by 1, 2, 3, 4, 5
"""
_DEFERRED = """
select provider, count(distinct message_id) as messages, count(*) as times from deferrals
 where workspace_id = $1 and at >= $2 and at < $3 group by 1
"""
_ADD = """
insert into deferrals (workspace_id, event_id, message_id, provider, at)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[])
on conflict do nothing
"""


async def fared(tx: Connection, workspace_id: UUID, since: datetime, until: datetime) -> list[Record]:
    """Rows (provider, status, failure, bounce, reason, n, complained, opened) of mail that ended in that time."""
    return await tx.fetch(_FARED, workspace_id, since, until)


async def deferred(tx: Connection, workspace_id: UUID, since: datetime, until: datetime) -> dict[str, tuple[int, int]]:
    """Provider → (messages put off, how often)."""
    rows = await tx.fetch(_DEFERRED, workspace_id, since, until)
    return {row["provider"]: (row["messages"], row["times"]) for row in rows}


async def add_deferrals(tx: Connection, rows: Sequence[tuple[UUID, UUID, UUID, str, datetime]]) -> None:
    """Store (workspace, event, message, provider, at), each once."""
    if rows:
        await tx.execute(_ADD, *(list(column) for column in zip(*rows, strict=True)))
