"""workspace.changed and sender.changed, kept as they are."""

from collections.abc import Sequence

from common.contracts.campaigns import SenderChangedV1, WorkspaceChangedV1
from common.contracts.envelope import Received
from common.db.pool import Connection

from delivery.db import projections


async def keep_workspaces(tx: Connection, events: Sequence[Received[WorkspaceChangedV1]]) -> None:
    """The newest revision of each workspace stands."""
    await projections.keep_workspaces(tx, [event.data for event in events])


async def keep_senders(tx: Connection, events: Sequence[Received[SenderChangedV1]]) -> None:
    """The newest revision of each sender stands."""
    await projections.keep_senders(tx, [(event.workspace_id, event.data) for event in events])
