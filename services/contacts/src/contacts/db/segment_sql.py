"""A bound rule as parameterised SQL: composed by SQLAlchemy Core, run by asyncpg.

Fields come from the allow-list of `segment_binding`, names and values are parameters. NULL counts as false:
conditions are only ever joined by AND and OR, and denied by IS NOT TRUE, so a NULL never decides anything else.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, assert_never
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BIT, JSONB
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

from contacts.db import segment_tables as tables
from contacts.db.segment_tables import View
from contacts.domain import segment_binding as bound
from contacts.domain.segment_mentions import follows_clock
from contacts.domain.segment_values import CONSENTS

Condition: TypeAlias = sa.ColumnElement[bool]
TAG = "#tag"  # tags stand in the side table under this name

_DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text with `$n` and its arguments."""

    sql: str
    args: Sequence[Any]


def statement(query: sa.ClauseElement) -> Statement:
    """The text and arguments asyncpg takes."""
    compiled = query.compile(dialect=_DIALECT)
    return Statement(str(compiled), [compiled.params[name] for name in compiled.positiontup or ()])  # type: ignore[attr-defined]


def condition(rule: bound.Bound, view: View) -> Condition:
    """The rule as a condition on `contacts c` of this workspace; may be NULL where it does not hold."""
    match rule:
        case bound.Every():
            return sa.and_(sa.true(), *(condition(part, view) for part in rule.parts))
        case bound.Some():
            return sa.or_(sa.false(), *(condition(part, view) for part in rule.parts))
        case bound.Deny():
            part = condition(rule.part, view)
            return ~part if isinstance(part, sa.Exists) else part.is_not(sa.true())
        case bound.Named():
            return condition(rule.part, view)
        case _:
            return _leaf(rule, view)


def _leaf(rule: bound.Leaf, view: View) -> Condition:
    match rule:
        case bound.InBucket():
            return _bucket(rule)
        case bound.InSnapshot():
            frozen = tables.snapshots
            return view.some(view.rows(frozen).where(frozen.c.snapshot_id == rule.snapshot_id))
        case bound.OnList():
            return view.some(view.rows(tables.members).where(tables.members.c.list_id == rule.list_id))
        case bound.Happened():
            return _happened(rule, view)
        case bound.Compare():
            return _compare(rule, view)
        case _:
            assert_never(rule)


def matching(rule: bound.Bound, workspace_id: UUID, now: datetime) -> sa.Select[Any]:
    """The ids of the contacts for whom the rule holds."""
    return sa.select(tables.contacts.c.id).where(
        tables.contacts.c.workspace_id == workspace_id, condition(rule, View(workspace_id, now))
    )


def judged(rule: bound.Bound, workspace_id: UUID, now: datetime, ids: sa.Select[Any]) -> sa.Select[Any]:
    """Those of a few contacts for whom the rule holds, looked at one by one.

    Nobody has told the planner of what an import has just written: a join that it takes for one of a few rows would
    compare every row with every other. So the condition is asked of each contact as a value, which cannot be joined.
    """
    one, contacts = ids.subquery("one"), tables.contacts
    holds = (
        sa.select(condition(rule, View(workspace_id, now, singly=True)))
        .where(contacts.c.workspace_id == workspace_id, contacts.c.id.between(one.c.id, one.c.id))
        .order_by(contacts.c.id)
        .limit(1)
    )
    return sa.select(one.c.id).where(holds.correlate(one).scalar_subquery())


def count(rule: bound.Bound, workspace_id: UUID, now: datetime) -> sa.Select[Any]:
    """How many the rule holds for. Rules over indexed values alone never read `contacts`."""
    ids = _ids(rule, workspace_id, now)
    if ids is not None:
        return sa.select(sa.func.count()).select_from(ids.subquery())
    # Of what must hold together, the sets of ids are joined: a semi-join would make each of them distinct first.
    contacts, view = tables.contacts, View(workspace_id, now)
    source: sa.FromClause = contacts
    rest: list[Condition] = []
    for part in _together(rule):
        known = _ids(part, workspace_id, now)
        if known is None:
            rest.append(condition(part, view))
        else:
            each = known.subquery()
            source = source.join(each, each.c.contact_id == contacts.c.id)
    return sa.select(sa.func.count()).select_from(source).where(contacts.c.workspace_id == workspace_id, *rest)


def _together(rule: bound.Bound) -> Iterator[bound.Bound]:
    """The conditions that must all hold."""
    match rule:
        case bound.Every():
            for part in rule.parts:
                yield from _together(part)
        case bound.Named():
            yield from _together(rule.part)
        case _:
            yield rule


def crossing(leaf: bound.Leaf, workspace_id: UUID, before: datetime, now: datetime) -> sa.Select[Any]:
    """The ids of those for whom the clock alone may have changed the condition between two moments."""
    if isinstance(leaf, bound.Happened) and leaf.within is not None and not follows_clock(leaf):
        return (
            sa.select(tables.activity.c.contact_id.label("id"))
            .distinct()
            .where(
                tables.activity.c.workspace_id == workspace_id,
                tables.activity.c.type == leaf.event,
                tables.activity.c.at >= before - leaf.within,
                tables.activity.c.at < now - leaf.within,
            )
        )
    then, here = (condition(leaf, View(workspace_id, moment)).is_(sa.true()) for moment in (before, now))
    return sa.select(tables.contacts.c.id).where(tables.contacts.c.workspace_id == workspace_id, then != here)


def _ids(rule: bound.Bound, workspace_id: UUID, now: datetime) -> sa.Select[Any] | sa.CompoundSelect[Any] | None:
    """The rule as sets of ids from the side table, which follows `contacts` row by row; None if it needs more."""
    if isinstance(rule, bound.Compare) and rule.place in ("indexed", "tags"):
        test = _indexed_test(rule, now)
        if test is None:
            return None
        rows = sa.select(tables.values.c.contact_id).where(tables.values.c.workspace_id == workspace_id, *test)
        return rows.distinct() if rule.place == "tags" and rule.op != "contains" else rows
    while isinstance(rule, bound.Named):
        rule = rule.part
    if isinstance(rule, bound.Every | bound.Some) and rule.parts:
        sets = [_ids(part, workspace_id, now) for part in rule.parts]
        known = [ids for ids in sets if ids is not None]
        if len(known) < len(sets):
            return None
        if len(known) == 1:
            return known[0]
        return sa.intersect(*known) if isinstance(rule, bound.Every) else sa.union(*known)
    return None


def _happened(rule: bound.Happened, view: View) -> Condition:
    rows = view.rows(tables.activity).where(tables.activity.c.type == rule.event)
    if rule.within is not None:
        rows = rows.where(tables.activity.c.at >= view.now - rule.within)
    if rule.campaign_id is not None:
        rows = rows.where(tables.activity.c.campaign_id == rule.campaign_id)
    if not rule.machine:
        rows = rows.where(~tables.activity.c.machine)
    rows = rows.where(*(_property(one, view.now) for one in rule.where))
    return view.some(rows, rule.times)


def _compare(rule: bound.Compare, view: View) -> Condition:
    match rule.place:
        case "consent":
            return _consent(rule, view)
        case "tags" | "indexed":
            return _held(rule, view.now) if view.singly else _looked_up(rule, view)
        case "attribute":
            return _attribute(rule, view.now)
        case "money":
            sums = tables.money
            return view.some(view.rows(sums).where(sums.c.currency == rule.currency, _amount(rule, view.now)))
        case "column":
            column = tables.contacts.c[rule.name]
            if rule.name == "email" and rule.op in ("eq", "in"):
                column = tables.contacts.c.email_normalised
            if rule.name == "phone" and rule.op in ("eq", "in"):
                column = tables.contacts.c.phone_normalised
            return _text_test(rule, column) if rule.kind == "text" else _ordered(rule, column, view.now)
        case _:
            assert_never(rule.place)


def _looked_up(rule: bound.Compare, view: View) -> Condition:
    test = _indexed_test(rule, view.now)
    if test is not None:
        return view.rows(tables.values).where(*test).exists()
    if rule.place == "tags":
        wanted: Any = rule.value
        return sa.and_(
            *(view.rows(tables.values).where(*_tag(tables.values.c.value == tag)).exists() for tag in wanted)
        )
    return _attribute(rule, view.now)


def _held(rule: bound.Compare, now: datetime) -> Condition:
    """The same, asked of the contact itself: its row is at hand, and the side table says no more."""
    if rule.place != "tags":
        return _attribute(rule, now)
    tags: Any = tables.contacts.c.tags
    if rule.op == "exists":
        return sa.func.cardinality(tags) > 0
    wanted = [rule.value] if rule.op == "contains" else rule.value
    asked = sa.bindparam("tags", wanted, ARRAY(tables.text), unique=True)
    test: Condition = tags.overlap(asked) if rule.op == "contains_any" else tags.contains(asked)
    return test


def _amount(rule: bound.Compare, now: datetime) -> Condition:
    column = tables.money.c[rule.name]
    return _ordered(rule, column if rule.kind == "time" else sa.cast(column, sa.Double()), now)


def _bucket(rule: bound.InBucket) -> Condition:
    """As `bucket_of` reckons it: the first 32 bits of a digest of salt and id."""
    salted = sa.func.concat(sa.cast(f"{rule.salt}:", tables.text), sa.cast(tables.contacts.c.id, tables.text))
    bits = sa.cast(sa.cast(sa.func.concat("x", sa.func.left(sa.func.md5(salted), 8)), BIT(32)), sa.BigInteger())
    part = bits.op("%", return_type=sa.BigInteger())(sa.cast(rule.of, sa.BigInteger()))
    return sa.and_(part >= rule.first, part < rule.end)


def _consent(rule: bound.Compare, view: View) -> Condition:
    wanted = rule.value if isinstance(rule.value, list) else [rule.value]
    rows = view.rows(tables.consents).where(tables.consents.c.purpose_id == rule.purpose)
    if len(set(wanted)) == len(CONSENTS):
        return sa.true()
    if "none" not in wanted:
        return view.some(rows.where(tables.consents.c.status == _many(wanted)))
    others = [status for status in CONSENTS if status not in wanted]
    return ~view.some(rows.where(tables.consents.c.status == _many(others)))


def _many(values: Any) -> Any:
    kind: Any = sa.Double() if isinstance(values[0], float) else tables.text
    return sa.any_(sa.bindparam("many", values, ARRAY(kind), unique=True))


def _tag(test: Condition) -> tuple[Condition, ...]:
    return tables.values.c.attribute == TAG, test


def _indexed_test(rule: bound.Compare, now: datetime) -> tuple[Condition, ...] | None:
    """What a row of the side table must say; None where the side table cannot answer."""
    value: Any = rule.value
    if rule.place == "tags":
        tests: dict[str, Condition] = {"exists": sa.true()}
        if rule.op == "contains":
            tests["contains"] = tables.values.c.value == value
        elif rule.op == "contains_any":
            tests["contains_any"] = tables.values.c.value == _many(value)
        return _tag(tests[rule.op]) if rule.op in tests else None
    named = tables.values.c.attribute == rule.name
    if rule.kind == "number":
        return named, tables.values.c.number.is_not(None), _ordered(rule, tables.values.c.number, now)
    if rule.kind == "boolean":
        return named, (sa.true() if rule.op == "exists" else tables.values.c.value == ("true" if value else "false"))
    if rule.kind == "date":
        return named, _date_test(rule, tables.values.c.value, now)
    # The side table keeps the beginning of long texts only.
    return (named, _text_test(rule, tables.values.c.value)) if rule.op in ("eq", "in", "exists") else None


_JSON_TYPES = {"text": "string", "date": "string", "number": "number", "boolean": "boolean"}


def _property(one: bound.Property, now: datetime) -> Condition:
    """An event may have been told while it was defined otherwise: a value of another type is none."""
    rule = one.test
    name = sa.bindparam("name", rule.name, tables.text, unique=True)
    kind = sa.func.jsonb_typeof(tables.activity.c.properties.op("->", return_type=JSONB())(name))
    test: Condition = sa.and_(kind == _JSON_TYPES[rule.kind], _attribute(rule, now, tables.activity.c.properties))
    return test.is_not(sa.true()) if one.denied else test


def _attribute(
    rule: bound.Compare, now: datetime, of: sa.ColumnElement[Any] = tables.contacts.c.attributes
) -> Condition:
    name = sa.bindparam("name", rule.name, tables.text, unique=True)
    json = of.op("->", return_type=JSONB())(name)
    text = of.op("->>", return_type=sa.Text())(name)
    match rule.kind:
        case "number":
            number = sa.case((sa.func.jsonb_typeof(json) == "number", sa.cast(text, sa.Double())))
            return _ordered(rule, number, now)
        case "boolean":
            return text.is_not(None) if rule.op == "exists" else text == ("true" if rule.value else "false")
        case "date":
            return _date_test(rule, sa.collate(text, tables.C), now)
        case _:
            return _text_test(rule, text)


def _text_test(rule: bound.Compare, column: Any) -> Condition:
    value: Any = rule.value
    match rule.op:
        case "exists":
            return column != ""  # type: ignore[no-any-return]
        case "eq":
            return column == value  # type: ignore[no-any-return]
        case "in":
            return column == _many(value)  # type: ignore[no-any-return]
    folded, wanted = sa.func.fold(sa.func.nullif(column, "")), sa.func.fold(sa.cast(value, tables.text))
    match rule.op:
        case "contains":
            return sa.func.strpos(folded, wanted) > 0
        case "starts_with":
            return sa.func.starts_with(folded, wanted)
        case _:
            return sa.func.right(folded, sa.func.length(wanted)) == wanted


def _date_test(rule: bound.Compare, column: Any, now: datetime) -> Condition:
    if rule.op == "exists":
        return column != ""  # type: ignore[no-any-return]
    if rule.op == "anniversary":
        return sa.func.substr(column, 6, 5) == _many(bound.anniversaries(rule, now))  # type: ignore[no-any-return]
    first, end = bound.days(rule, now)
    tests = [] if first is None else [column >= first.isoformat()]
    return sa.and_(*tests, *([] if end is None else [column < end.isoformat()]))


_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def _ordered(rule: bound.Compare, column: Any, now: datetime) -> Condition:
    value: Any = rule.value
    if rule.op == "exists":
        test: Condition = column.is_not(None)
    elif rule.op == "in":
        test = column == _many(value)
    elif rule.op == "within":
        test = sa.and_(column >= now - value, column <= now)
    else:
        test = _ORDER[rule.op](column, value)
    return test
