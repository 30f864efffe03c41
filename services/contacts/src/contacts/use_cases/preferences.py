"""The preference centre: what a person wants, and what becomes of it. Whoever has the link has the address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id

from contacts import events
from contacts.db import consents, contacts, suppressions
from contacts.db.consents import ConsentRecord
from contacts.db.suppressions import Suppression
from contacts.use_cases.consents import Actor, NewConsent, tracking_line
from contacts.use_cases.purposes import Purpose, list_purposes

SOURCE = "preference centre"
LEFT_ALL = "unsubscribed_all"
PAUSES = (30, 60, 90)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands with everything."""

    contact: asyncpg.Record
    purposes: Sequence[Purpose]
    states: Mapping[UUID, asyncpg.Record]
    blocked: str | None

    def wants(self, purpose: Purpose) -> bool:
        """Whether the person gets, or after a pause will get, mail of a purpose."""
        state = self.states.get(purpose.id)
        return state is not None and state["status"] == "subscribed"

    def paused_days(self, now: datetime) -> int | None:
        """In how many days the last pause ends, if there is one."""
        ends = [
            state["paused_until"]
            for state in self.states.values()
            if state["status"] == "subscribed" and state["paused_until"]
        ]
        return max(1, ceil((max(ends) - now) / timedelta(days=1))) if ends else None


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chose. Only purposes that the page showed are touched.

    `pause`: days from now; 0: no pause, or no longer; None: as it is.
    """

    shown: frozenset[UUID]
    wanted: frozenset[UUID]
    tracking: bool
    pause: int | None = None
    leave_all: bool = False


async def read(tx: Connection, workspace_id: UUID, contact_id: UUID, *, lock: bool = False) -> Standing | None:
    """Where a person stands; None if they are gone."""
    find = contacts.get_locked if lock else contacts.get
    contact = await find(tx, workspace_id, contact_id)
    if contact is None:
        return None
    states = await consents.of_contact(tx, workspace_id, contact_id)
    return Standing(
        contact,
        await list_purposes(tx, workspace_id),
        {state["purpose_id"]: state for state in states},
        await suppressions.reason_of(tx, workspace_id, contact_id),
    )


async def choose(
    tx: Connection, standing: Standing, choices: Choices, evidence: str, language: str, actor: Actor, now: datetime
) -> None:
    """Make it so, for a locked contact: lines in the ledger, and everybody told. What is as wanted stays untouched."""
    contact = standing.contact
    workspace_id, contact_id = contact["workspace_id"], contact["id"]
    new = NewConsent("", "", SOURCE, evidence, wording_language=language)
    lines = [
        ConsentRecord(
            workspace_id,
            contact_id,
            purpose.id,
            status,
            SOURCE,
            evidence,
            purpose.version,
            actor.name,
            actor.ip,
            basis="consent" if status == "subscribed" else None,
            express=True if status == "subscribed" else None,
            wording_language=language,
            agent=actor.agent,
            paused_until=paused_until,
        )
        for purpose in standing.purposes
        for status, paused_until in _moves(standing, purpose, choices, now)
    ]
    tracking = "individual" if choices.tracking else "none"
    retrack = not choices.leave_all and tracking != contact["tracking"]
    if retrack:
        lines.append(tracking_line(workspace_id, contact_id, tracking, new, actor))
    changed = await consents.append(tx, lines)
    told = [events.consent_changed(state) for state in changed]
    if retrack:
        written = await contacts.update(tx, workspace_id, contact_id, None, {**dict(contact), "tracking": tracking})
        assert written is not None  # noqa: S101
        told.append(events.lead_updated(written, await consents.of_contact(tx, workspace_id, contact_id)))
    hash_ = (await contacts.hashes(tx, [workspace_id], [contact_id]))[contact_id]
    if choices.leave_all:
        rows = (
            await suppressions.put(
                tx, [Suppression(workspace_id, new_id(), "address", hash_, LEFT_ALL, actor=actor.name)]
            )
            if standing.blocked is None
            else []
        )
        told += [events.suppression_changed(row) for row in rows]
    elif any(line.status == "subscribed" for line in lines) and standing.blocked == LEFT_ALL:
        # Their own word, taken back by themselves. What others stopped (a complaint, a dead mailbox) stays.
        row = await suppressions.by_hash(tx, workspace_id, "address", hash_)
        lifted = await suppressions.lift(tx, workspace_id, row["id"], actor.name) if row else None
        told += [events.suppression_changed(lifted)] if lifted else []
    await events.publish(tx, told)


def _moves(standing: Standing, purpose: Purpose, choices: Choices, now: datetime) -> list[tuple[str, datetime | None]]:
    """The line that a purpose needs, if any: status, and until when it is paused."""
    state = standing.states.get(purpose.id)
    status = state["status"] if state else "none"
    if choices.leave_all:
        return [("unsubscribed", None)] if status != "unsubscribed" else []
    if purpose.id not in choices.shown:
        return []
    if purpose.id not in choices.wanted:
        return [("unsubscribed", None)] if status in ("subscribed", "pending") else []
    paused = state["paused_until"] if state and status == "subscribed" else None
    until = now + timedelta(days=choices.pause) if choices.pause else None
    if choices.pause is None:
        until = paused
    return [("subscribed", until)] if status != "subscribed" or until != paused else []
