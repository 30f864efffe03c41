"""Pages by keyset: `?limit=&cursor=` → `{"items": […], "next_cursor": …}`. No offset and no count, at any depth."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from fastapi import Depends, Query
from pydantic import BaseModel

from common.errors import BadRequest

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_T = TypeVar("_T")
_R = TypeVar("_R")


class BadCursor(BadRequest):
    """The cursor is not one of this list's."""

    code = "bad_cursor"


class Page(BaseModel, Generic[_T]):
    """One page of a list."""

    items: list[_T]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What was asked for. Fetch `limit + 1` rows and give them to `page`."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    def after(self, *types: Callable[[Any], Any]) -> tuple[Any, ...] | None:
        """The last row's key, each part through its type (`parse_time`, `UUID`, `str`, `int`); None: first page.

        Raises BadCursor.
        """
        return None if self.cursor is None else decode_cursor(self.cursor, *types)


async def _page_query(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the page before")] = None,
) -> PageQuery:
    return PageQuery(limit, cursor)


Paging = Annotated[PageQuery, Depends(_page_query)]


def encode_cursor(*key: Any) -> str:
    """An opaque cursor from the last row's key."""
    values = [value.isoformat() if isinstance(value, datetime) else value for value in key]
    return base64.urlsafe_b64encode(orjson.dumps(values, default=str)).rstrip(b"=").decode()


def decode_cursor(cursor: str, *types: Callable[[Any], Any]) -> tuple[Any, ...]:
    """The key in a cursor, each part through its type; None stays None. Raises BadCursor."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(types):
            raise BadCursor(mend="Start again without a cursor")
        return tuple(None if value is None else convert(value) for convert, value in zip(types, values, strict=True))
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise BadCursor(mend="Start again without a cursor") from error


def parse_time(value: str) -> datetime:
    """An aware time from a cursor. Raises ValueError."""
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at


def page(
    rows: Sequence[_R], query: PageQuery, item: Callable[[_R], _T], key: Callable[[_R], tuple[Any, ...]]
) -> Page[_T]:
    """A page from `limit + 1` rows; the row too many says that there is a next one."""
    kept = rows[: query.limit]
    more = len(rows) > query.limit
    return Page(items=[item(row) for row in kept], next_cursor=encode_cursor(*key(kept[-1])) if more else None)


__all__ = ["UUID", "BadCursor", "Page", "PageQuery", "Paging", "decode_cursor", "encode_cursor", "page", "parse_time"]
