"""A person leaves: the block and its event, in one transaction, before any answer."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import asyncpg
from common.contracts.email import EmailUnsubscribedV1
from common.db.pool import Connection
from common.ids import new_id
from common.outbox.writer import Outgoing, record

from delivery.db import blocks, messages
from delivery.db.blocks import consent_subject
from delivery.domain.tokens import LinkToken

REASON = "unsubscribed"
Method = Literal["one_click", "page"]


@dataclass(frozen=True, slots=True)
class Leaving:
    """The mail by which somebody leaves."""

    workspace_id: UUID
    message_id: UUID
    kind: Literal["campaign", "test", "single"]
    contact_id: UUID | None
    campaign_id: UUID | None
    purpose_id: UUID | None


def leaving(row: asyncpg.Record) -> Leaving:
    """By a message's row, as returns are matched with it."""
    return Leaving(
        row["workspace_id"], row["id"], row["kind"], row["contact_id"], row["campaign_id"], row["purpose_id"]
    )


async def unsubscribe(tx: Connection, token: LinkToken, method: Method, *, everything: bool) -> None:
    """By a link in a mail."""
    mail = Leaving(
        token.workspace_id, token.message_id, token.kind, token.contact_id, token.campaign_id, token.purpose_id
    )
    await leave(tx, mail, method, everything=everything)


async def leave(tx: Connection, mail: Leaving, method: Method, *, everything: bool) -> None:
    """Block the contact for the mail's purpose, or the address for all; without a purpose it can only be all.

    `page`: a page that a person filled in, ours or a mail provider's.
    """
    block_id: UUID | None = None
    scope: Literal["purpose", "all"] = "purpose"
    if everything or mail.purpose_id is None or mail.contact_id is None:
        address = await messages.address_hash(tx, mail.workspace_id, mail.message_id)
        if address is not None:
            scope = "all"
            block_id = await blocks.block(tx, mail.workspace_id, "address", address, new_id(), REASON)
    if block_id is None and mail.contact_id is not None and mail.purpose_id is not None:
        subject = consent_subject(mail.contact_id, mail.purpose_id)
        block_id = await blocks.block(tx, mail.workspace_id, "consent", subject, new_id(), REASON)
    if block_id is None:
        return  # erased: there is nobody left to write to
    event = EmailUnsubscribedV1(
        message_id=mail.message_id,
        kind=mail.kind,
        contact_id=mail.contact_id,
        campaign_id=mail.campaign_id,
        purpose_id=mail.purpose_id,
        method=method,
        scope=scope,
        block_id=block_id,
    )
    await record(tx, [Outgoing(mail.workspace_id, event)])
