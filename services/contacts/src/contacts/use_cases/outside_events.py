"""Taking in events from outside: webinars attended, orders placed, whatever the workspace has defined.

A call is stored whole or not at all: one transaction, and every wrong item is named. So who sends may always send
the same call again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid5

import orjson
from common.db.pool import Connection

from contacts import events
from contacts.db import event_definitions, outside_events, parked_events
from contacts.db.outside_events import Happened
from contacts.db.parked_events import Waiting
from contacts.domain import own_events
from contacts.domain.addresses import Address, Addresses, NotAnAddress
from contacts.domain.values import TEXT_CHARACTERS, AttributeType, Definition, WrongValue, attribute
from contacts.errors import InvalidEvents, TooManyParked
from contacts.use_cases import attendance
from contacts.use_cases.contacts import create_unknown

MOST_ERRORS = 100
MOST_PARKED = 50_000  # events of one workspace
MOST_BYTES = 64 * 1024  # of an event's properties
_FIRST_YEAR = 1970
_CLOCKS_DIFFER = timedelta(minutes=5)

Key = tuple[str, Any]  # email, external_id or id, and which
Unknown = Literal["park", "create", "refuse"]


class Place(NamedTuple):
    """Where an event was in its call: a pointer to it, or the line it was on."""

    pointer: str = ""
    line: int | None = None


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it was sent."""

    id: str
    type: str
    contact: Key
    occurred_at: datetime
    properties: Mapping[str, Any]
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done with events about contacts that nobody knows."""

    unknown_contacts: Unknown = "park"
    keep_days: int = 30
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a call's events."""

    stored: int = 0
    duplicates: int = 0
    parked: int = 0
    ignored: int = 0
    contacts_created: int = 0


def wrong(place: Place, where: str, code: str, detail: str) -> dict[str, Any]:
    """One line of what is wrong with a call."""
    found: dict[str, Any] = {"where": place.pointer + where, "code": code, "detail": detail}
    return found if place.line is None else {"line": place.line, **found}


def refuse(errors: Sequence[Mapping[str, Any]], places: int, of: int) -> InvalidEvents:
    """None of the call is taken."""
    return InvalidEvents(f"{places} of {of} events cannot be taken; none was", errors[:MOST_ERRORS])


async def policy_of(tx: Connection, workspace_id: UUID, *, lock: bool = False) -> Policy:
    """What the workspace wants done with events about unknown contacts."""
    row = await event_definitions.policy(tx, workspace_id, lock=lock)
    return Policy(row["unknown_contacts"], row["keep_days"], row["revision"]) if row else Policy()


async def take_events(
    tx: Connection, workspace_id: UUID, addresses: Addresses, told: Sequence[Told], *, own: bool = False
) -> Taken:
    """Store events; of two with the same id the first stands. `own`: they are Barid's, which nobody outside may tell.

    Raises InvalidEvents, TooManyParked.
    """
    errors: list[dict[str, Any]] = []
    bad: set[Place] = set()
    types = sorted({one.type for one in told if own or one.type not in own_events.DEFINED})
    defined = await event_definitions.definitions(tx, workspace_id, types)
    latest = datetime.now(UTC) + _CLOCKS_DIFFER
    typed: dict[str, Address] = {}
    for one in told:
        found = [*_faults(one, defined, latest), *_address_faults(one, addresses, typed)]
        bad |= {one.place} if found else set()
        errors += found
    keys = [_key(one.contact, typed) for one in told]
    policy = await policy_of(tx, workspace_id)
    people = await _people(tx, workspace_id, keys, typed)
    missing = {key: one for key, one in zip(keys, told, strict=True) if key is not None and key not in people}
    unknown = {key for key in missing if key[0] == "id" or policy.unknown_contacts == "refuse"}
    for key, one in zip(keys, told, strict=True):
        if key in unknown:
            errors.append(wrong(one.place, f"/contact/{key[0]}", "contact_not_found", "there is no such contact"))
            bad.add(one.place)
    if errors:
        raise refuse(errors, len(bad), len(told))
    erased: set[Key] = set()
    created = 0
    if missing:
        gone = await outside_events.erased(
            tx, workspace_id, [typed[one[1]].hash for one in missing if one[0] == "email"]
        )
        erased = {key for key in missing if key[0] == "email" and typed[key[1]].hash in gone}
        if policy.unknown_contacts == "create":
            new = [typed[key[1]] for key in missing if key[0] == "email" and key not in erased]
            created = await create_unknown(tx, workspace_id, new)
            people = await _people(tx, workspace_id, keys, typed)
    happened, waiting, ignored = [], [], 0
    for key, one in zip(keys, told, strict=True):
        event_id = uuid5(workspace_id, one.id)
        if key in people:
            happened.append(Happened(event_id, people[key], one.type, one.occurred_at, one.properties))
        elif key in erased:
            ignored += 1
        else:
            assert key is not None  # noqa: S101
            kind, value = key
            email, digest = (value, typed[value].hash) if kind == "email" else (None, None)
            external = value if kind == "external_id" else None
            waiting.append(Waiting(event_id, one.type, one.occurred_at, one.properties, email, digest, external))
    # In this order, as the job that stores what was parked has them.
    parked = await _park(tx, workspace_id, waiting, timedelta(days=policy.keep_days))
    stored = len(await store(tx, workspace_id, happened))
    return Taken(stored, len(told) - stored - parked - ignored, parked, ignored, created)


async def store(tx: Connection, workspace_id: UUID, happened: Sequence[Happened]) -> list[Happened]:
    """Store events of known contacts as activity, and tell of those that were new, but for what machines did."""
    new = await outside_events.add(tx, workspace_id, await attendance.changes(tx, workspace_id, happened))
    await events.publish(tx, [events.contact_did(workspace_id, one) for one in new if not one.machine])
    return new


async def _park(tx: Connection, workspace_id: UUID, waiting: Sequence[Waiting], keep: timedelta) -> int:
    if not waiting:
        return 0
    if await parked_events.count(tx, workspace_id, MOST_PARKED) + len(waiting) > MOST_PARKED:
        raise TooManyParked(
            f"{MOST_PARKED} events wait for contacts that nobody knows; none of this call was taken",
            mend="Import the contacts, or let events create them (PUT /v1/events/policy), and send the call again",
        )
    return await parked_events.park(tx, workspace_id, waiting, keep)


async def _people(
    tx: Connection, workspace_id: UUID, keys: Sequence[Key | None], typed: Mapping[str, Address]
) -> dict[Key, UUID]:
    wanted: dict[str, set[Any]] = {"email": set(), "external_id": set(), "id": set()}
    for key in keys:
        if key is not None:
            wanted[key[0]].add(key[1])
    emails = {email: typed[email].hash for email in wanted["email"]}
    return await outside_events.people(tx, workspace_id, emails, sorted(wanted["external_id"]), sorted(wanted["id"]))


def _faults(one: Told, defined: Mapping[str, Mapping[str, AttributeType]], latest: datetime) -> list[dict[str, Any]]:
    types = defined.get(one.type)
    if types is None:
        return [wrong(one.place, "/type", "unknown_event", f"no event {one.type!r} is defined")]
    found = []
    if one.occurred_at > latest:
        found.append(wrong(one.place, "/occurred_at", "in_the_future", "an event is told after it occurred"))
    if one.occurred_at.year < _FIRST_YEAR:
        found.append(wrong(one.place, "/occurred_at", "too_old", f"an event occurred in {_FIRST_YEAR} or later"))
    if _size(one.properties) > MOST_BYTES:
        found.append(
            wrong(one.place, "/properties", "too_large", f"properties have at most {MOST_BYTES} bytes as JSON")
        )
    for name, value in one.properties.items():
        where = f"/properties/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in types:
            found.append(wrong(one.place, where, "unknown_property", f"{one.type} has no such property"))
            continue
        try:
            attribute(name, Definition(types[name]), value)
        except WrongValue:
            fits = (
                f"text of at most {TEXT_CHARACTERS} characters, without NUL" if types[name] == "text" else types[name]
            )
            found.append(wrong(one.place, where, "wrong_value", f"this is not a {fits}"))
    return found


def _size(properties: Mapping[str, Any]) -> int:
    try:
        return len(orjson.dumps(properties))
    except TypeError:  # a whole number of more than 64 bits, which no property may have
        return 0


def _address_faults(one: Told, addresses: Addresses, typed: dict[str, Address]) -> list[dict[str, Any]]:
    """Reads the address too, into `typed`: as it was sent, and by its identity."""
    kind, value = one.contact
    if kind != "email":
        return []
    try:
        address = addresses.read(value)
    except NotAnAddress as error:
        return [wrong(one.place, "/contact/email", "invalid_email", str(error))]
    typed[value] = address
    typed.setdefault(address.normalised, address)
    return []


def _key(contact: Key, typed: Mapping[str, Address]) -> Key | None:
    kind, value = contact
    if kind != "email":
        return contact
    return (kind, typed[value].normalised) if value in typed else None
