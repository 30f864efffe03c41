"""A person leaves: the block and its event, in one transaction, before any answer."""

from typing import Literal
from uuid import UUID

from common.contracts.email import EmailUnsubscribedV1
from common.db.pool import Connection
from common.ids import new_id
from common.outbox.writer import Outgoing, record

from delivery.db import blocks, messages
from delivery.db.blocks import consent_subject
from delivery.domain.tokens import LinkToken

REASON = "unsubscribed"


async def unsubscribe(
    tx: Connection, token: LinkToken, method: Literal["one_click", "page"], *, everything: bool
) -> None:
    """Block the contact for the mail's purpose, or the address for all; without a purpose it can only be all."""
    block_id: UUID | None = None
    scope: Literal["purpose", "all"] = "purpose"
    if everything or token.purpose_id is None or token.contact_id is None:
        address = await messages.address_hash(tx, token.workspace_id, token.message_id)
        if address is not None:
            scope = "all"
            block_id = await blocks.block(tx, token.workspace_id, "address", address, new_id(), REASON)
    if block_id is None and token.contact_id is not None and token.purpose_id is not None:
        subject = consent_subject(token.contact_id, token.purpose_id)
        block_id = await blocks.block(tx, token.workspace_id, "consent", subject, new_id(), REASON)
    if block_id is None:
        return  # erased: there is nobody left to write to
    event = EmailUnsubscribedV1(
        message_id=token.message_id,
        kind=token.kind,
        contact_id=token.contact_id,
        campaign_id=token.campaign_id,
        purpose_id=token.purpose_id,
        method=method,
        scope=scope,
        block_id=block_id,
    )
    await record(tx, [Outgoing(token.workspace_id, event)])
