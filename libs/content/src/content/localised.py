"""The filters that speak a language: dates, numbers, money, plurals."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from babel.numbers import UnknownCurrencyError, format_currency, format_decimal

from content.calendars import babel_locale, digits, eastern, gregorian, parse_moment
from content.values import number, text

CACHED = 2048


def localised_filters(language: str) -> dict[str, Callable[..., Any]]:
    """The filters of one language. What they write is remembered: one campaign asks for few different dates."""
    locale = babel_locale(language)
    system = locale.language if locale.language in ("ar", "fa") else "en"
    # Plain "ar" means Latin digits and separators to CLDR; a text with Arabic digits wants Arabic ones.
    money = babel_locale("ar_EG") if locale.language == "ar" and not locale.territory else locale

    @lru_cache(CACHED)
    def written_date(moment: datetime, form: str) -> str:
        try:
            return digits(gregorian(moment, form, locale), system)
        except (KeyError, ValueError, AttributeError, TypeError, OverflowError):
            return ""

    @lru_cache(CACHED)
    def written_eastern(calendar: str, moment: datetime, form: str) -> str:
        return digits(eastern(moment, form, language, calendar), system)

    @lru_cache(CACHED)
    def written_number(found: float, places: float | None) -> str:
        decimals = "" if places is None else "0" * max(0, min(6, int(places)))
        pattern = None if places is None else "#,##0" + ("." + decimals if decimals else "")
        if system == "en":
            return str(format_decimal(found, format=pattern, locale=locale))
        shown = format_decimal(found, format=pattern, locale="en").replace(",", "٬").replace(".", "٫")
        return digits(shown, system)

    @lru_cache(CACHED)
    def written_money(found: float, code: str) -> str:
        try:
            return digits(format_currency(found, code, locale=money, numbering_system="default"), system)
        except (UnknownCurrencyError, ValueError, KeyError):
            return f"{written_number(found, None)} {code}"

    def date_filter(value: object, form: object = "long") -> str:
        moment = parse_moment(value)
        return "" if moment is None else written_date(moment, text(form))

    def calendar_filter(calendar: str, value: object, form: object = "long") -> str:
        moment = parse_moment(value)
        return "" if moment is None else written_eastern(calendar, moment, text(form))

    def number_filter(value: object, places: object = None) -> str:
        found = number(value)
        return text(value) if found is None else written_number(found, number(places))

    def currency_filter(value: object, code: object = "USD") -> str:
        found, wanted = number(value), text(code).upper()
        if found is None:
            return text(value)
        return written_money(found, wanted) if re.fullmatch("[A-Z]{3}", wanted) else written_number(found, None)

    def plural_filter(value: object, *forms: object, **named: object) -> str:
        found = number(value) or 0
        category = locale.plural_form(found)
        if forms and not named:
            named = {"one": forms[0], "other": forms[-1]}
            category = "one" if category == "one" else "other"
        chosen = named.get("zero") if found == 0 and "zero" in named else named.get(category, named.get("other", ""))
        return text(chosen).replace("#", written_number(found, None))

    return {
        "date": date_filter,
        "date_jalali": partial(calendar_filter, "jalali"),
        "date_hijri": partial(calendar_filter, "hijri"),
        "number": number_filter,
        "currency": currency_filter,
        "plural": plural_filter,
    }
