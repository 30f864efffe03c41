"""People leave: the blocks and their events, in one transaction, before any answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import asyncpg
from common.contracts.email import EmailUnsubscribedV1
from common.db.pool import Connection
from common.ids import new_id
from common.link_tokens import LinkToken
from common.outbox.writer import Outgoing, record

from delivery.db import blocks, messages
from delivery.db.blocks import Scope, consent_subject

REASON = "unsubscribed"
Method = Literal["one_click", "page"]
Subject = tuple[UUID, Scope, bytes]


@dataclass(frozen=True, slots=True)
class Leaving:
    """The mail by which somebody leaves, or the address, where nobody knows by which mail.

    Without a purpose, or `everything`: all mail to the address.
    """

    workspace_id: UUID
    message_id: UUID
    kind: Literal["campaign", "test", "single"]
    contact_id: UUID | None
    campaign_id: UUID | None
    purpose_id: UUID | None
    everything: bool
    address_hash: bytes | None = None


def by_mail(row: asyncpg.Record, *, everything: bool) -> Leaving:
    """By a message's row, as returns are matched with it."""
    ids = row["contact_id"], row["campaign_id"], row["purpose_id"]
    return Leaving(row["workspace_id"], row["id"], row["kind"], *ids, everything)


def by_address(workspace_id: UUID, event_id: UUID, address_hash: bytes) -> Leaving:
    """By the address alone."""
    return Leaving(workspace_id, event_id, "single", None, None, None, True, address_hash)


async def unsubscribe(tx: Connection, token: LinkToken, method: Method, *, everything: bool) -> None:
    """By a link in a mail."""
    ids = token.contact_id, token.campaign_id, token.purpose_id
    await leave(tx, [Leaving(token.workspace_id, token.message_id, token.kind, *ids, everything)], method)


async def leave(tx: Connection, mails: Sequence[Leaving], method: Method) -> None:
    """Block each contact for the mail's purpose, or the address for all, and tell.

    `page`: a page that a person filled in, ours or a mail provider's.
    """
    whole = [(one.workspace_id, one.message_id) for one in mails if one.address_hash is None and _leaves_all(one)]
    hashes = await messages.address_hashes(tx, whole) if whole else {}
    found = [(one, subject) for one in mails if (subject := _subject(one, hashes)) is not None]
    standing = await blocks.block_all(tx, [subject for _, subject in found], [new_id() for _ in found], REASON)
    told = [(one.workspace_id, _told(one, subject, standing[subject], method)) for one, subject in found]
    await record(tx, [Outgoing(workspace_id, event) for workspace_id, event in told])


def _leaves_all(one: Leaving) -> bool:
    return one.everything or one.purpose_id is None or one.contact_id is None


def _subject(one: Leaving, hashes: dict[tuple[UUID, UUID], bytes]) -> Subject | None:
    """None once they are erased: there is nobody left to write to."""
    address = one.address_hash or hashes.get((one.workspace_id, one.message_id))
    if address is not None:
        return one.workspace_id, "address", address
    if one.contact_id is not None and one.purpose_id is not None:
        return one.workspace_id, "consent", consent_subject(one.contact_id, one.purpose_id)
    return None


def _told(one: Leaving, subject: Subject, block_id: UUID, method: Method) -> EmailUnsubscribedV1:
    return EmailUnsubscribedV1(
        message_id=one.message_id,
        kind=one.kind,
        contact_id=one.contact_id,
        campaign_id=one.campaign_id,
        purpose_id=one.purpose_id,
        method=method,
        scope="all" if subject[1] == "address" else "purpose",
        block_id=block_id,
        address_hash=one.address_hash.hex() if one.address_hash is not None else None,
    )
