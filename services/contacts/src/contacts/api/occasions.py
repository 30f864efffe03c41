"""`/v1/occasions`: webinars and events, and who registered, attended or missed them."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
from common.errors import PreconditionFailed
from common.web.etags import IfMatch, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from contacts.api.deps import AddressReader, moment
from contacts.api.event_bodies import MOST_EVENTS, EventContact
from contacts.db import occasions
from contacts.domain.attendance import PREFIX, Status
from contacts.errors import InvalidEvents, InvalidField, OccasionTooEarly, OccasionUnknown, TooManyParked
from contacts.use_cases import occasions as use_cases
from contacts.use_cases.occasions import Attendee

router = service_router("/occasions", "occasions")

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _possible(at: datetime) -> datetime:
    if not _FIRST <= at < _LAST:
        raise ValueError("a time is between the years 1970 and 2200")
    return at


Moment = Annotated[AwareDatetime, AfterValidator(_possible)]
Kind = Literal["webinar", "event"]
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Url = Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00-\x1f]+$")]
Hours = Annotated[
    int,
    Field(
        ge=0, le=720, description="how long after the end lists of attendees are waited for, before others missed it"
    ),
]


class OccasionCreate(BaseModel):
    """A webinar or an event. Times say their own offset; `timezone` is where it takes place."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    title: Title
    starts_at: Moment
    ends_at: Moment
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    url: Url | None = None
    missed_after_hours: Hours = 24


class OccasionPatch(BaseModel):
    """What to change; what is left out stays. Only the URL can be taken away."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind | None = None
    title: Title | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    timezone: Annotated[str, Field(max_length=64)] | None = None
    url: Url | None = None
    missed_after_hours: Hours | None = None


class OccasionOut(BaseModel):
    """A webinar or an event. `closed_at`: since when everybody who registered has attended or missed it."""

    id: UUID
    kind: Kind
    title: str
    starts_at: datetime
    ends_at: datetime
    timezone: str
    url: str | None
    missed_after_hours: int
    closed_at: datetime | None
    revision: int
    created_at: datetime
    updated_at: datetime


class Attendance(BaseModel):
    """How many people are in each status."""

    registered: int = 0
    attended: int = 0
    missed: int = 0


class OccasionDetails(OccasionOut):
    """With how many people."""

    people: Attendance


class AttendeeIn(BaseModel):
    """Somebody, and when it was. Left out: now, or at the end if it is over."""

    model_config = ConfigDict(extra="forbid")

    contact: EventContact
    occurred_at: Moment | None = None


class AttendeesCreate(BaseModel):
    """People who came into a status."""

    model_config = ConfigDict(extra="forbid")

    status: Status
    attendees: Annotated[list[AttendeeIn], Field(min_length=1, max_length=MOST_EVENTS)]


class AttendeesTaken(BaseModel):
    """What became of the attendees.

    `unchanged` had the status already, or are beyond it. `parked`: nobody knows them yet, they wait as events do.
    `ignored`: they were erased.
    """

    changed: int
    unchanged: int
    parked: int
    ignored: int
    contacts_created: int


class AttendeeOut(BaseModel):
    """Somebody's place, and when they came into each status."""

    contact_id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    status: Status
    registered_at: datetime | None
    attended_at: datetime | None
    missed_at: datetime | None


@router.post("", status_code=201, dependencies=[allow("occasions:write")], responses=problems(InvalidField))
async def create_occasion(body: OccasionCreate, tx: Tx, caller: Caller, response: Response) -> OccasionOut:
    """Make a webinar or an event."""
    row = await use_cases.create_occasion(tx, caller.workspace_id, body.model_dump(), str(caller.subject_id))
    response.headers["Location"] = f"/v1/occasions/{row['id']}"
    set_etag(response, row["revision"])
    return OccasionOut.model_validate(dict(row))


@router.get("", dependencies=[allow("occasions:read")])
async def list_occasions(tx: Tx, caller: Caller, paging: Paging) -> Page[OccasionOut]:
    """Webinars and events, the latest first."""
    key = paging.after(moment, UUID)
    before = None if key is None or None in key else (key[0], key[1])
    rows = await occasions.page(tx, caller.workspace_id, before, paging.limit + 1)
    return page(
        rows, paging, lambda row: OccasionOut.model_validate(dict(row)), lambda row: (row["starts_at"], row["id"])
    )


@router.get("/{occasion_id}", dependencies=[allow("occasions:read")], responses=problems(OccasionUnknown))
async def get_occasion(occasion_id: UUID, tx: Tx, caller: Caller, response: Response) -> OccasionDetails:
    """One, with how many people registered, attended and missed it."""
    row = await occasions.find(tx, caller.workspace_id, occasion_id)
    if row is None:
        raise OccasionUnknown(occasion_id=str(occasion_id))
    people = Attendance(**await occasions.counts(tx, caller.workspace_id, occasion_id))
    set_etag(response, row["revision"])
    return OccasionDetails.model_validate({**dict(row), "people": people})


@router.patch(
    "/{occasion_id}",
    dependencies=[allow("occasions:write")],
    responses=problems(OccasionUnknown, PreconditionFailed, InvalidField),
)
async def update_occasion(
    occasion_id: UUID, body: OccasionPatch, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> OccasionOut:
    """Change a webinar or an event. What was told of people stays."""
    given = body.model_dump(exclude_unset=True)
    changes = {name: value for name, value in given.items() if value is not None or name == "url"}
    row = await use_cases.change_occasion(tx, caller.workspace_id, occasion_id, changes, if_match)
    set_etag(response, row["revision"])
    return OccasionOut.model_validate(dict(row))


@router.delete(
    "/{occasion_id}",
    status_code=204,
    dependencies=[allow("occasions:write")],
    responses=problems(OccasionUnknown, PreconditionFailed),
)
async def delete_occasion(occasion_id: UUID, tx: Tx, caller: Caller, if_match: IfMatch = None) -> None:
    """It does not take place, so nobody misses it. What was told of people stays in their timelines."""
    await use_cases.change_occasion(tx, caller.workspace_id, occasion_id, {}, if_match, delete=True)


@router.post(
    "/{occasion_id}/attendees",
    dependencies=[allow("occasions:write")],
    responses=problems(OccasionUnknown, OccasionTooEarly, InvalidEvents, TooManyParked),
)
async def add_occasion_attendees(
    occasion_id: UUID, body: AttendeesCreate, tx: Tx, caller: Caller, addresses: AddressReader
) -> AttendeesTaken:
    """Tell who registered, attended or missed it: all of the call is taken, or nothing, and what is wrong is named."""
    people = [Attendee(one.contact.key(), one.occurred_at) for one in body.attendees]
    taken = await use_cases.tell_attendance(tx, caller.workspace_id, occasion_id, addresses, body.status, people)
    return AttendeesTaken(
        changed=taken.stored,
        unchanged=taken.duplicates,
        parked=taken.parked,
        ignored=taken.ignored,
        contacts_created=taken.contacts_created,
    )


@router.get("/{occasion_id}/attendees", dependencies=[allow("occasions:read")], responses=problems(OccasionUnknown))
async def list_occasion_attendees(
    occasion_id: UUID, tx: Tx, caller: Caller, paging: Paging, status: Status | None = None
) -> Page[AttendeeOut]:
    """Who registered, attended or missed it, by contact."""
    if await occasions.find(tx, caller.workspace_id, occasion_id) is None:
        raise OccasionUnknown(occasion_id=str(occasion_id))
    after = paging.after(UUID)
    rows = await occasions.attendees(
        tx, caller.workspace_id, occasion_id, status, after[0] if after else None, paging.limit + 1
    )
    return page(rows, paging, _attendee, lambda row: (row["contact_id"],))


def _attendee(row: asyncpg.Record) -> AttendeeOut:
    return AttendeeOut.model_validate({**dict(row), "status": row["type"].removeprefix(PREFIX)})
