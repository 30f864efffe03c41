"""audience.batch: rows of the ledger."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from common.contracts.audiences import AudienceBatchV1, Recipient
from common.contracts.envelope import Received
from common.db.pool import Connection
from common.ids import message_id

from delivery import events as told
from delivery.db import mailings, messages
from delivery.db.messages import NewMessage
from delivery.domain.addressed import Addressed, addressed
from delivery.domain.ledger import ERASED
from delivery.domain.providers import OTHER


class AddRecipients:
    """Add one row per recipient of a batch; a cancelled campaign's are born cancelled, a gone one's suppressed."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper

    async def __call__(self, tx: Connection, events: Sequence[Received[AudienceBatchV1]]) -> None:
        """Handle a batch of events."""
        keys = sorted({(event.workspace_id, event.data.campaign_id) for event in events})
        locked = await mailings.ensure_and_lock(tx, keys)
        live = [event for event in events if not locked[(event.workspace_id, event.data.campaign_id)]["purged"]]
        rows: dict[UUID, NewMessage] = {}
        for event in live:
            state = locked[(event.workspace_id, event.data.campaign_id)]["state"]
            for recipient in event.data.recipients:
                row = self._row(event, recipient, state)
                rows.setdefault(row.id, row)
        added = await messages.add(tx, list(rows.values()))
        waiting = {(row["workspace_id"], row["mailing_id"]) for row in added if row["status"] == "pending"}
        if waiting:
            await mailings.activate(tx, sorted(waiting))
        await told.statuses(tx, [row for row in added if row["status"] not in {"pending", "cancelled"}])

    def _row(self, event: Received[AudienceBatchV1], recipient: Recipient, state: str) -> NewMessage:
        campaign_id = event.data.campaign_id
        status, klass = ("cancelled", "") if state == "cancelled" else ("pending", "")
        gone = recipient.gone or recipient.email is None
        at = Addressed(None, None, OTHER)
        if gone:
            status, klass = "suppressed", ERASED
        else:
            at = addressed(self._pepper, event.workspace_id, recipient.email or "")
            if at.address_hash is None and status == "pending":
                status, klass = "failed", "unsupported_address"
        fields: dict[str, Any] | None = None if gone else dict(recipient.fields)
        return NewMessage(
            workspace_id=event.workspace_id,
            id=message_id(f"{campaign_id}/{recipient.contact_id}"),
            mailing_id=campaign_id,
            contact_id=recipient.contact_id,
            kind="campaign",
            lane=1,
            email=None if gone else recipient.email,
            address_hash=at.address_hash,
            domain_hash=at.domain_hash,
            language=None if gone else recipient.language,
            timezone=None if gone else recipient.timezone,
            country=None if gone else recipient.country,
            tracking=recipient.tracking == "individual",
            fields=fields,
            variant_id=None,
            provider=at.provider,
            status=status,
            klass=klass,
        )
