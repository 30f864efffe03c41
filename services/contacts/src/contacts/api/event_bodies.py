"""What `POST /v1/events` takes: one event, a list of them, or lines of JSON; and reading it, error by error."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import orjson
from common.errors import Invalid
from common.web.texts import UnstorableText, require_storable
from fastapi import Body
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from contacts.use_cases.outside_events import Key, Place, Told, refuse, wrong

MOST_EVENTS = 1000
NDJSON = "application/x-ndjson"

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


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


class _Described:
    """Any JSON value for the validator, since errors name each event; the events for the API's description."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.any_schema()

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(TypeAdapter(_Body).core_schema)


_Body = EventIn | Annotated[list[EventIn], Field(min_length=1, max_length=MOST_EVENTS)]
EventsBody = Annotated[Any, _Described, Body()]
LINES = {
    "requestBody": {
        "content": {
            NDJSON: {"schema": {"type": "string", "description": f"an event a line, {MOST_EVENTS} lines at most"}}
        }
    }
}
_ONE = TypeAdapter(EventIn)


def read_events(body: Any, content_type: str) -> list[Told]:
    """The events of a call. Raises Invalid, InvalidEvents."""
    if isinstance(body, bytes):
        if content_type.partition(";")[0].strip().lower() != NDJSON:
            raise Invalid(
                "The body's type is neither JSON nor lines of JSON", mend=f"Send application/json or {NDJSON}"
            )
        return _read(*_lines(body))
    if isinstance(body, list):
        if not 1 <= len(body) <= MOST_EVENTS:
            raise Invalid(f"A call has 1 to {MOST_EVENTS} events; this one has {len(body)}", mend="Send several calls")
        return _read(body, [Place(f"/{n}") for n in range(len(body))])
    return _read([body], [Place()])


def _lines(body: bytes) -> tuple[list[Any], list[Place]]:
    found, places, errors = [], [], []
    filled = [(n, line) for n, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    if not 1 <= len(filled) <= MOST_EVENTS:
        raise Invalid(f"A call has 1 to {MOST_EVENTS} events; this one has {len(filled)}", mend="Send several calls")
    for n, line in filled:
        place = Place(line=n)
        try:
            require_storable(line)
            found.append(orjson.loads(line))
            places.append(place)
        except UnstorableText as error:
            errors += [{"line": n, **one} for one in error.errors]
        except ValueError as error:
            errors.append(wrong(place, "", "no_json", str(error)))
    if errors:
        raise refuse(errors, len({error["line"] for error in errors}), len(filled))
    return found, places


def _read(given: Sequence[Any], places: Sequence[Place]) -> list[Told]:
    told, errors, bad = [], [], 0
    for value, place in zip(given, places, strict=True):
        try:
            one = _ONE.validate_python(value)
        except ValidationError as error:
            bad += 1
            for found in error.errors(include_url=False, include_context=False, include_input=False):
                where = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in found["loc"])
                errors.append(wrong(place, where, found["type"], found["msg"]))
        else:
            told.append(Told(one.id, one.type, one.contact.key(), one.occurred_at, one.properties, place))
    if errors:
        raise refuse(errors, bad, len(given))
    return told
