"""The Liquid filters of mails. Each is total: any value gives a text or a number, never an exception.

The escapes (names beginning with `x_`) are appended by the compiler, one to each output, by the place it stands in;
authors cannot name them.
"""

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from html import escape as html_escape
from typing import Any
from urllib.parse import quote

from liquid.undefined import Undefined

from content.calendars import digits
from content.direction import balanced, has_rtl, isolate
from content.localised import localised_filters
from content.values import BREAKS, MAX_TEXT, number, text

Filter = Callable[..., Any]


def _default(value: object, fallback: object = "", *, allow_false: object = False) -> object:
    if value is False and allow_false is True:
        return value
    if value is None or value is False or isinstance(value, Undefined):
        return fallback
    if isinstance(value, str | list | tuple | Mapping) and (
        not value or (isinstance(value, str) and not value.strip())
    ):
        return fallback
    return value


def _truncate(value: object, length: object = 50, ellipsis: object = "…") -> str:
    whole, tail, limit = text(value), text(ellipsis), int(number(length) or 0)
    return whole if len(whole) <= limit else whole[: max(0, limit - len(tail))] + tail


def _truncatewords(value: object, count: object = 15, ellipsis: object = "…") -> str:
    words, limit = text(value).split(), max(1, int(number(count) or 1))
    return " ".join(words) if len(words) <= limit else " ".join(words[:limit]) + text(ellipsis)


def _replace(value: object, old: object, new: object = "") -> str:
    whole, from_, to = text(value), text(old), text(new)
    if not from_ or len(whole) + whole.count(from_) * len(to) > MAX_TEXT:
        return whole
    return whole.replace(from_, to)


def _append(value: object, tail: object) -> str:
    return (text(value) + text(tail))[:MAX_TEXT]


def _prepend(value: object, head: object) -> str:
    return (text(head) + text(value))[:MAX_TEXT]


def _split(value: object, separator: object = " ") -> list[str]:
    whole, by = text(value), text(separator)
    return whole.split(by, 999) if by.strip() else whole.split(None, 999)


def _join(value: object, separator: object = " ") -> str:
    items = value if isinstance(value, list | tuple) else [value]
    return text(separator)[:100].join(text(item) for item in items)[:MAX_TEXT]


def _first(value: object) -> object:
    return value[0] if isinstance(value, list | tuple | str) and value else None


def _last(value: object) -> object:
    return value[-1] if isinstance(value, list | tuple | str) and value else None


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | list | tuple | Mapping) else 0


def _slice(value: object, start: object = 0, length: object = 1) -> str:
    whole, begin, count = text(value), int(number(start) or 0), max(0, int(number(length) or 0))
    begin = max(0, len(whole) + begin) if begin < 0 else begin
    return whole[begin : begin + count]


def _arithmetic(operation: Callable[[Any, Any], Any], value: object, other: object = 0) -> object:
    a, b = number(value), number(other)
    try:
        return number(operation(0 if a is None else a, 0 if b is None else b)) or 0
    except (ZeroDivisionError, OverflowError, ValueError):
        return 0


def _divide(a: float, b: float) -> float:
    return a // b if isinstance(a, int) and isinstance(b, int) else a / b


def _round(value: object, places: object = 0) -> object:
    found, decimals = number(value), max(0, min(10, int(number(places) or 0)))
    return 0 if found is None else round(found, decimals) if decimals else round(found)


def _whole(operation: Callable[[float], int], value: object) -> int:
    return operation(number(value) or 0)


def _same(value: object) -> object:
    return value


PLAIN: dict[str, Filter] = {
    "default": _default,
    "upcase": lambda v: text(v).upper(),
    "downcase": lambda v: text(v).lower(),
    "capitalize": lambda v: text(v).capitalize(),
    "strip": lambda v: text(v).strip(),
    "lstrip": lambda v: text(v).lstrip(),
    "rstrip": lambda v: text(v).rstrip(),
    "strip_newlines": lambda v: BREAKS.sub("", text(v)),
    "strip_html": lambda v: re.sub(r"<[^<>]*>", "", text(v)),
    "truncate": _truncate,
    "truncatewords": _truncatewords,
    "append": _append,
    "prepend": _prepend,
    "replace": _replace,
    "remove": lambda v, old: _replace(v, old, ""),
    "split": _split,
    "join": _join,
    "first": _first,
    "last": _last,
    "size": _size,
    "slice": _slice,
    "plus": partial(_arithmetic, lambda a, b: a + b),
    "minus": partial(_arithmetic, lambda a, b: a - b),
    "times": partial(_arithmetic, lambda a, b: a * b),
    "divided_by": partial(_arithmetic, _divide),
    "modulo": partial(_arithmetic, lambda a, b: a % b),
    "at_least": partial(_arithmetic, max),
    "at_most": partial(_arithmetic, min),
    "abs": lambda v: abs(number(v) or 0),
    "round": _round,
    "ceil": partial(_whole, math.ceil),
    "floor": partial(_whole, math.floor),
    "url_encode": lambda v: quote(text(v), safe=""),
    # Outputs are always escaped for their place; an author's own escape must not do it twice.
    "escape": _same,
    "h": _same,
    "digits": lambda v, system="en": digits(text(v), text(system)),
}


def _bdi(always: bool, value: object) -> str:
    shown = balanced(text(value))
    if not shown or (not always and not has_rtl(shown)):
        return html_escape(shown)
    return f"<bdi>{html_escape(shown)}</bdi>"


def _isolated(always: bool, value: object) -> str:
    shown = balanced(text(value))
    return shown if not always and not has_rtl(shown) else isolate(shown)


def _isolated_line(always: bool, value: object) -> str:
    return _isolated(always, BREAKS.sub(" ", text(value)))


_RESERVED = ":/?#[]@!$&()*+,;=%~"

ESCAPES: dict[str, Filter] = {
    "x_html": lambda v: html_escape(balanced(text(v))),
    "x_bdi": partial(_bdi, True),
    "x_bdi_rtl": partial(_bdi, False),
    "x_attr": lambda v: html_escape(balanced(BREAKS.sub(" ", text(v)))),
    "x_css": lambda v: re.sub(r"[^\w .,%#-]", "", text(v))[:200],
    "x_url": lambda v: quote(text(v).strip(), safe=_RESERVED),
    "x_query": lambda v: quote(text(v), safe=""),
    "x_text": partial(_isolated, True),
    "x_text_rtl": partial(_isolated, False),
    "x_line": partial(_isolated_line, True),
    "x_line_rtl": partial(_isolated_line, False),
    "x_plain": lambda v: BREAKS.sub(" ", text(v)),
}


@lru_cache(maxsize=64)
def filters_for(language: str) -> Mapping[str, Filter]:
    """All filters, those about dates and numbers speaking the language."""
    return {**PLAIN, **localised_filters(language), **ESCAPES}


PUBLIC = frozenset({*PLAIN, "date", "date_jalali", "date_hijri", "number", "currency", "plural"})
