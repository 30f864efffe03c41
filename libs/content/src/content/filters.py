"""The Liquid filters of mails. Each is total: any value gives a text or a number, never an exception.

The escapes (names beginning with `x_`) are appended by the compiler, one to each output, by the place it stands in;
authors cannot name them.
"""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from html import escape as html_escape
from typing import Any
from urllib.parse import quote

from babel.numbers import UnknownCurrencyError, format_currency, format_decimal
from liquid.undefined import Undefined

from content.calendars import babel_locale, digits, eastern, gregorian, parse_moment
from content.direction import balanced, has_rtl, isolate

Filter = Callable[..., Any]
MAX_TEXT = 64 * 1024
MAX_NUMBER = 10**15

# Marks inside compiled text: link begin, its url, link end, pixel. Noncharacters: no text may hold them.
LINK, AFTER_NUMBER, LINK_END, PIXEL = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
_BREAKS = re.compile("[\r\n\x85\u2028\u2029]+")


def text(value: object) -> str:
    """A value as Liquid writes it, without control characters and lone surrogates."""
    if isinstance(value, str):
        raw = value
    elif value is None or isinstance(value, Undefined):
        return ""
    elif isinstance(value, bool):
        return "true" if value else "false"
    elif isinstance(value, list | tuple):
        raw = "".join(map(text, value))
    elif isinstance(value, range):
        raw = f"{value.start}..{value.stop - 1}"
    elif isinstance(value, Mapping):
        return ""
    elif isinstance(value, float) and value.is_integer() and abs(value) < MAX_NUMBER:
        return str(int(value))
    else:
        raw = str(value)
    if raw.isascii() and raw.isprintable():
        return raw
    return _UNWANTED.sub("", raw)


def number(value: object) -> int | float | None:
    """A finite number from a number or a text in any of the three kinds of digits; None when it is none."""
    if isinstance(value, str):
        return _number_from_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and abs(value) <= MAX_NUMBER else None


def _number_from_text(written: str) -> int | float | None:
    cleaned = digits(written.strip(), "en").replace("٫", ".").replace("٬", "").replace(",", "")
    try:
        value = Decimal(cleaned)
    except InvalidOperation:
        return None
    if not value.is_finite() or abs(value) > MAX_NUMBER:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


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
    "strip_newlines": lambda v: _BREAKS.sub("", text(v)),
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
    return _isolated(always, _BREAKS.sub(" ", text(value)))


_RESERVED = ":/?#[]@!$&()*+,;=%~"

ESCAPES: dict[str, Filter] = {
    "x_html": lambda v: html_escape(balanced(text(v))),
    "x_bdi": partial(_bdi, True),
    "x_bdi_rtl": partial(_bdi, False),
    "x_attr": lambda v: html_escape(balanced(_BREAKS.sub(" ", text(v)))),
    "x_css": lambda v: re.sub(r"[^\w .,%#-]", "", text(v))[:200],
    "x_url": lambda v: quote(text(v).strip(), safe=_RESERVED),
    "x_query": lambda v: quote(text(v), safe=""),
    "x_text": partial(_isolated, True),
    "x_text_rtl": partial(_isolated, False),
    "x_line": partial(_isolated_line, True),
    "x_line_rtl": partial(_isolated_line, False),
    "x_plain": lambda v: _BREAKS.sub(" ", text(v)),
}


def _localised(language: str) -> dict[str, Filter]:
    locale = babel_locale(language)
    system = locale.language if locale.language in ("ar", "fa") else "en"
    # Plain "ar" means Latin digits and separators to CLDR; a text with Arabic digits wants Arabic ones.
    money = babel_locale("ar_EG") if locale.language == "ar" and not locale.territory else locale

    def date_filter(value: object, form: object = "long") -> str:
        moment = parse_moment(value)
        try:
            return "" if moment is None else digits(gregorian(moment, text(form), locale), system)
        except (KeyError, ValueError, AttributeError, TypeError, OverflowError):
            return ""

    def calendar_filter(calendar: str, value: object, form: object = "long") -> str:
        moment = parse_moment(value)
        return "" if moment is None else digits(eastern(moment, text(form), language, calendar), system)

    def number_filter(value: object, places: object = None) -> str:
        found = number(value)
        if found is None:
            return text(value)
        wanted = number(places)
        pattern = None if wanted is None else "#,##0" + ("." + "0" * max(0, min(6, int(wanted))) if wanted > 0 else "")
        if system == "en":
            return format_decimal(found, format=pattern, locale=locale)
        shown = format_decimal(found, format=pattern, locale="en").replace(",", "٬").replace(".", "٫")
        return digits(shown, system)

    def currency_filter(value: object, code: object = "USD") -> str:
        found, wanted = number(value), text(code).upper()
        if found is None:
            return text(value)
        if not re.fullmatch("[A-Z]{3}", wanted):
            return number_filter(found)
        try:
            shown = format_currency(found, wanted, locale=money, numbering_system="default")
        except (UnknownCurrencyError, ValueError, KeyError):
            return f"{number_filter(found)} {wanted}"
        return digits(shown, system)

    def plural_filter(value: object, *forms: object, **named: object) -> str:
        found = number(value) or 0
        category = locale.plural_form(found)
        if forms and not named:
            named = {"one": forms[0], "other": forms[-1]}
            category = "one" if category == "one" else "other"
        chosen = named.get("zero") if found == 0 and "zero" in named else named.get(category, named.get("other", ""))
        return text(chosen).replace("#", number_filter(found))

    return {
        "date": date_filter,
        "date_jalali": partial(calendar_filter, "jalali"),
        "date_hijri": partial(calendar_filter, "hijri"),
        "number": number_filter,
        "currency": currency_filter,
        "plural": plural_filter,
    }


@lru_cache(maxsize=64)
def filters_for(language: str) -> Mapping[str, Filter]:
    """All filters, those about dates and numbers speaking the language."""
    return {**PLAIN, **_localised(language), **ESCAPES}


PUBLIC = frozenset({*PLAIN, "date", "date_jalali", "date_hijri", "number", "currency", "plural"})
