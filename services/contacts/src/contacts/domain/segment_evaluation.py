"""The meaning of a rule, in plain Python: what the compiled SQL must answer, and what explains one contact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from contacts.domain import segment_binding as bound
from contacts.domain.folding import fold

_NOBODY = UUID(int=0)
_PROPERTY_TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,), "date": (str,), "number": (int, float), "boolean": (bool,),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that happened to a contact."""

    event: str
    at: datetime
    machine: bool = False
    campaign_id: UUID | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Person:
    """A contact as rules see it."""

    fields: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    lists: frozenset[UUID] = frozenset()
    consents: Mapping[UUID, str] = field(default_factory=dict)
    activity: Sequence[Activity] = ()
    id: UUID = _NOBODY
    snapshots: frozenset[UUID] = frozenset()
    money: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by currency


def holds(rule: bound.Bound, person: Person, now: datetime) -> bool:
    """Whether the rule holds for the person at this moment."""
    match rule:
        case bound.Every():
            return all(holds(part, person, now) for part in rule.parts)
        case bound.Some():
            return any(holds(part, person, now) for part in rule.parts)
        case bound.Deny():
            return not holds(rule.part, person, now)
        case bound.Named():
            return holds(rule.part, person, now)
        case _:
            return _leaf_holds(rule, person, now)


def _leaf_holds(rule: bound.Leaf, person: Person, now: datetime) -> bool:
    match rule:
        case bound.InBucket():
            return rule.first <= bound.bucket_of(rule.salt, rule.of, person.id) < rule.end
        case bound.InSnapshot():
            return rule.snapshot_id in person.snapshots
        case bound.OnList():
            return rule.list_id in person.lists
        case bound.Happened():
            return count(rule, person, now) >= rule.times
        case bound.Compare():
            return _compare(rule, person, now)
        case _:
            assert_never(rule)


def count(rule: bound.Happened, person: Person, now: datetime) -> int:
    """How often it happened, of what the condition counts."""
    return sum(
        1
        for activity in person.activity
        if activity.event == rule.event
        and (rule.machine or not activity.machine)
        and (rule.campaign_id is None or activity.campaign_id == rule.campaign_id)
        and (rule.within is None or activity.at >= now - rule.within)
        and all(_property(test, activity.properties, now) for test in rule.where)
    )


def _property(one: bound.Property, properties: Mapping[str, Any], now: datetime) -> bool:
    value = properties.get(one.test.name)
    # An event may have been told while it was defined otherwise.
    known = type(value) in _PROPERTY_TYPES[one.test.kind] and value != ""
    return one.denied != (known and _scalar(one.test, value, now))


def _compare(rule: bound.Compare, person: Person, now: datetime) -> bool:
    if rule.place == "consent":
        return _scalar(rule, value_of(rule, person), now)
    if rule.place == "tags":
        return _tags(rule, person.tags)
    value = value_of(rule, person)
    return value is not None and value != "" and _scalar(rule, value, now)


def value_of(rule: bound.Compare, person: Person) -> Any:
    """What the comparison looks at; None where the contact has no value."""
    match rule.place:
        case "money":
            return person.money.get(rule.currency, {}).get(rule.name)
        case "consent":
            return person.consents.get(rule.purpose, "none") if rule.purpose else "none"
        case "tags":
            return list(person.tags)
        case "column":
            exact = rule.name == "phone" and rule.op in ("eq", "in")
            return person.fields.get("phone_normalised" if exact else rule.name)
        case _:
            return person.attributes.get(rule.name)


def _tags(rule: bound.Compare, tags: Sequence[str]) -> bool:
    wanted: Any = rule.value
    if rule.op == "exists":
        return bool(tags)
    if rule.op == "contains":
        return wanted in tags
    return (any if rule.op == "contains_any" else all)(tag in tags for tag in wanted)


def _scalar(rule: bound.Compare, value: Any, now: datetime) -> bool:
    if rule.op == "anniversary":
        return value[5:10] in bound.anniversaries(rule, now)
    if rule.kind == "date":
        first, end = bound.days(rule, now)
        return (first is None or value >= first.isoformat()) and (end is None or value < end.isoformat())
    return bool(_TESTS[rule.op](value, rule.value, now))


_TESTS: Mapping[str, Callable[[Any, Any, datetime], bool]] = {
    "exists": lambda _value, _wanted, _now: True,
    "eq": lambda value, wanted, _now: value == wanted,
    "in": lambda value, wanted, _now: value in wanted,
    "contains": lambda value, wanted, _now: fold(wanted) in fold(value),
    "starts_with": lambda value, wanted, _now: fold(value).startswith(fold(wanted)),
    "ends_with": lambda value, wanted, _now: fold(value).endswith(fold(wanted)),
    "gt": lambda value, wanted, _now: value > wanted,
    "gte": lambda value, wanted, _now: value >= wanted,
    "lt": lambda value, wanted, _now: value < wanted,
    "lte": lambda value, wanted, _now: value <= wanted,
    "within": lambda value, wanted, now: now - wanted <= value <= now,
}
