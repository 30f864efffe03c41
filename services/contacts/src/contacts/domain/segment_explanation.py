"""Why a rule holds for a contact, or does not: each condition with its verdict, what it says, and what it saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, assert_never
from uuid import UUID

from contacts.domain import segment_binding as bound
from contacts.domain.segment_evaluation import Person, count, holds, value_of

_OPS: Mapping[str, str] = {
    "eq": "is",
    "in": "is one of",
    "contains": "contains",
    "contains_any": "contains any of",
    "contains_all": "contains all of",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "within": "lies in the last",
    "within_next": "lies in the next",
}
_TIMES: Mapping[str, str] = {"gt": "is after", "gte": "is from", "lt": "is before", "lte": "is until"}
_EVENTS: Mapping[str, str] = {
    "email.sent": "was sent a mail",
    "email.opened": "opened a mail",
    "email.clicked": "clicked in a mail",
    "email.bounced": "had a mail returned",
    "email.complained": "complained of a mail",
    "email.replied": "answered a mail",
}
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Explained:
    """One condition of a rule, and those it is made of."""

    holds: bool
    says: str
    saw: Any = None
    parts: "Sequence[Explained]" = ()


def explain(rule: bound.Bound, person: Person, now: datetime, names: Mapping[UUID, str]) -> Explained:
    """The rule's verdict about the person. `names`: of the lists and segments it names."""
    match rule:
        case bound.Every():
            parts = [explain(part, person, now, names) for part in rule.parts]
            says = "all of these hold" if parts else "holds for everybody"
            return Explained(all(part.holds for part in parts), says, None, parts)
        case bound.Some():
            parts = [explain(part, person, now, names) for part in rule.parts]
            return Explained(any(part.holds for part in parts), "at least one of these holds", None, parts)
        case bound.Deny():
            inner = explain(rule.part, person, now, names)
            return Explained(not inner.holds, "this does not hold", None, [inner])
        case bound.Named():
            inner = explain(rule.part, person, now, names)
            return Explained(inner.holds, f"the rule of the segment {_name(rule.segment_id, names)}", None, [inner])
        case _:
            return Explained(holds(rule, person, now), _says(rule, names), _saw(rule, person, now))


def _says(leaf: bound.Leaf, names: Mapping[UUID, str]) -> str:
    match leaf:
        case bound.OnList():
            return f"is on the list {_name(leaf.list_id, names)}"
        case bound.InSnapshot():
            return f"was inside when the snapshot {_name(leaf.snapshot_id, names)} was taken"
        case bound.InBucket():
            return f"is dealt into the parts {leaf.first} to {leaf.end - 1} of {leaf.of} by {leaf.salt!r}"
        case bound.Happened():
            words = _EVENTS.get(leaf.event, f"did {leaf.event}")
            words += f" of the campaign {leaf.campaign_id}" if leaf.campaign_id else ""
            words += "" if leaf.times == 1 else f" at least {leaf.times} times"
            words += f" in the last {_span(leaf.within)}" if leaf.within else ""
            words += f" where {' and '.join(map(_property, leaf.where))}" if leaf.where else ""
            return words + (", machines included" if leaf.machine else "")
        case bound.Compare():
            return _comparison(leaf)
        case _:
            assert_never(leaf)


def _comparison(leaf: bound.Compare) -> str:
    subject = leaf.name
    if leaf.place == "money":
        subject = f"{leaf.name} of conversions in {leaf.currency}"
    if leaf.op == "exists":
        return f"{subject} has a value"
    if leaf.op == "anniversary":
        when = "today" if not leaf.value else f"in the next {_shown(leaf.value)}"
        return f"{subject} has its anniversary {when}"
    words = _OPS[leaf.op]
    if leaf.kind in ("time", "date"):
        words = _TIMES.get(leaf.op, words)
    return f"{subject} {words} {_shown(leaf.value)}"


def _property(one: bound.Property) -> str:
    said = _comparison(one.test)
    return f"not ({said})" if one.denied else said


def _saw(leaf: bound.Leaf, person: Person, now: datetime) -> Any:
    match leaf:
        case bound.OnList():
            return leaf.list_id in person.lists
        case bound.InSnapshot():
            return leaf.snapshot_id in person.snapshots
        case bound.InBucket():
            return bound.bucket_of(leaf.salt, leaf.of, person.id)
        case bound.Happened():
            return count(leaf, person, now)
        case bound.Compare():
            return value_of(leaf, person)
        case _:
            assert_never(leaf)


def _name(one: UUID, names: Mapping[UUID, str]) -> str:
    return f"“{names[one]}”" if one in names else str(one)


def _span(span: timedelta) -> str:
    hours = int(span.total_seconds() // 3600)
    amount, unit = (hours // 24, "day") if hours % 24 == 0 else (hours, "hour")
    return f"{amount} {unit}" if amount == 1 else f"{amount} {unit}s"


def _shown(value: Any) -> str:
    match value:
        case list():
            shown = ", ".join(_shown(one) for one in value[:_MOST_SHOWN])
            return shown if len(value) <= _MOST_SHOWN else f"{shown} and {len(value) - _MOST_SHOWN} more"
        case bool():
            return "true" if value else "false"
        case timedelta():
            return _span(value)
        case date():
            return value.isoformat()
        case float():
            return f"{value:g}"
        case _:
            return f"“{value}”"
