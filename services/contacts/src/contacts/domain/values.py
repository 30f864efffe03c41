"""The values of a contact's fields: which are right, and what they are stored as."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args
from zoneinfo import available_timezones

from common.contracts.leads import Stage

AttributeType = Literal["text", "number", "boolean", "date"]
ATTRIBUTE_TYPES: tuple[AttributeType, ...] = ("text", "number", "boolean", "date")
STAGES: tuple[Stage, ...] = get_args(Stage)
_STAGE_NAMES = {
    "mql": "marketing_qualified", "marketing_qualified_lead": "marketing_qualified", "sql": "sales_qualified",
    "sales_qualified_lead": "sales_qualified",
}  # fmt: skip
TEXT_CHARACTERS = 10_000
NAME_CHARACTERS = 500

_ATTRIBUTE_NAME = re.compile(r"[^\W\d]\w{0,62}\Z").match
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?\Z", re.ASCII).match
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?\Z", re.ASCII).match
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})((?:[-_][A-Za-z0-9]{2,8})*)\Z").match
_COUNTRY = re.compile(r"[A-Za-z]{2}\Z").match
_BOOLEANS = {"true": True, "false": False}
_ZONES = {zone.lower(): zone for zone in available_timezones()}


class WrongValue(ValueError):
    """The value does not fit its field; the message says why."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What an attribute's values may be. `allowed` None: any text."""

    kind: AttributeType
    allowed: frozenset[str] | None = None


def is_attribute_name(name: str) -> bool:
    """Letters (of any script), digits and underscores; not a digit first; at most 63."""
    return bool(_ATTRIBUTE_NAME(name))


def language(text: str) -> str:
    """A language tag (BCP 47). Raises WrongValue."""
    match = _LANGUAGE(text)
    if match is None:
        raise WrongValue(f"{text[:40]!r} is not a language tag, like fa or ar-EG")
    return match[1].lower() + match[2].replace("_", "-")


def country(text: str) -> str:
    """A country's two letters (ISO 3166-1). Raises WrongValue."""
    if not _COUNTRY(text):
        raise WrongValue(f"{text[:40]!r} is not a country's two letters, like IR")
    return text.upper()


def timezone(text: str) -> str:
    """A time zone's IANA name. Raises WrongValue."""
    zone = _ZONES.get(text.lower())
    if zone is None:
        raise WrongValue(f"{text[:60]!r} is not a time zone's name, like Asia/Tehran")
    return zone


def stage(text: str) -> str:
    """A lifecycle stage, in any case and with any separator. Raises WrongValue."""
    name = re.sub(r"\W+", "_", text.strip().lower())
    name = _STAGE_NAMES.get(name, name)
    if name not in STAGES:
        raise WrongValue(f"{text[:40]!r} is not a stage; one of {', '.join(STAGES)}")
    return name


def detect(text: str) -> AttributeType:
    """The narrowest type whose written form this is; the forms of two types never overlap."""
    if _NUMBER(text):
        return "number"
    if _is_date(text):
        return "date"
    return "boolean" if text.lower() in _BOOLEANS else "text"


def written_as(kind: AttributeType, text: str) -> bool:
    """Whether a text is a written form of the type."""
    return kind == "text" or detect(text) == kind


def attribute(name: str, defined: Definition, value: Any) -> Any:
    """A value as JSON stores it. Raises WrongValue."""
    match defined.kind:
        case "number" if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "date" if isinstance(value, str) and _is_date(value):
            return value
        case "text" if isinstance(value, str):
            if len(value) > TEXT_CHARACTERS or "\x00" in value:
                raise WrongValue(f"attributes.{name} is longer than {TEXT_CHARACTERS} characters or contains a NUL")
            check_allowed(name, defined.allowed, value)
            return value
    raise WrongValue(f"attributes.{name} is not a {defined.kind}")


def check_allowed(name: str, allowed: frozenset[str] | None, text: str) -> None:
    """Raises WrongValue for a text that the attribute may not have."""
    if allowed is not None and text not in allowed:
        some = ", ".join(sorted(allowed)[:20])
        raise WrongValue(f"attributes.{name} may not be {text[:60]!r}; one of {some}")


def attributes(defined: Mapping[str, Definition], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check given attributes against their definitions; None means: take it away. Raises WrongValue, KeyError."""
    return {name: None if value is None else attribute(name, defined[name], value) for name, value in given.items()}


def _is_date(text: str) -> bool:
    if not _DATE(text):
        return False
    try:
        if len(text) == 10:
            date.fromisoformat(text)
        else:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
