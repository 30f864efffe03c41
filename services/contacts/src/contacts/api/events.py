"""`/v1/events`: what contacts did elsewhere, and which such events there are."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Body, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from contacts.api.deps import AddressReader
from contacts.db import outside_events
from contacts.domain.values import AttributeType
from contacts.errors import EventDefined, EventNotDefined, InvalidEvents
from contacts.use_cases.outside_events import Key, Told, take_events

router = service_router("/events", "events")

MOST_EVENTS = 1000
_OWN = "email."  # Barid's own events; nobody outside may tell them

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){1,3}$")]
PropertyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class EventContact(BaseModel):
    """Whom the event is about: one of the three."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=320)] | None = None
    id: UUID | None = None
    external_id: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> "EventContact":
        if len(self._given()) != 1:
            raise ValueError("give one of email, id and external_id")
        return self

    def _given(self) -> list[Key]:
        each = (("email", self.email), ("id", self.id), ("external_id", self.external_id))
        return [(kind, value) for kind, value in each if value is not None]

    def key(self) -> Key:
        """Which of the three, and its value."""
        return self._given()[0]


class EventIn(BaseModel):
    """Something a contact did. `id` is the sender's: the same event sent twice is stored once."""

    model_config = ConfigDict(extra="forbid")

    id: Text
    type: Text
    contact: EventContact
    occurred_at: AwareDatetime
    properties: Annotated[dict[str, Any], Field(max_length=50)] = {}


class EventsTaken(BaseModel):
    """How many events were new, and how many were there already."""

    stored: int
    duplicates: int


class EventDefinitionPut(BaseModel):
    """What an event's properties are, by name and type."""

    model_config = ConfigDict(extra="forbid")

    label: Text | None = None
    properties: Annotated[dict[PropertyName, AttributeType], Field(max_length=50)] = {}


class EventDefinitionCreate(EventDefinitionPut):
    """A new event, like `webinar.attended`."""

    name: EventName

    @field_validator("name")
    @classmethod
    def _not_our_own(cls, name: str) -> str:
        if name.startswith(_OWN):
            raise ValueError(f"names that begin with {_OWN} are Barid's own")
        return name


class EventDefinitionOut(BaseModel):
    """An event that may be told."""

    name: str
    label: str | None
    properties: dict[str, AttributeType]
    revision: int
    created_at: datetime


Events = Annotated[list[EventIn], Body(min_length=1, max_length=MOST_EVENTS)]


@router.post("", dependencies=[allow("events:write")], responses=problems(InvalidEvents))
async def create_events(body: Events, tx: Tx, caller: Caller, addresses: AddressReader) -> EventsTaken:
    """Tell what contacts did: all of the call is stored, or nothing and every wrong item is named."""
    told = [Told(one.id, one.type, one.contact.key(), one.occurred_at, one.properties) for one in body]
    stored = await take_events(tx, caller.workspace_id, addresses, told)
    return EventsTaken(stored=stored, duplicates=len(told) - stored)


@router.get("/definitions", dependencies=[allow("events:read")])
async def list_event_definitions(tx: Tx, caller: Caller, paging: Paging) -> Page[EventDefinitionOut]:
    """The events that may be told, by name."""
    after = paging.after(str)
    rows = await outside_events.page(tx, caller.workspace_id, after[0] if after else "", paging.limit + 1)
    return page(rows, paging, lambda row: EventDefinitionOut.model_validate(dict(row)), lambda row: (row["name"],))


@router.post("/definitions", status_code=201, dependencies=[allow("events:write")], responses=problems(EventDefined))
async def create_event_definition(
    body: EventDefinitionCreate, tx: Tx, caller: Caller, response: Response
) -> EventDefinitionOut:
    """Define an event that may be told."""
    row = await outside_events.insert(tx, caller.workspace_id, body.name, body.label, body.properties)
    if row is None:
        raise EventDefined(event=body.name)
    response.headers["Location"] = f"/v1/events/definitions/{body.name}"
    set_etag(response, row["revision"])
    return EventDefinitionOut.model_validate(dict(row))


@router.put(
    "/definitions/{name}",
    dependencies=[allow("events:write")],
    responses=problems(EventNotDefined, PreconditionFailed),
)
async def put_event_definition(
    name: Text, body: EventDefinitionPut, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> EventDefinitionOut:
    """Define an event anew. What was told stays as it is."""
    before = await outside_events.locked(tx, caller.workspace_id, name)
    if before is None:
        raise EventNotDefined(event=name)
    require_match(if_match, before["revision"])
    row = await outside_events.change(tx, caller.workspace_id, name, body.label, body.properties)
    set_etag(response, row["revision"])
    return EventDefinitionOut.model_validate(dict(row))


@router.delete(
    "/definitions/{name}", status_code=204, dependencies=[allow("events:write")], responses=problems(EventNotDefined)
)
async def delete_event_definition(name: Text, tx: Tx, caller: Caller) -> None:
    """Take no more of these events. What was told stays."""
    if await outside_events.locked(tx, caller.workspace_id, name) is None:
        raise EventNotDefined(event=name)
    await outside_events.delete(tx, caller.workspace_id, name)
