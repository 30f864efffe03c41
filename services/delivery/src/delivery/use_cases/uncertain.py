"""What a person may do with an uncertain message: send it again, or say what became of it."""

from uuid import UUID

from common.db.pool import Connection

from delivery import events
from delivery.db import mailings, messages
from delivery.errors import AddressErased, CampaignCancelled, MessageNotFound, NotUncertain


async def resend_uncertain(tx: Connection, workspace_id: UUID, message_id: UUID) -> None:
    """Raises MessageNotFound, NotUncertain, CampaignCancelled, AddressErased."""
    mailing = await messages.lock_mailing(tx, workspace_id, message_id)
    if mailing is None:
        raise MessageNotFound(message_id=str(message_id))
    if mailing["state"] == "cancelled":
        raise CampaignCancelled
    await mailings.activate(tx, [(workspace_id, mailing["id"])])
    if not await messages.resend(tx, workspace_id, message_id):
        row = await messages.get(tx, workspace_id, message_id)
        if row is not None and row["status"] == "uncertain":
            raise AddressErased
        raise NotUncertain(status_now=row["status"] if row else None)


async def resolve_uncertain(tx: Connection, workspace_id: UUID, message_id: UUID, *, delivered: bool) -> None:
    """Raises MessageNotFound, NotUncertain."""
    status, klass = ("sent", "") if delivered else ("failed", "other")
    row = await messages.resolve(tx, workspace_id, message_id, status, klass)
    if row is None:
        found = await messages.get(tx, workspace_id, message_id)
        if found is None:
            raise MessageNotFound(message_id=str(message_id))
        raise NotUncertain(status_now=found["status"])
    await events.statuses(tx, [row])
