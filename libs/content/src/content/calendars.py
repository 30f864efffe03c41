"""Dates as the reader's calendar and language write them: Gregorian, Jalali, Hijri (Umm al-Qura)."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_datetime
from hijridate import Gregorian
from jdatetime import date as jalali_date

MONTHS = {
    "jalali": {
        "fa": ["فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور", "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند"],
        "ar": ["فروردين", "أرديبهشت", "خرداد", "تير", "مرداد", "شهريور", "مهر", "آبان", "آذر", "دي", "بهمن", "إسفند"],
        "en": [
            "Farvardin",
            "Ordibehesht",
            "Khordad",
            "Tir",
            "Mordad",
            "Shahrivar",
            "Mehr",
            "Aban",
            "Azar",
            "Dey",
            "Bahman",
            "Esfand",
        ],
    },
    "hijri": {
        "fa": [
            "محرم",
            "صفر",
            "ربیع\u200cالاول",
            "ربیع\u200cالثانی",
            "جمادی\u200cالاول",
            "جمادی\u200cالثانی",
            "رجب",
            "شعبان",
            "رمضان",
            "شوال",
            "ذیقعده",
            "ذیحجه",
        ],
        "ar": [
            "محرم",
            "صفر",
            "ربيع الأول",
            "ربيع الآخر",
            "جمادى الأولى",
            "جمادى الآخرة",
            "رجب",
            "شعبان",
            "رمضان",
            "شوال",
            "ذو القعدة",
            "ذو الحجة",
        ],
        "en": [
            "Muharram",
            "Safar",
            "Rabi al-Awwal",
            "Rabi al-Thani",
            "Jumada al-Ula",
            "Jumada al-Akhirah",
            "Rajab",
            "Shaban",
            "Ramadan",
            "Shawwal",
            "Dhu al-Qadah",
            "Dhu al-Hijjah",
        ],
    },
}
# Monday first, as date.weekday() counts.
WEEKDAYS = {
    "fa": ["دوشنبه", "سه‌شنبه", "چهارشنبه", "پنجشنبه", "جمعه", "شنبه", "یکشنبه"],
    "ar": ["الاثنين", "الثلاثاء", "الأربعاء", "الخميس", "الجمعة", "السبت", "الأحد"],
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
}
ERA = {"jalali": {"fa": "", "ar": " هـ.ش", "en": ""}, "hijri": {"fa": " ق", "ar": " هـ", "en": " AH"}}
COMMA = {"fa": " ", "ar": "، ", "en": ", "}

DIGITS = {
    "fa": str.maketrans("0123456789٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹" * 2),
    "ar": str.maketrans("0123456789۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩" * 2),
    "en": str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2),
}
_CLDR = {
    "Y": "yyyy", "y": "yy", "m": "MM", "d": "dd", "e": "d", "B": "MMMM", "b": "MMM", "h": "MMM", "A": "EEEE",
    "a": "EEE", "H": "HH", "I": "hh", "M": "mm", "S": "ss", "p": "a", "j": "DDD", "-d": "d", "-m": "M", "l": "h",
}  # fmt: skip
_DIRECTIVE = re.compile(r"%(-?[A-Za-z]|%)")
_WIDTHS = frozenset({"short", "medium", "long", "full"})


def digits(text: str, system: str) -> str:
    """The text with its digits (of any of the three kinds) in the wanted kind; unknown kinds change nothing."""
    table = DIGITS.get(system)
    return text.translate(table) if table else text


def babel_locale(language: str) -> Locale:
    """The CLDR locale of a language tag; English when there is none."""
    try:
        return Locale.parse(language.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        base = re.split("[-_]", language)[0].lower()
        try:
            return Locale.parse(base)
        except (UnknownLocaleError, ValueError):
            return Locale.parse("en")


def parse_moment(value: object) -> datetime | None:
    """A datetime from an ISO 8601 text, a date, seconds since 1970, or "now"; None when it is none of these."""
    if isinstance(value, date):
        return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            text = digits(value.strip(), "en")
            return datetime.now(UTC) if text in ("now", "today") else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def gregorian(moment: datetime, form: str, locale: Locale) -> str:
    """By width (short, medium, long, full: the date alone), strftime directives, or a CLDR pattern."""
    if form in _WIDTHS:
        pattern = str(locale.date_formats[form])
    elif "%" in form:
        pattern = _from_strftime(form)
    else:
        pattern = form
    return str(format_datetime(moment.replace(tzinfo=None), pattern, locale=locale))


def _from_strftime(form: str) -> str:
    pieces: list[str] = []
    end = 0
    for match in _DIRECTIVE.finditer(form):
        pieces.append(_quoted(form[end : match.start()]))
        pieces.append(_CLDR.get(match[1], "") if match[1] != "%" else "%")
        end = match.end()
    pieces.append(_quoted(form[end:]))
    return "".join(pieces)


def _quoted(text: str) -> str:
    return re.sub(r"[A-Za-z]+", lambda m: f"'{m[0]}'", text.replace("'", "''"))


def _jalali(day: date) -> tuple[int, int, int]:
    converted = jalali_date.fromgregorian(date=day)
    return converted.year, converted.month, converted.day


def _hijri(day: date) -> tuple[int, int, int]:
    converted = Gregorian(day.year, day.month, day.day).to_hijri()
    return converted.year, converted.month, converted.day


CONVERTERS: dict[str, Callable[[date], tuple[int, int, int]]] = {"jalali": _jalali, "hijri": _hijri}


def eastern(moment: datetime, form: str, language: str, calendar: str) -> str:
    """A Jalali or Hijri date: short (1405/9/30), long (30 Azar 1405), full (with the weekday), or strftime directives.

    Empty when the calendar's tables do not reach that far.
    """
    base = re.split("[-_]", language)[0].lower()
    base = base if base in WEEKDAYS else "en"
    try:
        year, month, day = CONVERTERS[calendar](moment.date())
    except (ValueError, OverflowError):
        return ""
    name = MONTHS[calendar][base][month - 1]
    weekday = WEEKDAYS[base][moment.weekday()]
    era = ERA[calendar][base]
    if "%" in form:
        values = {
            "Y": str(year), "y": f"{year % 100:02}", "m": f"{month:02}", "-m": str(month), "d": f"{day:02}",
            "-d": str(day), "e": str(day), "B": name, "b": name, "A": weekday, "a": weekday,
            "H": f"{moment.hour:02}", "M": f"{moment.minute:02}", "%": "%",
        }  # fmt: skip
        return _DIRECTIVE.sub(lambda match: values.get(match[1], ""), form)
    if form == "short":
        return f"{year}/{month}/{day}"
    dated = f"{day} {name} {year}{era}"
    return f"{weekday}{COMMA[base]}{dated}" if form == "full" else dated
