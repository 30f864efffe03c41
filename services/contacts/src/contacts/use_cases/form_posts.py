"""What people send with forms, and what becomes of it."""

import ipaddress
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id

from contacts import events
from contacts.db import attributes, consents, contacts, forms, limits, lists, senders, suppressions
from contacts.db.limits import Limit
from contacts.domain.addresses import Address, Addresses
from contacts.domain.forms import Filled, FormDefinition
from contacts.domain.pages.languages import Language
from contacts.errors import ContactExists, TooManyPosts
from contacts.use_cases import confirmations
from contacts.use_cases.confirmations import Links
from contacts.use_cases.consents import Actor, NewConsent, append_consent, tracking_line
from contacts.use_cases.contacts import change_contact, create_contact
from contacts.use_cases.purposes import Purpose, resolve_purpose

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PER_ADDRESS, PER_IP, PER_WORKSPACE = 5, 30, 3000

Outcome = Literal["subscribed", "asked", "already_subscribed", "suppressed", "not_asked"]


async def submit(
    tx: Connection,
    links: Links,
    form: asyncpg.Record,
    filled: Filled,
    address: Address,
    addresses: Addresses,
    language: Language,
    actor: Actor,
) -> Outcome:
    """Take what somebody sent. Anybody can type anybody's address: nothing that is known of a person is overwritten,
    and nobody who left is brought back, before the address's owner has confirmed.

    Raises TooManyPosts, InvalidField.
    """
    workspace_id, submission_id = form["workspace_id"], new_id()
    definition = FormDefinition.model_validate(form["definition"])
    if not await _within_limits(tx, workspace_id, address, addresses, actor.ip):
        return "not_asked"
    purpose = await resolve_purpose(tx, workspace_id, definition.purpose)
    fields = {**filled.values, "email": address.email, "tags": definition.tags, "language": language}
    contact, is_new = await _person(tx, workspace_id, fields, actor, addresses, address)
    if is_new:
        await _add_to_lists(tx, definition, contact)
    outcome = await _consent(
        tx, links, form, definition, purpose, contact, filled, addresses, language, actor, submission_id, is_new=is_new
    )
    await forms.add_submission(
        tx,
        workspace_id,
        submission_id,
        form["id"],
        contact["id"],
        address.hash,
        outcome,
        {**filled.values, **({"tracking": True} if filled.tracking else {})},
        language,
        actor.ip,
        actor.agent,
    )
    return outcome


async def _person(
    tx: Connection, workspace_id: UUID, fields: Mapping[str, Any], actor: Actor, addresses: Addresses, address: Address
) -> tuple[asyncpg.Record, bool]:
    """Who has the address, locked; made if nobody has. Whether they are new."""
    known = await contacts.by_identity(tx, workspace_id, address.normalised, None)
    if not known:
        try:
            return await create_contact(tx, workspace_id, fields, None, actor, addresses), True
        except ContactExists:  # made by another a moment ago
            known = await contacts.by_identity(tx, workspace_id, address.normalised, None)
    return known[0], False


async def apply_confirmed(
    tx: Connection, contact: asyncpg.Record, submission_id: UUID, actor: Actor, addresses: Addresses
) -> None:
    """What somebody sent counts now: the address's owner said so. What cannot be stored any more is left out."""
    workspace_id = contact["workspace_id"]
    sent = await forms.submission(tx, workspace_id, submission_id)
    if sent is None or sent["outcome"] == "confirmed":
        return
    definition = FormDefinition.model_validate(sent["definition"])
    fields = dict(sent["fields"])
    tracking = fields.pop("tracking", False)
    types = await attributes.types(tx, workspace_id)
    fields["attributes"] = {name: value for name, value in fields.get("attributes", {}).items() if name in types}
    fields["tags"] = [*contact["tags"], *definition.tags]
    contact = await change_contact(tx, workspace_id, contact, fields, actor, addresses)
    await _add_to_lists(tx, definition, contact)
    if tracking and contact["tracking"] != "individual":
        await _track(tx, contact, f"form {sent['form_id']}", actor)
    await forms.set_outcome(tx, workspace_id, submission_id, "confirmed")


async def _consent(
    tx: Connection,
    links: Links,
    form: asyncpg.Record,
    definition: FormDefinition,
    purpose: Purpose,
    contact: asyncpg.Record,
    filled: Filled,
    addresses: Addresses,
    language: Language,
    actor: Actor,
    submission_id: UUID,
    *,
    is_new: bool,
) -> Outcome:
    workspace_id, contact_id, source = contact["workspace_id"], contact["id"], f"form {form['name']}"[:150]
    states = await consents.of_contact(tx, workspace_id, contact_id)
    status = next((state["status"] for state in states if state["purpose_id"] == purpose.id), "none")
    if status == "subscribed":
        return "already_subscribed"
    if await suppressions.covers(tx, workspace_id, contact_id):
        return "suppressed"
    if definition.double_opt_in or status != "none":
        if definition.sender_id is None or await senders.get(tx, workspace_id, definition.sender_id) is None:
            return "not_asked"
        asked = await confirmations.ask(
            tx,
            links,
            contact,
            purpose,
            definition.sender_id,
            source,
            language,
            actor,
            submission_id=submission_id,
        )
        return "asked" if asked == "sent" else "not_asked"
    new = NewConsent(
        "subscribed",
        purpose.key,
        source,
        evidence=f"submission {submission_id}",
        basis="consent",
        express=True,
        wording_language=language,
    )
    changed = await append_consent(tx, workspace_id, contact_id, new, actor)
    await events.publish(tx, [events.consent_changed(one) for one in changed])
    if not is_new:
        blanks = _blanks(contact, filled, definition)
        contact = await change_contact(tx, workspace_id, contact, blanks, actor, addresses)
        await _add_to_lists(tx, definition, contact)
    elif filled.tracking:
        await _track(tx, contact, source, actor)
    return "subscribed"


def _blanks(contact: asyncpg.Record, filled: Filled, definition: FormDefinition) -> dict[str, Any]:
    """Only what is not known yet, and tags."""
    found = {name: value for name, value in filled.values.items() if name != "attributes" and not contact[name]}
    known = contact["attributes"]
    found["attributes"] = {n: v for n, v in filled.values.get("attributes", {}).items() if n not in known}
    found["tags"] = [*contact["tags"], *definition.tags]
    return found


async def _track(tx: Connection, contact: asyncpg.Record, source: str, actor: Actor) -> None:
    workspace_id, contact_id = contact["workspace_id"], contact["id"]
    line = tracking_line(workspace_id, contact_id, "individual", NewConsent("", "", source), actor)
    await consents.append(tx, [line])
    written = await contacts.update(tx, workspace_id, contact_id, None, {**dict(contact), "tracking": "individual"})
    assert written is not None  # noqa: S101
    now = await consents.of_contact(tx, workspace_id, contact_id)
    await events.publish(tx, [events.lead_updated(written, now)])


async def _add_to_lists(tx: Connection, definition: FormDefinition, contact: asyncpg.Record) -> None:
    for list_id in definition.list_ids:
        if await lists.kept(tx, contact["workspace_id"], list_id):
            await lists.add(tx, contact["workspace_id"], list_id, [contact["id"]])


async def _within_limits(
    tx: Connection, workspace_id: UUID, address: Address, addresses: Addresses, ip: str | None
) -> bool:
    """False: this address had enough. Raises TooManyPosts for a place or the workspace."""
    wanted = [
        Limit("ip", addresses.keyed(f"ip {network(ip)}"), PER_IP, HOUR),
        Limit("workspace", b"", PER_WORKSPACE, HOUR),
        Limit("address", address.hash, PER_ADDRESS, DAY),
    ]
    exceeded = await limits.used_up(tx, workspace_id, wanted)
    if exceeded in ("ip", "workspace"):
        raise TooManyPosts(retry_after_s=int(HOUR.total_seconds()))
    return exceeded is None


def network(ip: str | None) -> str:
    """One subscriber's addresses count as one: a /64 of IPv6."""
    return ":".join(ipaddress.ip_address(ip).exploded.split(":")[:4]) if ip and ":" in ip else ip or ""
