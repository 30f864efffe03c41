"""Recording consent: the ledger line, the current state, and the event, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection, Database

from contacts import events
from contacts.db import consents, contacts
from contacts.db.consents import NO_PURPOSE, TRACKING, ConsentRecord
from contacts.errors import ContactNotFound
from contacts.use_cases.purposes import resolve_purpose


@dataclass(frozen=True, slots=True)
class NewConsent:
    """What a person agreed to, or took back, and what proves it. `tracking` None: nothing was said about it.

    `express`: said in words, not concluded from what the person did (CASL tells the two apart, and lets the second
    expire). `ip` and `agent` are the person's, if the actor is somebody else. `happened_at` None: now.
    """

    status: str
    purpose: str
    source: str
    evidence: str | None = None
    tracking: str | None = None
    basis: str | None = None
    express: bool | None = None
    expires_at: datetime | None = None
    wording_version: int | None = None
    wording_language: str | None = None
    paused_until: datetime | None = None
    ip: str | None = None
    agent: str | None = None
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as the ledger keeps it."""

    name: str
    ip: str | None = None
    agent: str | None = None


async def append_consent(
    tx: Connection, workspace_id: UUID, contact_id: UUID, new: NewConsent, actor: Actor
) -> Sequence[asyncpg.Record]:
    """Add to the ledger of a contact whose row is locked; returns the states that changed. Raises UnknownPurpose."""
    purpose = await resolve_purpose(tx, workspace_id, new.purpose)
    lines = [
        ConsentRecord(
            workspace_id,
            contact_id,
            purpose.id,
            new.status,
            new.source,
            new.evidence,
            new.wording_version or purpose.version,
            actor.name,
            new.ip or actor.ip,
            basis=new.basis,
            express=new.express,
            wording_language=new.wording_language,
            agent=new.agent or actor.agent,
            expires_at=new.expires_at,
            paused_until=new.paused_until,
            happened_at=new.happened_at,
        )
    ]
    if new.tracking is not None:
        lines.append(tracking_line(workspace_id, contact_id, new.tracking, new, actor))
    return await consents.append(tx, lines)


def tracking_line(workspace_id: UUID, contact_id: UUID, tracking: str, new: NewConsent, actor: Actor) -> ConsentRecord:
    """What the ledger says of being counted: a consent of its own, whatever the mail is about."""
    return ConsentRecord(
        workspace_id,
        contact_id,
        NO_PURPOSE,
        "subscribed" if tracking == "individual" else "unsubscribed",
        new.source,
        new.evidence,
        None,
        actor.name,
        new.ip or actor.ip,
        channel=TRACKING,
        wording_language=new.wording_language,
        agent=new.agent or actor.agent,
        happened_at=new.happened_at,
    )


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


async def end_pauses(db: Database) -> None:
    """The periodic job: who paused is written to again. Nothing else that blocks them is touched."""
    while True:
        async with db.transaction() as tx:
            rows = await consents.over(tx, "paused_until")
            await contacts.lock_all(tx, [row["workspace_id"] for row in rows], [row["contact_id"] for row in rows])
            resumed = await consents.resume(tx, rows)
            await events.publish(tx, [events.consent_changed(row) for row in resumed])
        if not resumed:
            return


async def end_expired(db: Database) -> None:
    """The periodic job: consents that count no longer, with their line in the ledger."""
    while True:
        async with db.transaction() as tx:
            rows = await consents.over(tx, "expires_at")
            await contacts.lock_all(tx, [row["workspace_id"] for row in rows], [row["contact_id"] for row in rows])
            changed = await consents.append(
                tx,
                [
                    ConsentRecord(
                        row["workspace_id"],
                        row["contact_id"],
                        row["purpose_id"],
                        "none",
                        "expiry",
                        None,
                        None,
                        "expiry",
                        # Never before what it ends, or it would change nothing and be written again and again.
                        happened_at=max(row["expires_at"], row["decided_at"]),
                    )
                    for row in rows
                ],
            )
            await events.publish(tx, [events.consent_changed(state) for state in changed])
        if not changed:
            return
