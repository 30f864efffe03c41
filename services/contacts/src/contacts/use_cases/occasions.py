"""Webinars and events: making them, who comes, and who did not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection, Database
from common.ids import new_id
from common.web.etags import require_match

from contacts.db import occasions
from contacts.db.outside_events import Happened
from contacts.domain import values
from contacts.domain.addresses import Addresses
from contacts.domain.attendance import PREFIX, Status
from contacts.domain.values import WrongValue
from contacts.errors import InvalidField, OccasionTooEarly, OccasionUnknown
from contacts.use_cases.outside_events import Key, Place, Taken, Told, store, take_events

_AT_ONCE = 1_000
_DOORS_OPEN = timedelta(days=1)  # people check in before the beginning

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attendee:
    """Somebody as they were named; `at` None: as late as it can have been."""

    contact: Key
    at: datetime | None


async def create_occasion(tx: Connection, workspace_id: UUID, fields: Fields, created_by: str) -> asyncpg.Record:
    """Store one. Raises InvalidField."""
    return await occasions.insert(tx, workspace_id, new_id(), _checked(fields), created_by)


async def change_occasion(
    tx: Connection,
    workspace_id: UUID,
    occasion_id: UUID,
    changes: Fields,
    if_match: str | None,
    *,
    delete: bool = False,
) -> asyncpg.Record:
    """Change what is given. Deleted, nobody misses it any more.

    Raises OccasionUnknown, PreconditionFailed, InvalidField.
    """
    row = await occasions.find(tx, workspace_id, occasion_id, lock=True)
    if row is None:
        raise OccasionUnknown(occasion_id=str(occasion_id))
    require_match(if_match, row["revision"])
    return await occasions.change(tx, workspace_id, occasion_id, _checked({**dict(row), **changes}), deleted=delete)


async def tell_attendance(
    tx: Connection,
    workspace_id: UUID,
    occasion_id: UUID,
    addresses: Addresses,
    status: Status,
    attendees: Sequence[Attendee],
) -> Taken:
    """Let people have registered, attended or missed; who has that status already, or is beyond it, keeps theirs.

    Who is not known is dealt with as the workspace's policy for events says.
    Raises OccasionUnknown, OccasionTooEarly, InvalidEvents, TooManyParked.
    """
    row = await occasions.find(tx, workspace_id, occasion_id)
    if row is None:
        raise OccasionUnknown(occasion_id=str(occasion_id))
    now = datetime.now(UTC)
    earliest = {"attended": row["starts_at"] - _DOORS_OPEN, "missed": row["ends_at"]}.get(status, now)
    if now < earliest:
        raise OccasionTooEarly(
            f"Nobody can have {status} it before {earliest.isoformat()}",
            mend="Change its time first, if it was put forward",
        )
    at = now if status == "registered" else min(now, row["ends_at"])
    told = [
        Told(
            f"{PREFIX}{status} {occasion_id} {one.contact[0]} {one.contact[1]}",
            PREFIX + status,
            one.contact,
            one.at or at,
            _properties(row),
            Place(f"/attendees/{n}"),
        )
        for n, one in enumerate(attendees)
    ]
    return await take_events(tx, workspace_id, addresses, told, own=True)


async def close_over(db: Database) -> None:
    """The periodic job: who registered and did not come has missed what has been over for long enough."""
    async with db.transaction() as tx:
        due = await occasions.due(tx, 100)
    for workspace_id, occasion_id in due:
        more = True
        while more:
            async with db.transaction(workspace_id) as tx:
                more = await _miss_some(tx, workspace_id, occasion_id)


async def _miss_some(tx: Connection, workspace_id: UUID, occasion_id: UUID) -> bool:
    """Whether there may be more."""
    row = await occasions.find(tx, workspace_id, occasion_id, lock=True)
    if row is None:
        return False
    people = await occasions.waiting(tx, workspace_id, occasion_id, _AT_ONCE)
    missed = [Happened(new_id(), one, f"{PREFIX}missed", row["ends_at"], _properties(row)) for one in people]
    stored = await store(tx, workspace_id, missed)
    if len(people) == _AT_ONCE and stored:
        return True
    await occasions.close(tx, workspace_id, occasion_id)
    return False


def _properties(row: asyncpg.Record) -> dict[str, Any]:
    return {"occasion_id": str(row["id"]), "kind": row["kind"], "title": row["title"]}


def _checked(fields: Fields) -> dict[str, Any]:
    try:
        zone = values.timezone(fields["timezone"])
    except WrongValue as error:
        raise InvalidField(str(error), where="/timezone") from error
    if fields["ends_at"] <= fields["starts_at"]:
        raise InvalidField("it ends before it begins", where="/ends_at", mend="Send an end after starts_at")
    return {**{name: fields[name] for name in occasions.FIELDS}, "timezone": zone}
