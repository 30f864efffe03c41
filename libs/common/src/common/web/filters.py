"""One grammar for filtering and sorting lists: `?filter=field:op:value` (repeat it: all must hold) and `?sort=-field`.

Names come from an allow-list; values are only ever parameters. `in` takes values separated by commas.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import Query

from common.errors import BadRequest
from common.web.pages import BadCursor, PageQuery, decode_cursor, parse_time

Filters = Annotated[list[str], Query(alias="filter", max_length=20, description="`field:op:value`; all must hold")]
Sort = Annotated[str | None, Query(max_length=100, description="a field; `-` before it sorts downwards")]

Kind = Literal["text", "uuid", "time", "integer", "number", "bool"]

_COMPARE = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_ORDERED = ("eq", "ne", "lt", "le", "gt", "ge", "in", "is")
_OPS: dict[Kind, tuple[str, ...]] = {
    "text": ("eq", "ne", "in", "is", "contains", "starts"),
    "uuid": ("eq", "ne", "in", "is"),
    "time": _ORDERED,
    "integer": _ORDERED,
    "number": _ORDERED,
    "bool": ("eq", "ne", "is"),
}
_CAST: dict[Kind, str] = {
    "text": "text",
    "uuid": "uuid",
    "time": "timestamptz",
    "integer": "bigint",
    "number": "numeric",
    "bool": "boolean",
}


class BadFilter(BadRequest):
    """A filter or sort is not one this list knows."""

    code = "bad_filter"


@dataclass(frozen=True, slots=True)
class Field:
    """One name callers may use. `sql` is an expression of ours; `ops` None: all that make sense for the kind."""

    sql: str
    kind: Kind = "text"
    ops: tuple[str, ...] | None = None
    sortable: bool = False

    @property
    def allowed(self) -> tuple[str, ...]:
        """The operators callers may use."""
        return self.ops or _OPS[self.kind]


@dataclass(frozen=True, slots=True)
class Selection:
    """Fragments for `where … and {where} order by {order} limit {limit}`, and the values of their parameters."""

    where: str
    order: str
    limit: int
    args: list[Any]
    sort: str
    column: str
    query: PageQuery

    def key(self, row: asyncpg.Record | Mapping[str, Any]) -> tuple[Any, ...]:
        """The cursor key of a row that has the sort field under its name, and `id`."""
        return (self.sort, row[self.column], row["id"])


@dataclass(frozen=True, slots=True)
class Grammar:
    """The names of one list. The default sort must be sortable and not null; `id_sql` breaks ties."""

    fields: Mapping[str, Field]
    default_sort: str
    id_sql: str = "id"
    _sortable: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sortable", tuple(n for n, f in self.fields.items() if f.sortable))
        if self.default_sort.removeprefix("-") not in self._sortable:
            raise ValueError(f"the default sort {self.default_sort!r} is not sortable")

    def select(
        self, filters: Sequence[str], sort: str | None, query: PageQuery, *, first_parameter: int = 2
    ) -> Selection:
        """The fragments; their parameters are numbered from `first_parameter`. Raises BadFilter, BadCursor."""
        args: list[Any] = []

        def bind(value: Any, cast: str) -> str:
            args.append(value)
            return f"${first_parameter + len(args) - 1}::{cast}"

        parts = [self._condition(text, bind) for text in filters]
        wanted = sort or self.default_sort
        name, downwards = wanted.removeprefix("-"), wanted.startswith("-")
        if name not in self._sortable:
            raise BadFilter(
                f"This list cannot be sorted by {name!r}", mend=f"Sort by: {', '.join(self._sortable)}", field=name
            )
        column = self.fields[name]
        if query.cursor is not None:
            told, value, last_id = decode_cursor(query.cursor, str, lambda v: _convert(column.kind, v), UUID)
            if told != wanted or value is None or last_id is None:
                raise BadCursor("The cursor belongs to another sort", mend="Start again without a cursor")
            comparison = "<" if downwards else ">"
            bound = f"{bind(value, _CAST[column.kind])}, {bind(last_id, 'uuid')}"
            parts.append(f"({column.sql}, {self.id_sql}) {comparison} ({bound})")
        direction = " desc" if downwards else ""
        return Selection(
            where=" and ".join(parts) or "true",
            order=f"{column.sql}{direction}, {self.id_sql}{direction}",
            limit=query.limit + 1,
            args=args,
            sort=wanted,
            column=name,
            query=query,
        )

    def _condition(self, text: str, bind: Callable[[Any, str], str]) -> str:
        name, _, rest = text.partition(":")
        op, separator, value = rest.partition(":")
        known = self.fields.get(name)
        if known is None:
            raise BadFilter(
                f"This list has no field {name!r}", mend=f"Filter by: {', '.join(sorted(self.fields))}", field=name
            )
        if op not in known.allowed or not separator:
            raise BadFilter(
                f"{name!r} cannot be filtered by {op!r}",
                mend=f"Write {name}:<op>:<value> with one of: {', '.join(known.allowed)}",
                field=name,
                op=op,
            )
        try:
            return _render(known, op, value, bind)
        except (ValueError, ArithmeticError, OverflowError) as error:
            raise BadFilter(f"{value!r} is no {known.kind} for {name!r}", field=name, value=value) from error


def _render(known: Field, op: str, value: str, bind: Callable[[Any, str], str]) -> str:
    cast = _CAST[known.kind]
    if op in _COMPARE:
        return f"{known.sql} {_COMPARE[op]} {bind(_convert(known.kind, value), cast)}"
    if op == "in":
        values = [_convert(known.kind, part) for part in value.split(",")][:200]
        return f"{known.sql} = any({bind(values, cast + '[]')})"
    if op == "is":
        if value not in {"null", "present"}:
            raise ValueError(value)
        return f"{known.sql} is {'' if value == 'null' else 'not '}null"
    pattern = _no_nul(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if op == "contains":
        return f"{known.sql} ilike {bind(f'%{pattern}%', 'text')}"
    return f"{known.sql} ilike {bind(f'{pattern}%', 'text')}"


def _convert(kind: Kind, value: Any) -> Any:
    text = str(value)
    if kind == "uuid":
        return UUID(text)
    if kind == "time":
        # An offset's plus sign arrives as a space when a client forgot to encode it.
        at = parse_time(text.replace(" ", "+"))
        return at.astimezone(UTC) if at.year > 1 else datetime.min.replace(tzinfo=UTC)
    if kind == "integer":
        number = int(text)
        if not -(2**63) <= number < 2**63:
            raise ValueError(text)
        return number
    if kind == "number":
        exact = Decimal(text)
        if not exact.is_finite() or abs(exact.adjusted()) > 100:
            raise ValueError(text)
        return exact
    if kind == "bool":
        if text.lower() not in {"true", "false"}:
            raise ValueError(text)
        return text.lower() == "true"
    return _no_nul(text)


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL")
    return text
