"""`sender.changed`: keep the projection of senders."""

from collections.abc import Sequence

from common.contracts.campaigns import SenderChangedV1
from common.contracts.envelope import Received
from common.db.pool import Connection

from contacts.db import senders


async def keep_senders(tx: Connection, events: Sequence[Received[SenderChangedV1]]) -> None:
    """The highest revision stands."""
    await senders.put(tx, [(event.workspace_id, event.data) for event in events])
