"""The public pages, in English, Arabic and Persian. No script, no link elsewhere, nothing about the person."""

from dataclasses import dataclass
from html import escape
from typing import Literal

Language = Literal["en", "ar", "fa"]


@dataclass(frozen=True, slots=True)
class _Words:
    direction: str
    title: str
    question: str
    leave: str
    leave_all: str
    left: str
    left_all: str
    test: str
    later: str
    missing: str


_WORDS: dict[Language, _Words] = {
    "en": _Words(
        "ltr",
        "Unsubscribe",
        "Do you no longer want to receive these e-mails?",
        "Unsubscribe from these e-mails",
        "Unsubscribe from everything by this sender",
        "You are unsubscribed from these e-mails.",
        "You are unsubscribed from everything by this sender.",
        "This is the link of a test mail: nothing was changed.",
        "This did not work just now. Please try again in a minute.",
        "This link is not valid.",
    ),
    "ar": _Words(
        "rtl",
        "إلغاء الاشتراك",
        "هل ترغب في التوقّف عن تلقّي هذه الرسائل؟",
        "إلغاء الاشتراك في هذه الرسائل",
        "إلغاء الاشتراك في كل رسائل هذا المُرسِل",
        "أُلغي اشتراكك في هذه الرسائل.",
        "أُلغي اشتراكك في كل رسائل هذا المُرسِل.",
        "هذا رابط رسالة تجريبية، ولم يتغيّر أي شيء.",
        "تعذّر تنفيذ الطلب الآن. يُرجى المحاولة بعد دقيقة.",
        "هذا الرابط غير صالح.",
    ),
    "fa": _Words(
        "rtl",
        "لغو اشتراک",
        "دیگر نمی‌خواهید این ایمیل‌ها را دریافت کنید؟",
        "لغو اشتراک این ایمیل‌ها",
        "لغو اشتراک همهٔ ایمیل‌های این فرستنده",
        "اشتراک شما در این ایمیل‌ها لغو شد.",
        "اشتراک شما در همهٔ ایمیل‌های این فرستنده لغو شد.",
        "این پیوندِ یک ایمیل آزمایشی است و چیزی تغییر نکرد.",
        "این کار اکنون انجام نشد. لطفاً یک دقیقهٔ دیگر دوباره تلاش کنید.",
        "این پیوند معتبر نیست.",
    ),
}

_PAGE = """<!doctype html>
<html lang="{language}" dir="{direction}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>{title}</title><style>
body{{font:17px/1.7 system-ui,"Segoe UI",Tahoma,"Noto Naskh Arabic",sans-serif;margin:0;
background:#f4f4f1;color:#1c1c1a}}
main{{max-width:30rem;margin:12vh auto;padding:2rem;background:#fff;border-radius:12px;box-shadow:0 1px 6px #0002}}
h1{{font-size:1.4rem;margin:0 0 1rem}}
button{{font:inherit;display:block;width:100%;margin-block-start:.8rem;padding:.7rem 1rem;border-radius:8px;
border:1px solid #1c4f3a;background:#1c4f3a;color:#fff;cursor:pointer}}
button+button{{background:#fff;color:#1c4f3a}}
:focus-visible{{outline:3px solid #1a5fb4;outline-offset:2px}}
</style></head><body><main><h1>{title}</h1><p>{text}</p>{form}</main></body></html>
"""


def language_of(accept_language: str) -> Language:
    """The best of our languages for an Accept-Language header (RFC 9110); English otherwise."""
    best: Language = "en"
    quality = 0.0
    for part in accept_language.split(",")[:20]:
        tag, _, parameters = part.strip().partition(";")
        base = tag.split("-")[0].lower()
        try:
            weight = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        if base in _WORDS and weight > quality:
            best, quality = base, weight
    return best


def ask(language: Language) -> str:
    """The page that asks; it posts to its own address."""
    words = _WORDS[language]
    form = (
        f'<form method="post"><button name="scope" value="purpose">{escape(words.leave)}</button>'
        f'<button name="scope" value="all">{escape(words.leave_all)}</button></form>'
    )
    return _page(language, words.question, form)


def done(language: Language, *, everything: bool) -> str:
    """The page that confirms."""
    words = _WORDS[language]
    return _page(language, words.left_all if everything else words.left)


def tell(language: Language, what: Literal["test", "later", "missing"]) -> str:
    """A page with one sentence."""
    return _page(language, getattr(_WORDS[language], what))


def _page(language: Language, text: str, form: str = "") -> str:
    words = _WORDS[language]
    return _PAGE.format(
        language=language, direction=words.direction, title=escape(words.title), text=escape(text), form=form
    )
