"""Taking in events from outside: webinars attended, orders placed, whatever the workspace has defined.

A call is stored whole or not at all: one transaction, and every wrong item is named. So who sends may always send
the same call again.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from common.db.pool import Connection

from contacts.db import outside_events
from contacts.domain.addresses import Addresses, NotAnAddress
from contacts.domain.values import TEXT_CHARACTERS, AttributeType, Definition, WrongValue, attribute
from contacts.errors import InvalidEvents

MOST_ERRORS = 100
_CLOCKS_DIFFER = timedelta(minutes=5)

Key = tuple[str, Any]  # email, external_id or id, and which


class Told(NamedTuple):
    """An event as it was sent."""

    id: str
    type: str
    contact: Key
    occurred_at: datetime
    properties: Mapping[str, Any]


class _Wrong(NamedTuple):
    where: str
    code: str
    detail: str


async def take_events(tx: Connection, workspace_id: UUID, addresses: Addresses, told: Sequence[Told]) -> int:
    """Store events; of two with the same id the first stands. How many were new. Raises InvalidEvents."""
    wrong: list[_Wrong] = []
    defined = await outside_events.definitions(tx, workspace_id, sorted({one.type for one in told}))
    latest = datetime.now(UTC) + _CLOCKS_DIFFER
    for n, one in enumerate(told):
        wrong += _faults(f"/{n}", one, defined, latest)
    keys = [_key(f"/{n}", one.contact, addresses, wrong) for n, one in enumerate(told)]
    wanted: dict[str, set[Any]] = {"email": set(), "external_id": set(), "id": set()}
    for key in keys:
        if key is not None:
            wanted[key[0]].add(key[1])
    people = await outside_events.people(tx, workspace_id, *(sorted(values) for values in wanted.values()))
    for n, key in enumerate(keys):
        if key is not None and key not in people:
            wrong.append(_Wrong(f"/{n}/contact/{key[0]}", "contact_not_found", "there is no such contact"))
    if wrong:
        raise InvalidEvents(
            f"{len({one.where.split('/')[1] for one in wrong})} of {len(told)} events cannot be taken; none was",
            [one._asdict() for one in wrong[:MOST_ERRORS]],
        )
    return await outside_events.add(
        tx,
        workspace_id,
        [uuid5(workspace_id, one.id) for one in told],
        [people[key] for key in keys if key is not None],
        [one.type for one in told],
        [one.occurred_at for one in told],
        [one.properties for one in told],
    )


def _faults(
    where: str, one: Told, defined: Mapping[str, Mapping[str, AttributeType]], latest: datetime
) -> Sequence[_Wrong]:
    types = defined.get(one.type)
    if types is None:
        return [_Wrong(f"{where}/type", "unknown_event", f"no event {one.type!r} is defined")]
    wrong = []
    if one.occurred_at > latest:
        wrong.append(_Wrong(f"{where}/occurred_at", "in_the_future", "an event is told after it occurred"))
    for name, value in one.properties.items():
        place = f"{where}/properties/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in types:
            wrong.append(_Wrong(place, "unknown_property", f"{one.type} has no such property"))
            continue
        try:
            attribute(name, Definition(types[name]), value)
        except WrongValue:
            fits = (
                f"text of at most {TEXT_CHARACTERS} characters, without NUL" if types[name] == "text" else types[name]
            )
            wrong.append(_Wrong(place, "wrong_value", f"this is not a {fits}"))
    return wrong


def _key(where: str, contact: Key, addresses: Addresses, wrong: list[_Wrong]) -> Key | None:
    kind, value = contact
    if kind != "email":
        return contact
    try:
        return kind, addresses.read(value).normalised
    except NotAnAddress as error:
        wrong.append(_Wrong(f"{where}/contact/email", "invalid_email", str(error)))
        return None
