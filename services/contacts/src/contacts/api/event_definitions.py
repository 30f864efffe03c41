"""`/v1/events/definitions`: which events may be told. `/v1/events/policy`: what of those about unknown contacts."""

from datetime import datetime
from typing import Annotated

from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from contacts.api.event_bodies import Text
from contacts.db import event_definitions, parked_events
from contacts.domain import own_events
from contacts.domain.values import AttributeType
from contacts.errors import EventDefined, EventNotDefined
from contacts.use_cases.outside_events import MOST_PARKED, Policy, Unknown, policy_of
from contacts.use_cases.segments import follow_definition

router = service_router("/events", "events")

EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){1,3}$")]
PropertyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


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
        if name.startswith(own_events.PREFIXES):
            raise ValueError(f"names that begin with {' or '.join(own_events.PREFIXES)} are Barid's own")
        return name


class EventDefinitionOut(BaseModel):
    """An event that may be told."""

    name: str
    label: str | None
    properties: dict[str, AttributeType]
    revision: int
    created_at: datetime


class EventPolicyPut(BaseModel):
    """What to do with events about contacts that nobody knows.

    `park`: they wait for the contact, for `keep_days`. `create`: an address becomes a contact, without any consent;
    who is only known by an external id is waited for. `refuse`: the call is refused.
    """

    model_config = ConfigDict(extra="forbid")

    unknown_contacts: Unknown
    keep_days: Annotated[int, Field(ge=1, le=90)] = 30


class EventPolicyOut(EventPolicyPut):
    """The policy, and how many events wait."""

    parked: Annotated[int, Field(description=f"{MOST_PARKED} at most")]
    revision: int


@router.get("/definitions", dependencies=[allow("events:read")])
async def list_event_definitions(tx: Tx, caller: Caller, paging: Paging) -> Page[EventDefinitionOut]:
    """The events that may be told, by name."""
    after = paging.after(str)
    rows = await event_definitions.page(tx, caller.workspace_id, after[0] if after else "", paging.limit + 1)
    return page(rows, paging, lambda row: EventDefinitionOut.model_validate(dict(row)), lambda row: (row["name"],))


@router.post("/definitions", status_code=201, dependencies=[allow("events:write")], responses=problems(EventDefined))
async def create_event_definition(
    body: EventDefinitionCreate, tx: Tx, caller: Caller, response: Response
) -> EventDefinitionOut:
    """Define an event that may be told."""
    row = await event_definitions.insert(tx, caller.workspace_id, body.name, body.label, body.properties)
    if row is None:
        raise EventDefined(event=body.name)
    await follow_definition(tx, caller.workspace_id, body.name)
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
    before = await event_definitions.locked(tx, caller.workspace_id, name)
    if before is None:
        raise EventNotDefined(event=name)
    require_match(if_match, before["revision"])
    row = await event_definitions.change(tx, caller.workspace_id, name, body.label, body.properties)
    if row["properties"] != before["properties"]:
        await follow_definition(tx, caller.workspace_id, name)
    set_etag(response, row["revision"])
    return EventDefinitionOut.model_validate(dict(row))


@router.delete(
    "/definitions/{name}", status_code=204, dependencies=[allow("events:write")], responses=problems(EventNotDefined)
)
async def delete_event_definition(name: Text, tx: Tx, caller: Caller) -> None:
    """Take no more of these events. What was told stays."""
    if await event_definitions.locked(tx, caller.workspace_id, name) is None:
        raise EventNotDefined(event=name)
    await event_definitions.delete(tx, caller.workspace_id, name)
    await follow_definition(tx, caller.workspace_id, name)


@router.get("/policy", dependencies=[allow("events:read")])
async def get_event_policy(tx: Tx, caller: Caller, response: Response) -> EventPolicyOut:
    """What becomes of events about contacts that nobody knows, and how many wait for theirs."""
    return await _policy(tx, caller, response, await policy_of(tx, caller.workspace_id))


@router.put("/policy", dependencies=[allow("events:write")], responses=problems(PreconditionFailed))
async def put_event_policy(
    body: EventPolicyPut, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> EventPolicyOut:
    """Decide anew. What waits already waits as long as it was to."""
    before = await policy_of(tx, caller.workspace_id, lock=True)
    require_match(if_match, before.revision)
    await event_definitions.put_policy(tx, caller.workspace_id, body.unknown_contacts, body.keep_days)
    return await _policy(tx, caller, response, await policy_of(tx, caller.workspace_id))


async def _policy(tx: Tx, caller: Caller, response: Response, policy: Policy) -> EventPolicyOut:
    set_etag(response, policy.revision)
    return EventPolicyOut(
        unknown_contacts=policy.unknown_contacts,
        keep_days=policy.keep_days,
        parked=await parked_events.count(tx, caller.workspace_id, MOST_PARKED),
        revision=policy.revision,
    )
