"""`workspace.changed`: keep the projection of the workspace."""

from collections.abc import Sequence

from common.contracts.campaigns import WorkspaceChangedV1
from common.contracts.envelope import Received
from common.db.pool import Connection

from contacts.db import workspaces


async def keep_workspaces(tx: Connection, events: Sequence[Received[WorkspaceChangedV1]]) -> None:
    """The highest revision stands."""
    latest = {event.workspace_id: event.data for event in sorted(events, key=lambda event: event.data.revision)}
    await workspaces.put(tx, list(latest.values()))
