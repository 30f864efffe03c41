"""Storing and changing contacts, one by one."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id

from contacts import events
from contacts.db import attributes, consents, contacts, stages, workspaces
from contacts.domain import phones, values
from contacts.domain.addresses import Address, Addresses, NotAnAddress
from contacts.domain.values import WrongValue
from contacts.errors import (
    ContactExists,
    ContactNotFound,
    ExternalIdTaken,
    InvalidAddress,
    InvalidField,
    TwoPeople,
    UnknownAttribute,
)
from contacts.use_cases.consents import Actor, NewConsent, append_consent

Fields = Mapping[str, Any]
_EMPTY: dict[str, Any] = {
    "first_name": None, "last_name": None, "language": None, "timezone": None, "country": None, "external_id": None,
    "phone": None, "phone_normalised": None, "company": None, "city": None, "owner": None, "attributes": {}, "tags": [],
    "tracking": "none", "stage": "lead", "provenance": {}, "flags": [],
}  # fmt: skip
_CHECKS = {
    "language": values.language, "country": values.country, "timezone": values.timezone, "phone": phones.check,
}  # fmt: skip
_TYPED = {"first_name", "last_name", "language", "timezone", "country", "phone", "company", "city"}


def read_address(addresses: Addresses, email: str) -> Address:
    """Raises InvalidAddress."""
    try:
        return addresses.read(email)
    except NotAnAddress as error:
        raise InvalidAddress(str(error), where="/email", mend="Send one address, like name@example.org") from error


async def read_phone(tx: Connection, workspace_id: UUID, text: str) -> str:
    """A number by which contacts are looked for; empty if it cannot be called."""
    return phones.normalise(text, await _region(tx, workspace_id)) or ""


async def create_contact(
    tx: Connection,
    workspace_id: UUID,
    fields: Fields,
    consent: NewConsent | None,
    actor: Actor,
    addresses: Addresses,
) -> asyncpg.Record:
    """Store a contact with its first consent, and announce it.

    Raises InvalidAddress, InvalidField, UnknownAttribute, UnknownPurpose, ContactExists, ExternalIdTaken.
    """
    address = read_address(addresses, fields["email"])
    wanted = await _applied(tx, workspace_id, _EMPTY, fields)
    if consent is not None and consent.tracking is not None:
        wanted["tracking"] = consent.tracking
    contact = await contacts.insert(tx, workspace_id, new_id(), address, wanted)
    if contact is None:
        raise await _taken(tx, workspace_id, address, wanted["external_id"])
    changed = [] if consent is None else await append_consent(tx, workspace_id, contact["id"], consent, actor)
    told = [events.lead_created(contact, changed)]
    told += [events.consent_changed(state) for state in changed if state["status"] != "subscribed"]
    await events.publish(tx, told)
    return contact


async def create_unknown(tx: Connection, workspace_id: UUID, addresses: Sequence[Address]) -> int:
    """Store contacts of whom only the address is known, without any consent; how many were new."""
    made = await contacts.insert_bare(tx, workspace_id, addresses)
    await events.publish(tx, [events.lead_created(contact, []) for contact in made])
    return len(made)


async def put_contact(
    tx: Connection,
    workspace_id: UUID,
    fields: Fields,
    consent: NewConsent | None,
    actor: Actor,
    addresses: Addresses,
) -> tuple[asyncpg.Record, bool]:
    """Create or change the contact with this address or external id; whether it is new.

    Raises TwoPeople, and what create_contact and change_contact raise.
    """
    address = read_address(addresses, fields["email"]) if fields.get("email") else None
    if address is not None or fields.get("external_id"):
        people = await contacts.by_identity(
            tx, workspace_id, address.normalised if address else None, fields.get("external_id")
        )
    elif fields.get("phone"):
        people = await contacts.by_phone(tx, workspace_id, await _called(tx, workspace_id, fields))
    else:
        raise InvalidField(
            "an address, an external id or a phone is needed", where="/email", mend="Send email, external_id or phone"
        )
    if len(people) > 1:
        raise TwoPeople(
            contact_ids=[str(person["id"]) for person in people],
            mend="Send what only one of them has, or change one contact first",
        )
    if not people:
        if address is None:
            raise InvalidField("a new contact needs an address", where="/email", mend="Send email too")
        return await create_contact(tx, workspace_id, fields, consent, actor, addresses), True
    return await _change(tx, workspace_id, people[0], fields, consent, actor, addresses), False


async def change_contact(
    tx: Connection, workspace_id: UUID, contact: asyncpg.Record, fields: Fields, actor: Actor, addresses: Addresses
) -> asyncpg.Record:
    """Apply a merge patch to a locked contact. Raises as create_contact does."""
    return await _change(tx, workspace_id, contact, fields, None, actor, addresses)


async def lock_contact(tx: Connection, workspace_id: UUID, contact_id: UUID) -> asyncpg.Record:
    """The contact, locked. Raises ContactNotFound."""
    contact = await contacts.get_locked(tx, workspace_id, contact_id)
    if contact is None:
        raise ContactNotFound(contact_id=str(contact_id))
    return contact


async def _change(
    tx: Connection,
    workspace_id: UUID,
    contact: asyncpg.Record,
    fields: Fields,
    consent: NewConsent | None,
    actor: Actor,
    addresses: Addresses,
) -> asyncpg.Record:
    before = dict(contact)
    if "email" in fields and not fields["email"]:
        raise InvalidField(
            "a contact keeps an address", where="/email", mend="Send another address, or leave email out"
        )
    address = read_address(addresses, fields["email"]) if "email" in fields else None
    after = {**before, **await _applied(tx, workspace_id, before, fields)}
    if address is not None:
        after |= {"email": address.email, "email_normalised": address.normalised}
    if consent is not None and consent.tracking is not None:
        after["tracking"] = consent.tracking
    changed = [] if consent is None else await append_consent(tx, workspace_id, contact["id"], consent, actor)
    told = [events.consent_changed(state) for state in changed]
    result: asyncpg.Record = contact
    if after != before:
        result = await _write(tx, workspace_id, contact, address, after)
        if after["stage"] != before["stage"]:
            await stages.record(tx, workspace_id, contact["id"], before["stage"], after["stage"], actor.name, "manual")
        told.append(events.lead_updated(result, await consents.of_contact(tx, workspace_id, contact["id"])))
    await events.publish(tx, told)
    return result


async def _write(
    tx: Connection, workspace_id: UUID, contact: asyncpg.Record, address: Address | None, after: Fields
) -> asyncpg.Record:
    try:
        written = await contacts.update(tx, workspace_id, contact["id"], address, after)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "contacts_external_id":
            raise ExternalIdTaken(external_id=after["external_id"]) from error
        raise ContactExists(mend="Change that contact, or use another address") from error
    assert written is not None  # noqa: S101
    return written


async def _applied(tx: Connection, workspace_id: UUID, before: Fields, fields: Fields) -> dict[str, Any]:
    """The stored values with given ones over them: null takes away, objects merge, omitted is left alone."""
    after = {name: before[name] for name in _EMPTY}
    for name, value in fields.items():
        if name in ("email", "attributes") or name not in _EMPTY:
            continue
        after[name] = _EMPTY[name] if value is None else _checked(name, value)
    given = fields.get("attributes", {})
    if given is None:
        after["attributes"] = {}
    elif given:
        merged = {**before["attributes"], **await _attributes(tx, workspace_id, given)}
        after["attributes"] = {name: value for name, value in merged.items() if value is not None}
    if not after["phone"]:
        after["phone_normalised"] = None
    elif "phone" in fields or "country" in fields:
        region = after["country"] or await _region(tx, workspace_id)
        after["phone_normalised"] = phones.normalise(after["phone"], region)
    typed = _TYPED & set(fields)
    after["provenance"] = {name: told for name, told in before["provenance"].items() if name not in typed}
    return after


async def _called(tx: Connection, workspace_id: UUID, fields: Fields) -> str:
    region = _checked("country", fields["country"]) if fields.get("country") else await _region(tx, workspace_id)
    normalised = phones.normalise(_checked("phone", fields["phone"]), region)
    if normalised is None:
        raise InvalidField(
            "nobody can be found by a number that cannot be called", where="/phone", mend="Send it with + and prefix"
        )
    return normalised


async def _region(tx: Connection, workspace_id: UUID) -> str | None:
    return phones.region_of(await workspaces.time_zone(tx, workspace_id))


def _checked(name: str, value: Any) -> Any:
    check = _CHECKS.get(name)
    try:
        if check is not None:
            return check(value)
    except WrongValue as error:
        raise InvalidField(str(error), where=f"/{name}") from error
    if name == "tags":
        return sorted(set(value))
    return value


async def _attributes(tx: Connection, workspace_id: UUID, given: Mapping[str, Any]) -> dict[str, Any]:
    defined = await attributes.definitions(tx, workspace_id)
    unknown = sorted(set(given) - set(defined))
    if unknown:
        raise UnknownAttribute(
            f"There is no attribute {unknown[0]!r}",
            where=f"/attributes/{unknown[0]}",
            attribute=unknown[0],
            mend="Create it with POST /v1/attributes first",
        )
    try:
        return values.attributes(defined, given)
    except WrongValue as error:
        raise InvalidField(str(error), where="/attributes") from error


async def _taken(
    tx: Connection, workspace_id: UUID, address: Address, external_id: str | None
) -> ContactExists | ExternalIdTaken:
    people = await contacts.by_identity(tx, workspace_id, address.normalised, external_id)
    for person in people:
        if person["email_normalised"] == address.normalised:
            return ContactExists(
                contact_id=str(person["id"]), mend="Change that contact, or send PUT to create or change"
            )
    return ExternalIdTaken(external_id=external_id, contact_id=str(people[0]["id"]) if people else None)
