"""message.requested: single and test mail, in the first lane."""

from collections.abc import Sequence
from uuid import UUID

from common.contracts.campaigns import MessageRequestedV1
from common.contracts.envelope import Received
from common.db.pool import Connection
from common.ids import message_id

from delivery import events as told
from delivery.consumers.audiences import addressed
from delivery.db import mailings, messages
from delivery.db.messages import NewMessage


class AddRequested:
    """Add one row per recipient of a request; the same request again adds nothing."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper

    async def __call__(self, tx: Connection, events: Sequence[Received[MessageRequestedV1]]) -> None:
        """Handle a batch of events."""
        rows: dict[UUID, NewMessage] = {}
        for event in sorted(events, key=lambda one: (one.workspace_id, one.data.request_id)):
            await mailings.request(
                tx,
                event.workspace_id,
                event.data.request_id,
                kind=event.data.kind,
                campaign_id=event.data.campaign_id,
                purpose_id=event.data.purpose_id,
                program_id=event.data.program_id,
                sender=event.data.sender.model_dump(mode="json"),
                content=event.data.content,
            )
            for row in self._rows(event):
                rows.setdefault(row.id, row)
        added = await messages.add(tx, list(rows.values()))
        await told.statuses(tx, [row for row in added if row["status"] != "pending"])

    def _rows(self, event: Received[MessageRequestedV1]) -> list[NewMessage]:
        data = event.data
        rows = []
        for n, recipient in enumerate(data.recipients):
            at = addressed(self._pepper, event.workspace_id, recipient.email)
            valid = at.address_hash is not None
            rows.append(
                NewMessage(
                    workspace_id=event.workspace_id,
                    id=message_id(f"{event.workspace_id}/{data.request_id}/{n}"),
                    mailing_id=data.request_id,
                    contact_id=recipient.contact_id,
                    kind=data.kind,
                    lane=0,
                    email=recipient.email,
                    address_hash=at.address_hash,
                    domain_hash=at.domain_hash,
                    language=recipient.language,
                    timezone=None,
                    country=None,
                    tracking=False,
                    fields=dict(recipient.fields),
                    variant_id=data.variant_id,
                    provider=at.provider,
                    status="pending" if valid else "failed",
                    klass="" if valid else "unsupported_address",
                )
            )
        return rows
