"""Double opt-in: asking the owner of an address, at most once a day, and taking the answer with its evidence."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import asyncpg
from common.clock import Clock
from common.db.pool import Connection, Database
from common.ids import new_id
from common.link_tokens import LinkToken, TokenKeys

from contacts import events
from contacts.db import confirmations, consents, contacts, limits, senders, suppressions, workspaces
from contacts.domain.pages import confirmation as pages
from contacts.domain.pages.languages import Language
from contacts.errors import ContactNotFound, SenderUnknown
from contacts.use_cases.consents import Actor, NewConsent, append_consent
from contacts.use_cases.purposes import Purpose, list_purposes, wording

VALID_FOR = timedelta(days=7)
SOURCE = "double opt-in"

Asked = Literal["sent", "already_asked_today", "already_subscribed", "suppressed"]
QuestionStatus = Literal["open", "confirmed", "over"]


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links that mails of ours lead to."""

    keys: TokenKeys
    public_url: str
    clock: Clock

    def confirmation(self, row: asyncpg.Record) -> str:
        """The link of a question."""
        token = LinkToken(
            "d", "single", row["workspace_id"], row["id"], row["contact_id"], None, row["purpose_id"], self.clock.now()
        )
        return f"{self.public_url}/p/confirm/{self.keys.sign(token)}"

    def expired(self, sent_at: datetime) -> bool:
        """Whether a link made then is too old to confirm anything."""
        return self.clock.now() > sent_at + VALID_FOR


@dataclass(frozen=True, slots=True)
class Question:
    """A question as its link finds it. `over`: too old, or the person left since."""

    row: asyncpg.Record
    contact: asyncpg.Record
    purpose: Purpose
    status: QuestionStatus


async def ask(
    tx: Connection,
    links: Links,
    contact: asyncpg.Record,
    purpose: Purpose,
    sender_id: UUID,
    source: str,
    language: Language,
    actor: Actor,
    *,
    submission_id: UUID | None = None,
) -> Asked:
    """Ask the owner of a locked contact's address whether mail for a purpose is wanted. Raises SenderUnknown.

    Nobody's consent changes by it, but that of who has none: it becomes `pending`.
    """
    workspace_id, contact_id = contact["workspace_id"], contact["id"]
    sender = await senders.get(tx, workspace_id, sender_id)
    if sender is None:
        raise SenderUnknown(sender_id=str(sender_id))
    state = await _state(tx, workspace_id, contact_id, purpose.id)
    if state == "subscribed":
        return "already_subscribed"
    if await suppressions.covers(tx, workspace_id, contact_id):
        return "suppressed"
    if state in (None, "none"):
        new = NewConsent("pending", purpose.key, source, wording_language=language)
        changed = await append_consent(tx, workspace_id, contact_id, new, actor)
        await events.publish(tx, [events.consent_changed(one) for one in changed])
    question = await confirmations.ask(
        tx,
        workspace_id,
        new_id(),
        contact_id,
        purpose.id,
        sender_id,
        submission_id,
        source,
        language,
        purpose.version,
    )
    hashes = await contacts.hashes(tx, [workspace_id], [contact_id])
    if not await confirmations.take_turn(tx, workspace_id, hashes[contact_id]):
        return "already_asked_today"
    workspace = await workspaces.get(tx, workspace_id)
    content = pages.mail(
        language,
        (workspace["name"] if workspace else "") or sender["name"] or sender["email"],
        wording(purpose, language),
        links.confirmation(question),
        workspace["postal_address"] if workspace else None,
    )
    await events.publish(tx, [events.confirmation_requested(sender, contact, language, content)])
    return "sent"


async def ask_by_id(
    tx: Connection,
    links: Links,
    workspace_id: UUID,
    contact_id: UUID,
    purpose: Purpose,
    sender_id: UUID,
    source: str,
    language: Language,
    actor: Actor,
) -> Asked:
    """The same for a contact by its id. Raises ContactNotFound, SenderUnknown."""
    contact = await contacts.get_locked(tx, workspace_id, contact_id)
    if contact is None:
        raise ContactNotFound(contact_id=str(contact_id))
    return await ask(tx, links, contact, purpose, sender_id, source, language, actor)


async def read(tx: Connection, links: Links, token: LinkToken, *, lock: bool = False) -> Question | None:
    """The question of a link; None if it, its purpose or its contact is gone."""
    workspace_id = token.workspace_id
    row = await confirmations.get(tx, workspace_id, token.message_id)
    if row is None:
        return None
    find = contacts.get_locked if lock else contacts.get
    contact = await find(tx, workspace_id, row["contact_id"])
    purposes = {purpose.id: purpose for purpose in await list_purposes(tx, workspace_id)}
    if contact is None or row["purpose_id"] not in purposes:
        return None
    if lock:
        row = await confirmations.get(tx, workspace_id, token.message_id) or row
    status: QuestionStatus = "open"
    if row["confirmed_at"] is not None:
        status = "confirmed"
    elif links.expired(token.sent_at) or await _left_since(tx, row):
        status = "over"
    return Question(row, contact, purposes[row["purpose_id"]], status)


async def confirm(tx: Connection, question: Question, language: Language, actor: Actor) -> None:
    """Take a yes to an open question, read under the contact's lock: with when, where and in which words."""
    row = question.row
    workspace_id, contact_id = row["workspace_id"], row["contact_id"]
    await confirmations.confirm(tx, workspace_id, row["id"])
    new = NewConsent(
        "subscribed",
        question.purpose.key,
        f"{SOURCE}: {row['source']}"[:200],
        evidence=f"confirmation {row['id']}, asked at {row['requested_at']:%Y-%m-%dT%H:%M:%SZ}",
        basis="consent",
        express=True,
        wording_language=language,
    )
    changed = await append_consent(tx, workspace_id, contact_id, new, actor)
    await events.publish(tx, [events.consent_changed(one) for one in changed])


async def _left_since(tx: Connection, row: asyncpg.Record) -> bool:
    """Whether the person left after asking: an older question must not undo that."""
    for state in await consents.of_contact(tx, row["workspace_id"], row["contact_id"]):
        if state["purpose_id"] == row["purpose_id"] and state["status"] == "unsubscribed":
            return bool((state["decided_at"] or state["updated_at"]) > row["requested_at"])
    return False


async def forget_old(db: Database) -> None:
    """The periodic job: what only kept people from being asked too often, and is over."""
    async with db.transaction() as tx:
        await confirmations.forget_turns(tx)
        await limits.forget(tx)


async def _state(tx: Connection, workspace_id: UUID, contact_id: UUID, purpose_id: UUID) -> str | None:
    states = await consents.of_contact(tx, workspace_id, contact_id)
    return next((state["status"] for state in states if state["purpose_id"] == purpose_id), None)
