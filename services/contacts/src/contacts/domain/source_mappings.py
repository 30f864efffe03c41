"""From a partner's own JSON to an event: where each value stands in it, and what is made of it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contacts.domain.values import AttributeType, detect

Convert = Literal["text", "number", "boolean", "date", "time"]
Constant = (
    Annotated[str, Field(max_length=400)]
    | bool
    | Annotated[int, Field(gt=-(10**15), lt=10**15)]
    | Annotated[float, Field(gt=-1e15, lt=1e15, allow_inf_nan=False)]
)
_MILLISECONDS_FROM = 100_000_000_000  # as seconds: the year 5138
_LONGEST = 10_000
_YES, _NO = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})
_CONVERSIONS: Mapping[AttributeType, Convert] = {
    "text": "text", "number": "number", "boolean": "boolean", "date": "date",
}  # fmt: skip


class ShapeChanged(Exception):
    """The payload is not what the mapping says: `path` in it, and why."""

    def __init__(self, path: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.path = path
        self.code = code
        self.detail = detail


class Value(BaseModel):
    """A value at a path (customer.email, items.0.sku; or a JSON pointer, RFC 6901: /a.b/c), or a constant.

    `as` converts it. Where nothing is: `default`, or left out if `optional`; else the payload has changed its shape.
    """

    model_config = ConfigDict(extra="forbid")

    path: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]+$")] | None = None
    const: Constant | None = None
    as_: Annotated[Convert | None, Field(alias="as")] = None
    default: Constant | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _one(self) -> "Value":
        if (self.path is None) == (self.const is None):
            raise ValueError("give one of path and const")
        return self


class TypeOf(Value):
    """The event's name; `map` translates the partner's words. `otherwise`: what is done with words it has not."""

    map: Annotated[dict[str, str], Field(max_length=100)] | None = None
    otherwise: Literal["fail", "skip"] = "fail"


class ContactOf(BaseModel):
    """Whom it is about: the first of the two that has a value."""

    model_config = ConfigDict(extra="forbid")

    email: Value | None = None
    external_id: Value | None = None

    @model_validator(mode="after")
    def _some(self) -> "ContactOf":
        if self.email is None and self.external_id is None:
            raise ValueError("give email or external_id")
        return self


class SourceMapping(BaseModel):
    """What of a payload is which part of an event. `id` makes the same event, sent twice, one.

    Without `occurred_at` it is when the payload came.
    """

    model_config = ConfigDict(extra="forbid")

    type: TypeOf
    contact: ContactOf
    id: Value
    occurred_at: Value | None = None
    properties: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")], Value], Field(max_length=50)
    ] = {}


@dataclass(frozen=True, slots=True)
class Mapped:
    """An event, as the mapping found it."""

    id: str
    type: str
    contact: tuple[str, str]
    occurred_at: datetime
    properties: Mapping[str, Any]


def apply(
    mapping: SourceMapping,
    payload: Any,
    received_at: datetime,
    defined: Mapping[str, Mapping[str, AttributeType]],
) -> Mapped | None:
    """The payload's event; None if the mapping skips it. Properties become what they are defined as.

    Raises ShapeChanged.
    """
    word = _text(mapping.type, payload)
    name = word if mapping.type.map is None else mapping.type.map.get(word)
    if name is None:
        if mapping.type.otherwise == "skip":
            return None
        raise ShapeChanged(_at(mapping.type), "unknown_word", f"{word[:60]!r} is not in the mapping")
    id_ = _text(mapping.id, payload)
    contact = _contact(mapping.contact, payload)
    when = received_at
    if mapping.occurred_at is not None:
        found = _read(mapping.occurred_at, payload)
        when = received_at if found is None else _time(found, _at(mapping.occurred_at))
    types = defined.get(name, {})
    properties = {}
    for key, value in mapping.properties.items():
        found = _read(value, payload)
        if found is not None:
            into = value.as_ or (_CONVERSIONS[types[key]] if key in types else None)
            properties[key] = found if into is None else _converted(found, into, _at(value))
    return Mapped(id_, name, contact, when, properties)


def look(path: str, payload: Any) -> Any:
    """What stands at a path; None where nothing does."""
    if path.startswith("/"):
        steps = [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    else:
        steps = path.split(".")
    for step in steps:
        if isinstance(payload, dict):
            payload = payload.get(step)
        elif isinstance(payload, list) and re.fullmatch(r"[0-9]{1,6}", step):
            payload = payload[int(step)] if int(step) < len(payload) else None
        else:
            return None
    return payload


def addresses_in(payload: Any, most: int = 100) -> set[str]:
    """Texts anywhere in a payload that may be addresses."""
    found: set[str] = set()
    rest = [payload]
    while rest and len(found) < most:
        one = rest.pop()
        if isinstance(one, dict):
            rest += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            rest += one
        elif isinstance(one, str) and "@" in one:
            found |= {word.strip("<>()[]{}\"',;.") for word in one[:_LONGEST].split() if "@" in word}
    return set(sorted(found)[:most])


def _at(value: Value) -> str:
    return value.path or "(constant)"


def _read(value: Value, payload: Any) -> Any:
    found = value.const if value.path is None else look(value.path, payload)
    if found is None or found == "":
        found = value.default
    if found is None and not value.optional:
        raise ShapeChanged(_at(value), "missing", "there is no value here")
    if isinstance(found, dict | list):
        kind = "an object" if isinstance(found, dict) else "a list"
        raise ShapeChanged(_at(value), "not_a_value", f"here is {kind}, not a single value")
    if isinstance(found, str) and ("\x00" in found or len(found) > _LONGEST):
        raise ShapeChanged(_at(value), "unstorable", f"the text has a NUL or more than {_LONGEST} characters")
    return found


def _text(value: Value, payload: Any) -> str:
    found = _read(value, payload)
    text = "" if found is None else _converted(found, value.as_ or "text", _at(value))
    if not isinstance(text, str) or not 0 < len(text) <= 200:
        raise ShapeChanged(_at(value), "no_text", "a text of 1 to 200 characters is needed here")
    return text


def _contact(contact: ContactOf, payload: Any) -> tuple[str, str]:
    tried = []
    for kind, value in (("email", contact.email), ("external_id", contact.external_id)):
        if value is None:
            continue
        tried.append(_at(value))
        found = _read(value.model_copy(update={"optional": True}), payload)
        if found is not None:
            text = _converted(found, "text", _at(value))
            if not 0 < len(text) <= 320 or (kind == "external_id" and len(text) > 200):
                raise ShapeChanged(_at(value), "too_long", "this is longer than an address or an id may be")
            return kind, text
    raise ShapeChanged(tried[0], "missing", f"nobody is named here (looked at {', '.join(tried)})")


def _converted(found: Any, into: Convert, path: str) -> Any:
    match into:
        case "text":
            return _as_text(found)
        case "number":
            if isinstance(found, str) and detect(found) == "number":
                return float(found) if "." in found else int(found)
            if isinstance(found, int | float) and not isinstance(found, bool):
                return found
        case "boolean":
            word = _as_text(found).lower()
            if word in _YES | _NO:
                return word in _YES
        case "date" | "time":
            if into == "date" and isinstance(found, str) and detect(found) == "date":
                return found
            moment = _time(found, path)
            return moment.date().isoformat() if into == "date" else moment.isoformat()
    raise ShapeChanged(path, f"no_{into}", f"{str(found)[:60]!r} is not a {into}")


def _as_text(found: Any) -> str:
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(int(found)) if isinstance(found, float) and found.is_integer() else str(found)


def _time(found: Any, path: str) -> datetime:
    """RFC 3339, or seconds or milliseconds since 1970. Without a zone it is UTC."""
    try:
        if isinstance(found, str) and not found.isdigit():
            moment = datetime.fromisoformat(found)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        if not isinstance(found, bool):
            number = float(found)
            return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise ShapeChanged(path, "no_time", f"{str(found)[:60]!r} is not a time")
