"""`email.failed` for a mailbox that is not there: suppress the address, answering delivery's block."""

from collections.abc import Sequence

from common.contracts.email import EmailFailedV1
from common.contracts.envelope import Received
from common.db.pool import Connection

from contacts.use_cases.delivery_blocks import Block, suppress_addresses


async def suppress_bad_mailboxes(tx: Connection, events: Sequence[Received[EmailFailedV1]]) -> None:
    """Only what delivery has blocked; a policy rejection never suppresses anybody."""
    blocks = [
        Block(event.workspace_id, event.data.contact_id, event.data.block_id, "bad_mailbox", event.time)
        for event in events
        if event.data.failure == "bad_mailbox" and event.data.block_id and event.data.contact_id
    ]
    await suppress_addresses(tx, blocks)
