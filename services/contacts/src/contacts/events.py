"""From rows to the events that contacts publishes, one by one; imports build theirs in SQL (db/merge.py)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.campaigns import MessageRequestedV1, RequestedRecipient, Sender
from common.contracts.leads import (
    ConsentChangedV1,
    ContactActivityV1,
    LeadCreatedV1,
    LeadErasedV1,
    LeadUpdatedV1,
    PurposeConsent,
    SuppressionChangedV1,
)
from common.db.pool import Connection
from common.ids import new_id
from common.outbox.writer import Outgoing, record

from contacts.db.outside_events import Happened

Row = asyncpg.Record


def lead_created(contact: Row, consents: Sequence[Row]) -> Outgoing:
    """A contact was stored for the first time."""
    return Outgoing(contact["workspace_id"], LeadCreatedV1(**_lead(contact, consents)))


def lead_updated(contact: Row, consents: Sequence[Row]) -> Outgoing:
    """A contact changed."""
    return Outgoing(contact["workspace_id"], LeadUpdatedV1(**_lead(contact, consents)))


def consent_changed(consent: Row) -> Outgoing:
    """Where a contact stands with a purpose; names delivery's block, if it answers one.

    Who paused gave no consent until the pause is over, and is told of again then.
    """
    paused = consent["status"] == "subscribed" and consent["paused_until"] is not None
    return Outgoing(
        consent["workspace_id"],
        ConsentChangedV1(
            contact_id=consent["contact_id"],
            purpose_id=consent["purpose_id"],
            status="none" if paused else consent["status"],
            revision=consent["revision"],
            caused_by=consent["caused_by"],
            paused_until=consent["paused_until"] if paused else None,
        ),
    )


def suppression_changed(suppression: Row) -> Outgoing:
    """An address or domain is blocked, or no longer is."""
    return Outgoing(
        suppression["workspace_id"],
        SuppressionChangedV1(
            suppression_id=suppression["id"],
            scope=suppression["scope"],
            hash=suppression["hash"].hex(),
            reason=suppression["reason"],
            active=suppression["active"],
            revision=suppression["revision"],
            caused_by=suppression["caused_by"],
        ),
    )


def contact_did(workspace_id: UUID, happened: Happened) -> Outgoing:
    """Something defined happened to a contact, as told from outside."""
    return Outgoing(
        workspace_id,
        ContactActivityV1(
            contact_id=happened.contact_id,
            type=happened.type,
            occurred_at=happened.at,
            properties=dict(happened.properties),
        ),
        id=happened.event_id,
    )


def lead_erased(workspace_id: UUID, contact_id: UUID, request_id: UUID, hashes: Sequence[bytes]) -> Outgoing:
    """A person's data must go everywhere."""
    return Outgoing(
        workspace_id,
        LeadErasedV1(contact_id=contact_id, request_id=request_id, address_hashes=[h.hex() for h in hashes]),
    )


def in_lane(told: Sequence[Outgoing], lane: int) -> list[Outgoing]:
    """The same events in another lane: many at once must not hold up what is urgent."""
    return [replace(event, lane=lane) for event in told]


def confirmation_requested(sender: Row, contact: Row, language: str, content: dict[str, Any]) -> Outgoing:
    """A double opt-in mail. Without a purpose: its consent is what the mail asks for."""
    return Outgoing(
        contact["workspace_id"],
        MessageRequestedV1(
            request_id=new_id(),
            kind="single",
            sender=Sender(name=sender["name"], email=sender["email"], reply_to=sender["reply_to"]),
            content=content,
            recipients=[RequestedRecipient(email=contact["email"], contact_id=contact["id"], language=language)],
        ),
    )


async def publish(tx: Connection, events: Sequence[Outgoing]) -> None:
    """Into the outbox, in the caller's transaction."""
    await record(tx, events)


def _lead(contact: Row, consents: Sequence[Row]) -> dict[str, Any]:
    names = (
        "email", "first_name", "last_name", "language", "timezone", "country", "external_id", "phone",
        "phone_normalised", "company", "city", "owner", "stage", "attributes", "tags", "tracking", "created_at",
        "revision",
    )  # fmt: skip
    return {
        **{name: contact[name] for name in names},
        "contact_id": contact["id"],
        "consents": [PurposeConsent(purpose_id=c["purpose_id"], status=c["status"]) for c in consents],
    }
