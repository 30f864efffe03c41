"""`POST /v1/events`: what contacts did elsewhere."""

from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Request
from pydantic import BaseModel

from contacts.api.deps import AddressReader
from contacts.api.event_bodies import LINES, EventsBody, read_events
from contacts.errors import InvalidEvents, TooManyParked
from contacts.use_cases.outside_events import take_events

router = service_router("/events", "events")


class EventsTaken(BaseModel):
    """What became of the events: `stored` as activity, there already, or waiting for a contact that nobody knows yet.

    `ignored`: they are about somebody who was erased.
    """

    stored: int
    duplicates: int
    parked: int
    ignored: int
    contacts_created: int


@router.post(
    "", dependencies=[allow("events:write")], responses=problems(InvalidEvents, TooManyParked), openapi_extra=LINES
)
async def create_events(
    body: EventsBody, request: Request, tx: Tx, caller: Caller, addresses: AddressReader
) -> EventsTaken:
    """Tell what contacts did: all of the call is taken, or nothing and every wrong item is named."""
    told = read_events(body, request.headers.get("content-type", ""))
    taken = await take_events(tx, caller.workspace_id, addresses, told)
    return EventsTaken(
        stored=taken.stored,
        duplicates=taken.duplicates,
        parked=taken.parked,
        ignored=taken.ignored,
        contacts_created=taken.contacts_created,
    )
