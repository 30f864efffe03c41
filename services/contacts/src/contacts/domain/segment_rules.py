"""The rule tree of a segment as callers write it: shapes, limits, and errors that say where and how to mend.

A rule only becomes usable when it is bound to a workspace's attributes (`segment_binding`).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    TypeAdapter,
    ValidationError,
)

from contacts.errors import InvalidRule

MAX_DEPTH = 8
MAX_CONDITIONS = 100
MAX_VALUES = 1000
MAX_TEXT = 400  # less than the side table of indexed values keeps of a value

SHAPES = ("all", "any", "not", "field", "list", "event", "money", "bucket", "segment", "snapshot")
EVENTS = ("email.sent", "email.opened", "email.clicked", "email.bounced", "email.complained", "email.replied")

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
_WITHIN = re.compile(r"^([1-9][0-9]{0,3})(h|d)$")


class _Node(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AllOf(_Node):
    """Every condition holds. An empty list holds for everybody."""

    all: list["Rule"]


class AnyOf(_Node):
    """At least one condition holds."""

    any: Annotated[list["Rule"], Field(min_length=1)]


class Not(_Node):
    """The condition does not hold; so somebody without a value is in `not equal`."""

    not_: Annotated["Rule", Field(alias="not")]


class FieldCondition(_Node):
    """A field of the contact compared with a value; `purpose` belongs to the field `consent` alone."""

    field: Annotated[StrictStr, Field(max_length=120)]
    op: StrictStr
    value: Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=MAX_VALUES)] | None = None
    purpose: Annotated[StrictStr, Field(min_length=1, max_length=100)] | None = None


class ListCondition(_Node):
    """The contact is on a list, or is not."""

    list: UUID
    op: Literal["member", "not_member"] = "member"


class PropertyCondition(_Node):
    """A property of an event compared with a value of its type; negative operators hold where it has none."""

    property: Annotated[StrictStr, Field(max_length=63)]
    op: StrictStr
    value: Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=MAX_VALUES)] | None = None


class EventCondition(_Node):
    """How often something happened to the contact, or when last. Machines' opens and clicks count only if asked for.

    The event is one of Barid's own (email.sent, email.opened, email.clicked, email.bounced, email.complained,
    email.replied), or one that is defined; of those, `where` may say which count: all its conditions hold for them.
    `last_not_within`: it did happen, but not lately.
    """

    event: Annotated[StrictStr, Field(max_length=170)]
    op: Literal["at_least", "at_most", "exactly", "never", "last_within", "last_not_within"]
    value: Annotated[StrictInt, Field(ge=0, le=10_000)] | None = None
    within: Annotated[StrictStr, Field(pattern=_WITHIN.pattern)] | None = None
    campaign_id: UUID | None = None
    machine: StrictBool = False
    where: Annotated[list[PropertyCondition], Field(max_length=10)] = []


class MoneyCondition(_Node):
    """What the contact's conversions in one currency come to: how many, how much, and when the last one was."""

    money: Literal["conversions", "total", "last_at"]
    currency: Annotated[StrictStr, Field(pattern=r"^[A-Z]{3}$")]
    op: StrictStr
    value: Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=MAX_VALUES)] | None = None


class Share(_Node):
    """Which of `of` equal parts, `from` up to but without `to`; another salt deals people anew."""

    salt: Annotated[StrictStr, Field(min_length=1, max_length=100)]
    of: Annotated[StrictInt, Field(ge=2, le=10_000)] = 100
    from_: Annotated[StrictInt, Field(ge=0, alias="from")] = 0
    to: Annotated[StrictInt, Field(ge=1)]


class BucketCondition(_Node):
    """The contact is in this random share of all; the same ones for ever. Denied it is a hold-out."""

    bucket: Share


class SegmentCondition(_Node):
    """The rule of another segment holds for the contact, or does not."""

    segment: UUID
    op: Literal["member", "not_member"] = "member"


class SnapshotCondition(_Node):
    """The contact was in a segment when its snapshot was taken, or was not."""

    snapshot: UUID
    op: Literal["member", "not_member"] = "member"


def _shape(value: Any) -> str | None:
    if isinstance(value, _Node):
        return next((name.rstrip("_") for name in type(value).model_fields if name.rstrip("_") in SHAPES), None)
    if not isinstance(value, Mapping):
        return None
    found = [name for name in SHAPES if name in value]
    return f"<{found[0]}>" if len(found) == 1 else None


Leaf = FieldCondition | ListCondition | EventCondition | MoneyCondition | BucketCondition | SnapshotCondition
Rule = Annotated[
    Annotated[AllOf, Tag("<all>")]
    | Annotated[AnyOf, Tag("<any>")]
    | Annotated[Not, Tag("<not>")]
    | Annotated[FieldCondition, Tag("<field>")]
    | Annotated[ListCondition, Tag("<list>")]
    | Annotated[EventCondition, Tag("<event>")]
    | Annotated[MoneyCondition, Tag("<money>")]
    | Annotated[BucketCondition, Tag("<bucket>")]
    | Annotated[SegmentCondition, Tag("<segment>")]
    | Annotated[SnapshotCondition, Tag("<snapshot>")],
    Discriminator(_shape),
]
RULE: TypeAdapter[Rule] = TypeAdapter(Rule)


def parse_rule(document: Any, pointer: str = "/rule") -> Rule:
    """The rule tree of a JSON document. Raises InvalidRule with a JSON pointer (RFC 6901)."""
    _check_size(document, pointer)
    try:
        return RULE.validate_python(document)
    except ValidationError as error:
        raise _explain(error, document, pointer) from None


def duration(text: str) -> timedelta:
    """`36h` or `30d`. Raises ValueError."""
    found = _WITHIN.match(text)
    if found is None:
        raise ValueError("a span is a whole number and h or d, for instance 36h or 30d")
    amount = int(found[1])
    return timedelta(hours=amount) if found[2] == "h" else timedelta(days=amount)


def referenced_lists(rule: Rule) -> set[UUID]:
    """The lists that the rule names."""
    return {node.list for node in walk(rule) if isinstance(node, ListCondition)}


def referenced_events(rule: Rule) -> set[str]:
    """The events that the rule names and that are not Barid's own."""
    return {node.event for node in walk(rule) if isinstance(node, EventCondition)} - set(EVENTS)


def referenced_segments(rule: Rule) -> set[UUID]:
    """The segments that the rule names."""
    return {node.segment for node in walk(rule) if isinstance(node, SegmentCondition)}


def referenced_snapshots(rule: Rule) -> set[UUID]:
    """The snapshots that the rule names."""
    return {node.snapshot for node in walk(rule) if isinstance(node, SnapshotCondition)}


def walk(rule: Rule) -> Iterator[Rule]:
    """Every node of the tree."""
    yield rule
    children = rule.all if isinstance(rule, AllOf) else rule.any if isinstance(rule, AnyOf) else ()
    for child in (rule.not_,) if isinstance(rule, Not) else children:
        yield from walk(child)


def escape(part: object) -> str:
    """One step of a JSON pointer."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _check_size(document: Any, pointer: str) -> None:
    """Before anything recurses: depth, number of conditions, and characters the database cannot hold."""
    conditions = 0
    stack = [(document, pointer, 1)]
    while stack:
        node, where, depth = stack.pop()
        if isinstance(node, Mapping):
            conditions += 1
            if depth > MAX_DEPTH:
                raise InvalidRule(
                    f"the rule is nested deeper than {MAX_DEPTH} levels",
                    mend="put conditions that belong together side by side in one all or any",
                    pointer=where,
                )
            if conditions > MAX_CONDITIONS:
                raise InvalidRule(
                    f"the rule has more than {MAX_CONDITIONS} conditions",
                    mend="use op in with a list of values, or a list of contacts",
                    pointer=where,
                )
            stack.extend((value, f"{where}/{escape(name)}", depth + 1) for name, value in node.items())
        elif isinstance(node, list):
            if len(node) > MAX_VALUES:
                raise InvalidRule(
                    f"more than {MAX_VALUES} values", mend="make a list of contacts and name it", pointer=where
                )
            stack.extend((value, f"{where}/{index}", depth) for index, value in enumerate(node))
        elif isinstance(node, str) and len(node) > MAX_TEXT:
            raise InvalidRule(f"a text is longer than {MAX_TEXT} characters", mend="shorten it", pointer=where)
        elif isinstance(node, str) and "\x00" in node:
            raise InvalidRule("the text contains a NUL character", mend="remove it", pointer=where)


def _explain(error: ValidationError, document: Any, pointer: str) -> InvalidRule:
    first = error.errors(include_url=False)[0]
    steps: list[str | int] = []
    node: Any = document
    for step in first["loc"]:  # tags and names of union members are no part of the document
        inside = _has(node, step)
        if inside:
            node = node[step]
        if inside or (first["type"] == "missing" and step is first["loc"][-1]):
            steps.append(step)
    where = pointer + "".join(f"/{escape(step)}" for step in steps)
    kind = first["type"]
    if kind.startswith("union_tag"):
        found = sorted(name for name in SHAPES if isinstance(node, Mapping) and name in node)
        what = f"this has {' and '.join(found)} at once" if found else "this is none of the known conditions"
        return InvalidRule(
            what, mend=f"an object with exactly one of {', '.join(SHAPES)}", pointer=where, allowed=list(SHAPES)
        )
    if kind == "extra_forbidden":
        model = next((step for step in reversed(first["loc"]) if str(step).startswith("<")), "")
        names = _KEYS.get(str(model), [])
        mend = f"remove it; a condition of this kind has {', '.join(names)}"
        return InvalidRule(f"{steps[-1]!r} is not known here", mend=mend, pointer=where, allowed=names)
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(first.get("ctx", {}).get("expected", "")))
        return InvalidRule(
            f"{first['input']!r} is not known here", mend=f"one of {', '.join(allowed)}", pointer=where, allowed=allowed
        )
    if kind == "missing":
        return InvalidRule(f"{first['loc'][-1]} is missing", mend=f"add {first['loc'][-1]}", pointer=where)
    if "value" in steps and not {"<field>", "<money>", "where"}.isdisjoint(first["loc"]):
        what = "a value is a text, a number, true or false, or a list of such"
        return InvalidRule(what, mend=f"give one; a list has 1 to {MAX_VALUES}", pointer=where)
    return InvalidRule(first["msg"], mend="see the description of rules in the API's documentation", pointer=where)


def _has(node: Any, step: str | int) -> bool:
    if isinstance(node, list):
        return isinstance(step, int) and step < len(node)
    return isinstance(node, Mapping) and step in node


_MODELS: tuple[type[_Node], ...] = (
    AllOf,
    AnyOf,
    Not,
    FieldCondition,
    ListCondition,
    EventCondition,
    MoneyCondition,
    BucketCondition,
    SegmentCondition,
    SnapshotCondition,
)
_KEYS = {
    f"<{shape}>": [field.alias or name for name, field in model.model_fields.items()]
    for shape, model in zip(SHAPES, _MODELS, strict=True)
}
