"""May we mail, as of any date: the ledger and the suppressions of then, and what decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.db import consents, contacts, suppressions
from contacts.db.consents import EMAIL, NO_PURPOSE, TRACKING
from contacts.domain.may_mail import Decision, decide
from contacts.errors import ContactNotFound
from contacts.use_cases.purposes import Purpose, list_purposes, resolve_purpose


@dataclass(frozen=True, slots=True)
class PurposeDecision:
    """The decision about one purpose, and the latest line by then."""

    purpose: Purpose
    decision: Decision
    line: asyncpg.Record | None


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions about a contact at one time."""

    purposes: Sequence[PurposeDecision]
    suppression: asyncpg.Record | None
    may_track: bool
    tracking: asyncpg.Record | None


async def may_mail(
    tx: Connection, workspace_id: UUID, contact_id: UUID, as_of: datetime, purpose: str | None = None
) -> Decisions:
    """Decide for one purpose or all. Raises ContactNotFound (not for the erased), UnknownPurpose."""
    hashes = await contacts.hashes_of(tx, workspace_id, contact_id)
    if hashes is None:
        raise ContactNotFound(contact_id=str(contact_id))
    wanted = [await resolve_purpose(tx, workspace_id, purpose)] if purpose else await list_purposes(tx, workspace_id)
    lines = {
        (line["channel"], line["purpose_id"]): line
        for line in await consents.deciding(tx, workspace_id, contact_id, as_of)
    }
    suppression = await suppressions.standing(tx, workspace_id, hashes["address_hash"], hashes["domain_hash"], as_of)
    decisions = []
    for one in wanted:
        line = lines.get((EMAIL, one.id))
        decisions.append(PurposeDecision(one, decide(line, suppression, as_of, hashes["erased_at"]), line))
    tracking = lines.get((TRACKING, NO_PURPOSE))
    if tracking is not None:
        may_track = tracking["status"] == "subscribed"
    else:
        contact = await contacts.get(tx, workspace_id, contact_id)
        may_track = contact is not None and contact["tracking"] == "individual"
    return Decisions(decisions, suppression, may_track, tracking)
