"""What campaigns tells of workspaces and senders."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from common.contracts.campaigns import SenderChangedV1, WorkspaceChangedV1
from common.db.pool import Connection

_WORKSPACES = """
insert into workspaces as w (workspace_id, name, postal_address, tracking_mode, languages, purposes, revision)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (workspace_id) do update
  set name = excluded.name, postal_address = excluded.postal_address, tracking_mode = excluded.tracking_mode,
      languages = excluded.languages, purposes = excluded.purposes, revision = excluded.revision
  where excluded.revision > w.revision
"""

_SENDERS = """
insert into senders as s (workspace_id, id, name, email, reply_to, deleted, revision)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (workspace_id, id) do update
  set name = excluded.name, email = excluded.email, reply_to = excluded.reply_to, deleted = excluded.deleted,
      revision = excluded.revision
  where excluded.revision > s.revision
"""


async def keep_workspaces(tx: Connection, workspaces: Sequence[WorkspaceChangedV1]) -> None:
    """Upsert by revision."""
    await tx.executemany(
        _WORKSPACES,
        [
            (
                one.workspace_id,
                one.name,
                one.postal_address,
                one.tracking_mode,
                one.languages,
                [purpose.model_dump(mode="json") for purpose in one.purposes],
                one.revision,
            )
            for one in workspaces
        ],
    )


async def keep_senders(tx: Connection, senders: Sequence[tuple[UUID, SenderChangedV1]]) -> None:
    """Upsert by revision."""
    await tx.executemany(
        _SENDERS,
        [
            (workspace_id, one.sender_id, one.name, one.email, one.reply_to, one.deleted, one.revision)
            for workspace_id, one in senders
        ],
    )


async def sender(tx: Connection, workspace_id: UUID, sender_id: UUID) -> asyncpg.Record | None:
    """One sender, deleted or not."""
    return await tx.fetchrow(
        "select id, name, email, reply_to, deleted from senders where workspace_id = $1 and id = $2",
        workspace_id,
        sender_id,
    )
