import pytest
from content.choose import variant_for
from content.compile import compile_mail
from content.direction import language_direction
from content.filters import PUBLIC, filters_for
from content.model import MailSource

YALDA = "2026-12-21"


@pytest.mark.parametrize(
    ("language", "name", "arguments", "expected"),
    [
        ("fa", "date_jalali", [YALDA], "۳۰ آذر ۱۴۰۵"),
        ("fa", "date_jalali", [YALDA, "full"], "دوشنبه ۳۰ آذر ۱۴۰۵"),
        ("fa", "date_jalali", [YALDA, "%Y/%m/%d"], "۱۴۰۵/۰۹/۳۰"),
        ("en", "date_jalali", ["2024-03-20"], "1 Farvardin 1403"),
        ("en", "date_jalali", ["2025-03-20"], "30 Esfand 1403"),
        ("en", "date_jalali", ["2026-03-21T00:30:00+03:30", "short"], "1405/1/1"),
        # Umm al-Qura: Ramadan 1447 begins on 18 February 2026, Eid al-Fitr is on 20 March.
        ("ar", "date_hijri", ["2026-02-18"], "١ رمضان ١٤٤٧ هـ"),
        ("en", "date_hijri", ["2026-03-20"], "1 Shawwal 1447 AH"),
        ("ar", "date_hijri", [YALDA, "full"], "الاثنين، ١٢ رجب ١٤٤٨ هـ"),
        ("en", "date_hijri", ["1500-01-01"], ""),
        ("en", "date", [YALDA], "December 21, 2026"),
        ("en-GB", "date", [YALDA, "full"], "Monday, 21 December 2026"),
        ("fa", "date", [YALDA], "۲۱ دسامبر ۲۰۲۶"),
        ("ar", "date", [YALDA], "٢١ ديسمبر ٢٠٢٦"),
        ("en", "date", ["2026-12-21T17:05:00Z", "%A %e %B %Y, at %H:%M"], "Monday 21 December 2026, at 17:05"),
        ("en", "date", [1766275200, "%Y-%m-%d"], "2025-12-21"),
        ("en", "date", ["not a date"], ""),
        ("en", "date", [None], ""),
        ("fa", "digits", ["٢٠26", "fa"], "۲۰۲۶"),
        ("en", "digits", ["۲۰٢٦", "en"], "2026"),
        ("en", "digits", ["12", "ar"], "١٢"),
        ("fa", "number", [1234567.5], "۱٬۲۳۴٬۵۶۷٫۵"),
        ("ar", "number", ["1250"], "١٬٢٥٠"),
        ("en", "number", ["۱۲۵۰", 2], "1,250.00"),
        ("de", "number", [1234.5], "1.234,5"),
        ("en", "number", ["many"], "many"),
        ("en", "currency", [1250.5, "USD"], "$1,250.50"),
        ("ar", "currency", [480, "EGP"], "\u200f٤٨٠٫٠٠\xa0ج.م.\u200f"),
        ("en", "plus", ["۳", 4], 7),
        ("en", "divided_by", [7, 2], 3),
        ("en", "divided_by", [7, 0], 0),
        ("en", "default", ["  ", "friend"], "friend"),
        ("en", "default", [False, "no"], "no"),
        ("en", "truncate", ["abcdefgh", 5], "abcd…"),
        ("en", "escape", ["<b>"], "<b>"),
        ("en", "url_encode", ["a b&علی"], "a%20b%26%D8%B9%D9%84%DB%8C"),
    ],
)
def test_filters_say_what_a_reader_expects(language, name, arguments, expected):
    assert filters_for(language)[name](*arguments) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "لا نقاط"),
        (1, "نقطة واحدة"),
        (2, "نقطتان"),
        (3, "٣ نقاط"),
        (11, "١١ نقطة"),
        (100, "١٠٠ نقطة"),
        ("7", "٧ نقاط"),
    ],
)
def test_arabic_has_six_plural_forms(count, expected):
    forms = {
        "zero": "لا نقاط",
        "one": "نقطة واحدة",
        "two": "نقطتان",
        "few": "# نقاط",
        "many": "# نقطة",
        "other": "# نقطة",
    }
    assert filters_for("ar")["plural"](count, **forms) == expected


def test_persian_and_english_plurals():
    assert filters_for("fa")["plural"](2, "# امتیاز", "# امتیاز") == "۲ امتیاز"
    assert [filters_for("en")["plural"](n, "# point", "# points") for n in (0, 1, 1200)] == [
        "0 points",
        "1 point",
        "1,200 points",
    ]


def test_authors_cannot_name_the_escapes():
    assert not [name for name in PUBLIC if name.startswith("x_")]


@pytest.mark.parametrize(
    ("language", "chosen"),
    [
        ("ar-EG", "masri"),
        ("ar_eg", "masri"),
        ("ar", "fusha"),
        ("AR-SA", "fusha"),
        ("fa-AF", "fa"),
        ("pt", "brazil"),
        ("zh-Hant-TW", "zh"),
        ("de", "fusha"),
        (None, "fusha"),
        ("", "fusha"),
    ],
)
def test_each_recipient_gets_the_nearest_variant(language, chosen):
    languages = {"fusha": "ar", "masri": "ar-EG", "fa": "fa", "brazil": "pt-BR", "zh": "zh-Hant"}
    variants = [{"id": i, "language": tag, "subject": "x", "text": "x"} for i, tag in languages.items()]
    mail = compile_mail(MailSource.model_validate({"default": "ar", "variants": variants}))
    assert variant_for(mail, language) == chosen


@pytest.mark.parametrize(
    ("language", "direction"),
    [
        ("fa", "rtl"),
        ("ar-EG", "rtl"),
        ("ur_PK", "rtl"),
        ("az-Arab-IR", "rtl"),
        ("az", "ltr"),
        ("ku-Latn", "ltr"),
        ("en", "ltr"),
    ],
)
def test_direction_of_a_language(language, direction):
    assert language_direction(language) == direction
