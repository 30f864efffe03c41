"""A rule bound to a workspace: every field known, every operator allowed for its type, every value of that type."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID

from common.contracts.addresses import InvalidAddress, normalise_address
from common.ids import purpose_id

from contacts.domain import segment_rules as rules
from contacts.errors import InvalidRule

Kind = Literal["text", "number", "boolean", "time", "date", "tags", "consent"]
Place = Literal["column", "attribute", "indexed", "tags", "consent"]
Value: TypeAlias = str | float | bool | datetime | date | timedelta | list[str] | list[float] | None

COLUMNS: Mapping[str, Kind] = {
    "email": "text",
    "first_name": "text",
    "last_name": "text",
    "language": "text",
    "country": "text",
    "timezone": "text",
    "external_id": "text",
    "created_at": "time",
    "score": "number",
    "stage": "text",
    "tags": "tags",
    "consent": "consent",
}
_TIME = ("gt", "gte", "lt", "lte", "within", "not_within", "exists", "not_exists")
OPERATORS: Mapping[Kind, tuple[str, ...]] = {
    "text": (
        "eq", "neq", "in", "not_in", "contains", "not_contains", "starts_with", "ends_with", "exists", "not_exists",
    ),
    "number": ("eq", "neq", "in", "not_in", "gt", "gte", "lt", "lte", "exists", "not_exists"),
    "boolean": ("eq", "neq", "exists", "not_exists"),
    "time": _TIME,
    "date": ("eq", "neq", *_TIME),
    "tags": ("contains", "not_contains", "contains_any", "contains_all", "exists", "not_exists"),
    "consent": ("eq", "neq", "in", "not_in"),
}  # fmt: skip
CONSENTS = ("subscribed", "unsubscribed", "pending", "none")
_NONE, _DAY = timedelta(), timedelta(days=1)
# From the day compared with: the first day asked for, and the day after the last.
_DAYS: Mapping[str, tuple[timedelta | None, timedelta | None]] = {
    "eq": (_NONE, _DAY),
    "gt": (_DAY, None),
    "gte": (_NONE, None),
    "lt": (None, _NONE),
    "lte": (None, _DAY),
}
RELATIVE = ("within",)  # operators whose answer changes with the time
NEWSLETTER = "newsletter"

# What the negative operators deny; somebody without a value is what they look for as well.
_DENIES = {
    "neq": "eq",
    "not_in": "in",
    "not_contains": "contains",
    "not_within": "within",
    "not_exists": "exists",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """A defined attribute: `indexed` ones are looked up in their side table."""

    name: str
    kind: Kind
    indexed: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """A field compared with a value of its type; false where the contact has no value."""

    place: Place
    name: str
    kind: Kind
    op: str
    value: Value = None
    purpose: UUID | None = None


@dataclass(frozen=True, slots=True)
class OnList:
    """The contact is on the list."""

    list_id: UUID


@dataclass(frozen=True, slots=True)
class Happened:
    """The event happened at least `times` times (≥ 1)."""

    event: str
    times: int
    within: timedelta | None
    campaign_id: UUID | None
    machine: bool


@dataclass(frozen=True, slots=True)
class Every:
    """All hold."""

    parts: "tuple[Bound, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """At least one holds."""

    parts: "tuple[Bound, ...]"


@dataclass(frozen=True, slots=True)
class Deny:
    """It does not hold."""

    part: "Bound"


Leaf: TypeAlias = Compare | OnList | Happened
Bound: TypeAlias = Leaf | Every | Some | Deny


def bind(rule: rules.Rule, attributes: Mapping[str, Attribute], workspace_id: UUID, pointer: str = "/rule") -> Bound:
    """Check a rule against the workspace's attributes. Raises InvalidRule."""
    match rule:
        case rules.AllOf():
            parts = (bind(p, attributes, workspace_id, f"{pointer}/all/{i}") for i, p in enumerate(rule.all))
            return Every(tuple(parts))
        case rules.AnyOf():
            parts = (bind(p, attributes, workspace_id, f"{pointer}/any/{i}") for i, p in enumerate(rule.any))
            return Some(tuple(parts))
        case rules.Not():
            return Deny(bind(rule.not_, attributes, workspace_id, f"{pointer}/not"))
        case rules.ListCondition():
            on_list = OnList(rule.list)
            return on_list if rule.op == "member" else Deny(on_list)
        case rules.EventCondition():
            return _bind_event(rule, pointer)
        case rules.FieldCondition():
            return _bind_field(rule, attributes, workspace_id, pointer)


def days(rule: Compare, now: datetime) -> tuple[date | None, date | None]:
    """What a comparison of dates asks for, as first day and the day after the last.

    Dates are kept as they were written (2026-03-21, perhaps with a time), which sort as text.
    """
    if isinstance(rule.value, timedelta):
        return (now - rule.value).date(), now.date() + _DAY
    if not isinstance(rule.value, date):
        return None, None
    first, end = _DAYS[rule.op]
    day = rule.value
    return None if first is None else day + first, None if end is None else day + end


def _bind_event(rule: rules.EventCondition, pointer: str) -> Bound:
    if rule.op == "never":
        if rule.value is not None:
            raise InvalidRule("never takes no value", mend="remove it", pointer=f"{pointer}/value")
        count = 0
    elif rule.value is None:
        raise InvalidRule(f"{rule.op} needs a number", mend="add value", pointer=f"{pointer}/value")
    else:
        count = rule.value
    within = rules.duration(rule.within) if rule.within else None

    def at_least(times: int) -> Bound:
        if times == 0:
            return Every(())
        return Happened(rule.event, times, within, rule.campaign_id, rule.machine)

    if rule.op == "at_least":
        return at_least(count)
    at_most = Deny(at_least(count + 1))
    return at_most if rule.op in ("at_most", "never") or count == 0 else Every((at_least(count), at_most))


def _bind_field(
    rule: rules.FieldCondition, attributes: Mapping[str, Attribute], workspace_id: UUID, pointer: str
) -> Bound:
    place, name, kind = _field(rule.field, attributes, pointer)
    allowed = OPERATORS[kind]
    if rule.op not in allowed:
        raise InvalidRule(
            f"operator {rule.op!r} is not known for {rule.field} ({kind})",
            mend=f"one of {', '.join(allowed)}",
            pointer=f"{pointer}/op",
            allowed=list(allowed),
        )
    if rule.purpose is not None and kind != "consent":
        raise InvalidRule("only the field consent has a purpose", mend="remove it", pointer=f"{pointer}/purpose")
    purpose = purpose_id(workspace_id, rule.purpose or NEWSLETTER) if kind == "consent" else None
    op = _DENIES.get(rule.op, rule.op)
    value = _value(rule, name, kind, op, f"{pointer}/value")
    compare = Compare(place, name, kind, op, value, purpose)
    return Deny(compare) if op != rule.op else compare


def _field(field: str, attributes: Mapping[str, Attribute], pointer: str) -> tuple[Place, str, Kind]:
    if field in COLUMNS:
        kind = COLUMNS[field]
        place: Place = "tags" if kind == "tags" else "consent" if kind == "consent" else "column"
        return place, field, kind
    prefix, _, name = field.partition(".")
    if prefix == "attributes" and name in attributes:
        attribute = attributes[name]
        return "indexed" if attribute.indexed else "attribute", name, attribute.kind
    allowed = [*COLUMNS, *(f"attributes.{name}" for name in sorted(attributes))]
    raise InvalidRule(
        f"field {field!r} is not known",
        mend="name a field of the contact, or define the attribute first (POST /v1/attributes)",
        pointer=f"{pointer}/field",
        allowed=allowed[:200],
    )


def _value(rule: rules.FieldCondition, name: str, kind: Kind, op: str, pointer: str) -> Value:
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
    if op == "within":
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
