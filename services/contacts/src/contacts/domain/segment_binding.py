"""A rule bound to a workspace: every field known, every operator allowed for its type, every value of that type."""

from calendar import isleap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import md5
from types import MappingProxyType
from typing import Literal, TypeAlias
from uuid import UUID

from common.ids import purpose_id

from contacts.domain import segment_rules as rules
from contacts.domain.segment_values import Kind, Value, value_of
from contacts.domain.values import AttributeType
from contacts.errors import InvalidRule

Place = Literal["column", "attribute", "indexed", "tags", "consent", "money"]
Events = Mapping[str, Mapping[str, AttributeType]]  # name → property → type

COLUMNS: Mapping[str, Kind] = {
    "email": "text",
    "first_name": "text",
    "last_name": "text",
    "language": "text",
    "country": "text",
    "timezone": "text",
    "external_id": "text",
    "phone": "text",
    "company": "text",
    "city": "text",
    "owner": "text",
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
    "date": ("eq", "neq", *_TIME, "within_next", "not_within_next", "anniversary", "not_anniversary"),
    "tags": ("contains", "not_contains", "contains_any", "contains_all", "exists", "not_exists"),
    "consent": ("eq", "neq", "in", "not_in"),
}  # fmt: skip
_NONE, _DAY = timedelta(), timedelta(days=1)
# From the day compared with: the first day asked for, and the day after the last.
_DAYS: Mapping[str, tuple[timedelta | None, timedelta | None]] = {
    "eq": (_NONE, _DAY),
    "gt": (_DAY, None),
    "gte": (_NONE, None),
    "lt": (None, _NONE),
    "lte": (None, _DAY),
}
NEWSLETTER = "newsletter"

# What the negative operators deny; somebody without a value is what they look for as well.
_DENIES = {
    "neq": "eq",
    "not_in": "in",
    "not_contains": "contains",
    "not_within": "within",
    "not_within_next": "within_next",
    "not_anniversary": "anniversary",
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
    currency: str = ""


@dataclass(frozen=True, slots=True)
class OnList:
    """The contact is on the list."""

    list_id: UUID


@dataclass(frozen=True, slots=True)
class Property:
    """What a property of an event must be; denied, what it must not be."""

    test: Compare
    denied: bool


@dataclass(frozen=True, slots=True)
class Happened:
    """The event happened at least `times` times (≥ 1). `where`: what its properties must be to count."""

    event: str
    times: int
    within: timedelta | None
    campaign_id: UUID | None
    machine: bool
    where: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True)
class InBucket:
    """The contact is dealt into one of these of `of` equal parts."""

    salt: str
    of: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class InSnapshot:
    """The contact was inside when the snapshot was taken."""

    snapshot_id: UUID


@dataclass(frozen=True, slots=True)
class Named:
    """The rule of another segment holds, as it is now."""

    segment_id: UUID
    part: "Bound"


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


Leaf: TypeAlias = Compare | OnList | Happened | InBucket | InSnapshot
Bound: TypeAlias = Leaf | Every | Some | Deny | Named


def bind(
    rule: rules.Rule,
    attributes: Mapping[str, Attribute],
    workspace_id: UUID,
    pointer: str = "/rule",
    segments: Mapping[UUID, Bound] | None = None,
    events: Events = MappingProxyType({}),
) -> Bound:
    """Check a rule against the workspace's attributes. `segments`, `events`: those it names. Raises InvalidRule."""

    def inside(part: rules.Rule, step: object) -> Bound:
        return bind(part, attributes, workspace_id, f"{pointer}/{step}", segments, events)

    match rule:
        case rules.AllOf():
            return Every(tuple(inside(part, f"all/{i}") for i, part in enumerate(rule.all)))
        case rules.AnyOf():
            return Some(tuple(inside(part, f"any/{i}") for i, part in enumerate(rule.any)))
        case rules.Not():
            return Deny(inside(rule.not_, "not"))
        case rules.SegmentCondition():
            named = Named(rule.segment, (segments or {})[rule.segment])
            return named if rule.op == "member" else Deny(named)
        case _:
            return _bind_leaf(rule, attributes, workspace_id, pointer, events)


def _bind_leaf(
    rule: rules.Leaf, attributes: Mapping[str, Attribute], workspace_id: UUID, pointer: str, events: Events
) -> Bound:
    match rule:
        case rules.SnapshotCondition():
            inside = InSnapshot(rule.snapshot)
            return inside if rule.op == "member" else Deny(inside)
        case rules.BucketCondition():
            return _bind_bucket(rule.bucket, pointer)
        case rules.MoneyCondition():
            return _bind_money(rule, pointer)
        case rules.ListCondition():
            on_list = OnList(rule.list)
            return on_list if rule.op == "member" else Deny(on_list)
        case rules.EventCondition():
            return _bind_event(rule, pointer, events)
        case rules.FieldCondition():
            return _bind_field(rule, attributes, workspace_id, pointer)


def days(rule: Compare, now: datetime) -> tuple[date | None, date | None]:
    """What a comparison of dates asks for, as first day and the day after the last.

    Dates are kept as they were written (2026-03-21, perhaps with a time), which sort as text.
    """
    if isinstance(rule.value, timedelta):
        if rule.op == "within_next":
            return now.date(), (now + rule.value).date() + _DAY
        return (now - rule.value).date(), now.date() + _DAY
    if not isinstance(rule.value, date):
        return None, None
    first, end = _DAYS[rule.op]
    day = rule.value
    return None if first is None else day + first, None if end is None else day + end


def anniversaries(rule: Compare, now: datetime) -> list[str]:
    """The days of a year (03-21) that a comparison asks for. Who was born on a leap day has it on 28 February too."""
    assert isinstance(rule.value, timedelta)  # noqa: S101
    first = now.date()
    wanted = [first + timedelta(days=n) for n in range(min(((now + rule.value).date() - first).days, 366) + 1)]
    found = {day.isoformat()[5:] for day in wanted}
    leap = any((day.month, day.day) == (2, 28) and not isleap(day.year) for day in wanted)
    return sorted(found | {"02-29"}) if leap else sorted(found)


def bucket_of(salt: str, of: int, contact_id: UUID) -> int:
    """Which part a contact is dealt into; SQL reckons the same."""
    return int(md5(f"{salt}:{contact_id}".encode(), usedforsecurity=False).hexdigest()[:8], 16) % of


def _bind_event(rule: rules.EventCondition, pointer: str, events: Events) -> Bound:
    where = _bind_where(rule, pointer, events)
    if rule.op in ("never", "last_within", "last_not_within"):
        if rule.value is not None:
            raise InvalidRule(f"{rule.op} takes no value", mend="remove it", pointer=f"{pointer}/value")
        count = 0
    elif rule.value is None:
        raise InvalidRule(f"{rule.op} needs a number", mend="add value", pointer=f"{pointer}/value")
    else:
        count = rule.value
    within = rules.duration(rule.within) if rule.within else None

    def at_least(times: int) -> Bound:
        if times == 0:
            return Every(())
        return Happened(rule.event, times, within, rule.campaign_id, rule.machine, where)

    if rule.op in ("last_within", "last_not_within"):
        if within is None:
            raise InvalidRule(f"{rule.op} needs a span", mend="add within, e.g. 30d", pointer=f"{pointer}/within")
        if rule.op == "last_within":
            return at_least(1)
        return Every((Happened(rule.event, 1, None, rule.campaign_id, rule.machine, where), Deny(at_least(1))))
    if rule.op == "at_least":
        return at_least(count)
    at_most = Deny(at_least(count + 1))
    return at_most if rule.op in ("at_most", "never") or count == 0 else Every((at_least(count), at_most))


def _bind_where(rule: rules.EventCondition, pointer: str, events: Events) -> tuple[Property, ...]:
    types = {} if rule.event in rules.EVENTS else events.get(rule.event)
    if types is None:
        allowed = [*rules.EVENTS, *sorted(events)]
        raise InvalidRule(
            f"{rule.event!r} is not known here",
            mend=f"one of {', '.join(allowed[:20])}, or define it first (POST /v1/events/definitions)",
            pointer=f"{pointer}/event",
            allowed=allowed[:200],
        )
    bound = []
    for n, test in enumerate(rule.where):
        at = f"{pointer}/where/{n}"
        if test.property not in types:
            raise InvalidRule(
                f"{rule.event} has no property {test.property!r}",
                mend=f"one of {', '.join(sorted(types))}" if types else "remove it; this event has none",
                pointer=f"{at}/property",
                allowed=sorted(types),
            )
        named = rules.FieldCondition(field=f"properties.{test.property}", op=test.op, value=test.value)
        compared, denied = _compared(named, "attribute", test.property, types[test.property], at)
        bound.append(Property(compared, denied))
    return tuple(bound)


def _bind_bucket(share: rules.Share, pointer: str) -> Bound:
    if not share.from_ < share.to <= share.of:
        raise InvalidRule(
            f"no part lies from {share.from_} up to {share.to} of {share.of}",
            mend="from is less than to, and to is of at most",
            pointer=f"{pointer}/bucket",
        )
    return InBucket(share.salt, share.of, share.from_, share.to)


def _bind_money(rule: rules.MoneyCondition, pointer: str) -> Bound:
    kind: Kind = "time" if rule.money == "last_at" else "number"
    named = rules.FieldCondition(field=f"money.{rule.money}", op=rule.op, value=rule.value)
    return _compare(named, "money", rule.money, kind, pointer, currency=rule.currency)


def _bind_field(
    rule: rules.FieldCondition, attributes: Mapping[str, Attribute], workspace_id: UUID, pointer: str
) -> Bound:
    place, name, kind = _field(rule.field, attributes, pointer)
    if rule.purpose is not None and kind != "consent":
        raise InvalidRule("only the field consent has a purpose", mend="remove it", pointer=f"{pointer}/purpose")
    purpose = purpose_id(workspace_id, rule.purpose or NEWSLETTER) if kind == "consent" else None
    return _compare(rule, place, name, kind, pointer, purpose)


def _compare(
    rule: rules.FieldCondition,
    place: Place,
    name: str,
    kind: Kind,
    pointer: str,
    purpose: UUID | None = None,
    currency: str = "",
) -> Bound:
    compare, denied = _compared(rule, place, name, kind, pointer, purpose, currency)
    return Deny(compare) if denied else compare


def _compared(
    rule: rules.FieldCondition,
    place: Place,
    name: str,
    kind: Kind,
    pointer: str,
    purpose: UUID | None = None,
    currency: str = "",
) -> tuple[Compare, bool]:
    """And whether it is denied."""
    allowed = OPERATORS[kind]
    if rule.op not in allowed:
        raise InvalidRule(
            f"operator {rule.op!r} is not known for {rule.field} ({kind})",
            mend=f"one of {', '.join(allowed)}",
            pointer=f"{pointer}/op",
            allowed=list(allowed),
        )
    op = _DENIES.get(rule.op, rule.op)
    value = value_of(rule, name, kind, op, f"{pointer}/value")
    return Compare(place, name, kind, op, value, purpose, currency), op != rule.op


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
