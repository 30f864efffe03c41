"""The values that a rule compares fields with: each of its field's type, and as it is stored."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, TypeAlias

from common.contracts.addresses import InvalidAddress, normalise_address

from contacts.domain import segment_rules as rules
from contacts.domain.phones import normalise as normalise_phone
from contacts.errors import InvalidRule

Kind = Literal["text", "number", "boolean", "time", "date", "tags", "consent"]
Value: TypeAlias = str | float | bool | datetime | date | timedelta | list[str] | list[float] | None

CONSENTS = ("subscribed", "unsubscribed", "pending", "none")
RELATIVE = ("within", "within_next", "anniversary")  # operators whose answer changes with the time


def value_of(rule: rules.FieldCondition, name: str, kind: Kind, op: str, pointer: str) -> Value:
    """What the field is compared with, in its type and as it is stored. Raises InvalidRule."""
    value = rule.value
    if op == "exists":
        if value is not None:
            raise InvalidRule(f"{rule.op} takes no value", mend="remove it", pointer=pointer)
        return None
    if op in ("in", "contains_any", "contains_all"):
        if not isinstance(value, list):
            raise _wrong(rule, "a list", pointer)
        many: Any = [_one(rule, name, kind, op, item, f"{pointer}/{index}") for index, item in enumerate(value)]
        return many  # type: ignore[no-any-return]  # all of one type: `kind` decides it
    if value is None or isinstance(value, list):
        raise _wrong(rule, "one value", pointer)
    if op == "anniversary" and value == "today":
        return timedelta()
    if op in RELATIVE:
        try:
            return rules.duration(value if isinstance(value, str) else "")
        except ValueError:
            raise _wrong(rule, "a span such as 36h or 30d", pointer) from None
    return _one(rule, name, kind, op, value, pointer)


def _one(rule: rules.FieldCondition, name: str, kind: Kind, op: str, value: object, pointer: str) -> Value:
    match kind, value:
        case "text", str() if value:
            return _as_stored(name, value) if op in ("eq", "in") else value
        case "tags", str() if value:
            return value
        case "consent", str() if value in CONSENTS:
            return value
        case "consent", _:
            raise _wrong(rule, f"one of {', '.join(CONSENTS)}", pointer)
        case "boolean", bool():
            return value
        case "number", int() | float() if not isinstance(value, bool) and abs(value) < 1e15:
            return float(value)
        case (("time" | "date"), str()):
            moment = _moment(value, kind)
            if moment is not None:
                return moment
    if value == "":
        raise InvalidRule(
            f"{rule.field} is compared with an empty text",
            mend="use exists or not_exists to ask whether there is a value",
            pointer=pointer,
        )
    nouns = {
        "number": "a number",
        "boolean": "true or false",
        "time": "a time (RFC 3339)",
        "date": "a date (2026-03-21)",
    }
    raise _wrong(rule, nouns.get(kind, "a text"), pointer)


def _as_stored(name: str, value: str) -> str:
    if name == "country":
        return value.upper()
    if name == "phone":
        return normalise_phone(value, None) or value
    if name != "email":
        return value
    try:
        return normalise_address(value)
    except InvalidAddress:
        return value


def _moment(value: str, kind: Kind) -> datetime | date | None:
    try:
        if kind == "date":
            return _in_range(date.fromisoformat(value))
        moment = datetime.fromisoformat(value)
        _in_range(moment)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_range(day: date) -> date:
    if not 1000 <= day.year <= 9000:
        raise ValueError("the database and the calendar of Python end near there")
    return day


def _wrong(rule: rules.FieldCondition, expected: str, pointer: str) -> InvalidRule:
    return InvalidRule(f"{rule.field} {rule.op} needs {expected}", mend=f"give {expected}", pointer=pointer)
