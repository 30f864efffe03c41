"""message.requested: single and test mail that other services ask for."""

from collections.abc import Sequence

from common.contracts.campaigns import MessageRequestedV1
from common.contracts.envelope import Received
from common.db.pool import Connection

from delivery.use_cases.requests import MailRequest, add_requests


class AddRequested:
    """Add one row per recipient of a request; the same request again adds nothing."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper

    async def __call__(self, tx: Connection, events: Sequence[Received[MessageRequestedV1]]) -> None:
        """Handle a batch of events."""
        asked = [
            MailRequest(
                event.workspace_id,
                event.data.request_id,
                event.data.kind,
                event.data.sender,
                event.data.content,
                event.data.recipients,
                event.data.campaign_id,
                event.data.purpose_id,
                event.data.program_id,
                event.data.variant_id,
            )
            for event in events
        ]
        await add_requests(tx, self._pepper, asked)
