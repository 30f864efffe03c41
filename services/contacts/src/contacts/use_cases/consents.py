"""Recording consent: the ledger line, the current state, and the event, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts import events
from contacts.db import consents, contacts
from contacts.db.consents import ConsentRecord
from contacts.errors import ContactNotFound
from contacts.use_cases.purposes import resolve_purpose


@dataclass(frozen=True, slots=True)
class NewConsent:
    """What a person agreed to, or took back, and what proves it. `tracking` None: nothing was said about it."""

    status: str
    purpose: str
    source: str
    evidence: str | None = None
    tracking: str | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as the ledger keeps it."""

    name: str
    ip: str | None = None


async def append_consent(
    tx: Connection, workspace_id: UUID, contact_id: UUID, new: NewConsent, actor: Actor
) -> Sequence[asyncpg.Record]:
    """Add to the ledger of a contact whose row is locked; returns the states that changed. Raises UnknownPurpose."""
    purpose = await resolve_purpose(tx, workspace_id, new.purpose)
    line = ConsentRecord(
        workspace_id,
        contact_id,
        purpose.id,
        new.status,
        new.source,
        new.evidence,
        purpose.version,
        actor.name,
        actor.ip,
    )  # fmt: skip
    return await consents.append(tx, [line])


async def record_consent(
    tx: Connection, workspace_id: UUID, contact_id: UUID, new: NewConsent, actor: Actor
) -> Sequence[asyncpg.Record]:
    """Record consent of a contact; returns where it stands now. Raises ContactNotFound, UnknownPurpose."""
    contact = await contacts.get_locked(tx, workspace_id, contact_id)
    if contact is None:
        raise ContactNotFound(contact_id=str(contact_id))
    changed = await append_consent(tx, workspace_id, contact_id, new, actor)
    told = [events.consent_changed(state) for state in changed]
    now = await consents.of_contact(tx, workspace_id, contact_id)
    if new.tracking is not None and new.tracking != contact["tracking"]:
        values = {**dict(contact), "tracking": new.tracking}
        contact = await contacts.update(tx, workspace_id, contact_id, None, values)
        assert contact is not None  # noqa: S101
        told.append(events.lead_updated(contact, now))
    await events.publish(tx, told)
    return now
