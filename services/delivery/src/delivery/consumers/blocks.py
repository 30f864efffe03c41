"""consent.changed and suppression.changed: contacts is the authority on who may be written to."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import ConsentChangedV1, SuppressionChangedV1
from common.db.pool import Connection

from delivery.db import blocks
from delivery.db.blocks import Told, consent_subject


async def block_unsubscribed(tx: Connection, events: Sequence[Received[ConsentChangedV1]]) -> None:
    """Anything but subscribed blocks the contact for the purpose."""
    await blocks.tell(
        tx,
        [
            Told(
                event.workspace_id,
                "consent",
                consent_subject(event.data.contact_id, event.data.purpose_id),
                event.data.revision,
                event.data.status != "subscribed",
                _reason(event.data),
                event.data.caused_by,
            )
            for event in events
        ],
    )


async def block_suppressed(tx: Connection, events: Sequence[Received[SuppressionChangedV1]]) -> None:
    """An active suppression blocks its address or domain for the whole workspace."""
    await blocks.tell(
        tx,
        [
            Told(
                event.workspace_id,
                event.data.scope,
                bytes.fromhex(event.data.hash),
                event.data.revision,
                event.data.active,
                event.data.reason,
                event.data.caused_by,
            )
            for event in events
        ],
    )


def _reason(said: ConsentChangedV1) -> str:
    if said.paused_until is not None:
        return "paused"
    return "unsubscribed" if said.status == "unsubscribed" else f"consent_{said.status}"
