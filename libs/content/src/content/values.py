"""Values of contacts as texts and numbers, and the marks that compiled text uses for itself."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from liquid.undefined import Undefined

from content.calendars import digits

MAX_TEXT = 64 * 1024
MAX_NUMBER = 10**15

# Marks inside compiled text: link begin, its url, link end, pixel. Noncharacters: no text may hold them.
LINK, AFTER_NUMBER, LINK_END, PIXEL = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
BREAKS = re.compile("[\r\n\x85\u2028\u2029]+")


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
