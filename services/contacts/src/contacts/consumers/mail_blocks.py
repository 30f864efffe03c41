"""`email.failed`, `.expired`, `.bounced`, `.complained` that blocked an address: suppress it, answering the block."""

from collections.abc import Sequence

from common.contracts.email import EmailBouncedV1, EmailComplainedV1, EmailExpiredV1, EmailFailedV1
from common.contracts.envelope import Received
from common.db.pool import Connection

from contacts.consumers.activity import record_activity
from contacts.use_cases.delivery_blocks import Block, suppress_addresses

Blocking = EmailFailedV1 | EmailExpiredV1 | EmailBouncedV1 | EmailComplainedV1


# Why an address may be suppressed at all: what a failure or a bounce says → the suppression's reason.
_REASONS = {
    "bad_mailbox": "bad_mailbox",
    "moved": "bad_mailbox",
    "bad_domain": "bad_domain",
    "mailbox_full": "mailbox_full",
    "inactive": "mailbox_full",
}


async def suppress_blocked(tx: Connection, events: Sequence[Received[Blocking]]) -> None:
    """Only what delivery has blocked, and never for policy, content or rate."""
    blocks = [
        Block(event.workspace_id, event.data.contact_id, event.data.block_id, reason, event.time)
        for event in events
        if event.data.block_id and event.data.contact_id and (reason := _reason(event.data))
    ]
    await suppress_addresses(tx, blocks)


async def record_and_suppress(tx: Connection, events: Sequence[Received[EmailBouncedV1 | EmailComplainedV1]]) -> None:
    """The same, and the contact's activity shows it."""
    await record_activity(tx, events)
    await suppress_blocked(tx, events)


def _reason(data: Blocking) -> str | None:
    if isinstance(data, EmailComplainedV1):
        return "complaint"
    if isinstance(data, EmailExpiredV1):
        return "mailbox_full"
    return _REASONS.get(data.failure if isinstance(data, EmailFailedV1) else data.reason)
