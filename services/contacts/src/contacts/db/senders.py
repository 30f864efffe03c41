"""The projection of senders: who mail of ours may come from."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from common.contracts.campaigns import SenderChangedV1
from common.db.pool import Connection

_PUT = """
insert into senders as s (workspace_id, id, name, email, reply_to, deleted, revision)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (workspace_id, id) do update
   set name = excluded.name, email = excluded.email, reply_to = excluded.reply_to, deleted = excluded.deleted,
       revision = excluded.revision
 where excluded.revision > s.revision
"""


async def put(tx: Connection, senders: Sequence[tuple[UUID, SenderChangedV1]]) -> None:
    """Store senders of workspaces; an older revision changes nothing."""
    await tx.executemany(
        _PUT,
        [
            (workspace_id, one.sender_id, one.name, one.email, one.reply_to, one.deleted, one.revision)
            for workspace_id, one in senders
        ],
    )


async def get(tx: Connection, workspace_id: UUID, sender_id: UUID) -> asyncpg.Record | None:
    """A sender that is not deleted."""
    return await tx.fetchrow(
        "select * from senders where workspace_id = $1 and id = $2 and not deleted", workspace_id, sender_id
    )
