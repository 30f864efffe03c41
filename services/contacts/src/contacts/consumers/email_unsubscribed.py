"""`email.unsubscribed`: a line in the ledger, and for "everything" a suppression too."""

from collections.abc import Sequence
from datetime import UTC, datetime

from common import metrics
from common.contracts.email import EmailUnsubscribedV1
from common.contracts.envelope import Received
from common.db.pool import Connection

from contacts.use_cases.delivery_blocks import Leaving, record_leavings, suppress_hashes


async def record_unsubscribes(tx: Connection, events: Sequence[Received[EmailUnsubscribedV1]]) -> None:
    """Mail to no contact (a test mail) changes nothing. Of who left elsewhere only the address may be known."""
    leavings = [
        Leaving(
            event.workspace_id,
            event.data.contact_id,
            event.data.purpose_id,
            event.data.scope == "all",
            event.data.method,
            event.data.message_id,
            event.data.block_id,
            event.time,
        )
        for event in events
        if event.data.contact_id is not None
    ]
    await record_leavings(tx, leavings)
    hashes = [
        (event.workspace_id, bytes.fromhex(event.data.address_hash), event.data.block_id)
        for event in events
        if event.data.contact_id is None and event.data.address_hash is not None
    ]
    await suppress_hashes(tx, hashes)
    now = datetime.now(UTC)
    for event in events:
        metrics.UNSUBSCRIBE_SECONDS.labels("contacts").observe(max(0.0, (now - event.time).total_seconds()))
