"""What a bound rule looks at: the names under which changes are noted, and the clock."""

from collections.abc import Iterator
from typing import assert_never
from uuid import UUID

from contacts.domain import segment_binding as bound
from contacts.domain.segment_values import RELATIVE

EVERYTHING = "*"


def leaves(rule: bound.Bound) -> Iterator[bound.Leaf]:
    """Every condition of the rule that is not made of others."""
    match rule:
        case bound.Every() | bound.Some():
            for part in rule.parts:
                yield from leaves(part)
        case bound.Deny() | bound.Named():
            yield from leaves(rule.part)
        case _:
            yield rule


def mentions(rule: bound.Bound) -> set[str]:
    """The names of what the rule looks at, as `segment_touched` has them."""
    return {name for leaf in leaves(rule) if (name := _name(leaf)) is not None}


def named(rule: bound.Bound) -> set[UUID]:
    """The lists, snapshots and segments that the rule names, straight or through other segments."""
    match rule:
        case bound.Every() | bound.Some():
            return {one for part in rule.parts for one in named(part)}
        case bound.Deny():
            return named(rule.part)
        case bound.Named():
            return {rule.segment_id, *named(rule.part)}
        case bound.OnList():
            return {rule.list_id}
        case bound.InSnapshot():
            return {rule.snapshot_id}
        case _:
            return set()


def timed(rule: bound.Bound) -> bool:
    """Whether contacts enter and leave by time alone."""
    return any(looks_at_clock(leaf) for leaf in leaves(rule))


def looks_at_clock(leaf: bound.Leaf) -> bool:
    """Whether the condition may change with nothing but the time."""
    match leaf:
        case bound.Happened():
            return leaf.within is not None or follows_clock(leaf)
        case bound.Compare():
            return leaf.op in RELATIVE
        case _:
            return False


def follows_clock(leaf: bound.Happened) -> bool:
    """Whether what the event's properties must be depends on the time."""
    return any(one.test.op in RELATIVE for one in leaf.where)


def _name(leaf: bound.Leaf) -> str | None:
    match leaf:
        case bound.Happened():
            return leaf.event
        case bound.OnList():
            return f"list:{leaf.list_id}"
        case bound.InBucket() | bound.InSnapshot():
            return None
        case bound.Compare() if leaf.place == "money":
            return "money"
        case bound.Compare():
            return f"attributes.{leaf.name}" if leaf.place in ("attribute", "indexed") else leaf.name
        case _:
            assert_never(leaf)
