"""Double opt-in: the mail that asks, and the pages its link leads to."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from contacts.domain.pages.languages import DIRECTIONS, Language
from contacts.domain.pages.layout import button, frame, paragraph, said


@dataclass(frozen=True, slots=True)
class _Words:
    subject: str
    ask: str
    press: str
    ignore: str
    title: str
    confirm: str
    confirmed: str
    already: str
    expired: str
    again: str
    asked: str
    missing: str
    later: str


_WORDS: Mapping[Language, _Words] = {
    "en": _Words(
        "Please confirm your subscription",
        "Somebody, we hope you, asked that {name} write to this address:",
        "Confirm my subscription",
        "If it was not you, do nothing: without your confirmation nothing will be sent.",
        "Confirm your subscription",
        "Press the button to confirm that you want these e-mails:",
        "Thank you. Your subscription is confirmed.",
        "Your subscription was confirmed already.",
        "This link is older than seven days and no longer works.",
        "Send me a new link",
        "If this address waits for a confirmation, a new link is on its way. It is sent at most once a day.",
        "This link is not valid.",
        "This did not work just now. Please try again in a minute.",
    ),
    "ar": _Words(
        "يُرجى تأكيد اشتراكك",
        "طلب أحدهم، ونأمل أن يكون أنت، أن يراسل {name} هذا العنوان:",
        "تأكيد اشتراكي",
        "إن لم تكن أنت من طلب ذلك فلا تفعل شيئًا؛ فلن يُرسَل أي شيء من دون تأكيدك.",
        "تأكيد الاشتراك",
        "اضغط الزر لتأكيد رغبتك في تلقّي هذه الرسائل:",
        "شكرًا لك. تم تأكيد اشتراكك.",
        "سبق أن تم تأكيد اشتراكك.",
        "مضى على هذا الرابط أكثر من سبعة أيام ولم يعد صالحًا.",
        "أرسلوا إليّ رابطًا جديدًا",
        "إن كان هذا العنوان بانتظار التأكيد فسيصله رابط جديد. يُرسَل الرابط مرة واحدة في اليوم على الأكثر.",
        "هذا الرابط غير صالح.",
        "تعذّر تنفيذ الطلب الآن. يُرجى المحاولة بعد دقيقة.",
    ),
    "fa": _Words(
        "لطفاً اشتراک خود را تأیید کنید",
        "کسی، امیدواریم خود شما، خواسته است که {name} به این نشانی ایمیل بفرستد:",
        "اشتراک من را تأیید کن",
        "اگر شما این درخواست را نداده‌اید کاری نکنید؛ بدون تأیید شما چیزی فرستاده نمی‌شود.",
        "تأیید اشتراک",
        "برای تأیید این که این ایمیل‌ها را می‌خواهید دکمه را بزنید:",
        "سپاسگزاریم. اشتراک شما تأیید شد.",
        "اشتراک شما پیش‌تر تأیید شده است.",
        "از این پیوند بیش از هفت روز گذشته است و دیگر کار نمی‌کند.",
        "پیوند تازه‌ای برایم بفرستید",
        "اگر این نشانی در انتظار تأیید باشد پیوند تازه‌ای در راه است. پیوند حداکثر روزی یک بار فرستاده می‌شود.",
        "این پیوند معتبر نیست.",
        "این کار اکنون انجام نشد. لطفاً یک دقیقهٔ دیگر دوباره تلاش کنید.",
    ),
}

_MAIL = """<!doctype html><html lang="{language}" dir="{direction}"><head><meta charset="utf-8"></head>
<body style="margin:0;background:#f4f4f1">
<div dir="{direction}" style="max-width:32rem;margin:0 auto;padding:24px;background:#ffffff;color:#1c1c1a;
font-family:'Segoe UI',Tahoma,Arial,sans-serif;font-size:16px;line-height:1.7;text-align:start">
<p>{ask}</p><p dir="auto"><strong>{wording}</strong></p>
<p style="margin:24px 0"><a href="{url}" style="background:#1c4f3a;color:#ffffff;padding:12px 20px;border-radius:8px;
text-decoration:none;display:inline-block">{press}</a></p>
<p>{ignore}</p>{address}</div></body></html>
"""


def mail(language: Language, name: str, wording: str, url: str, postal_address: str | None) -> dict[str, Any]:
    """The mail, compiled as campaigns compiles (content.CompiledMail): nothing in it is left to be filled."""
    words = _WORDS[language]
    ask = words.ask.format(name=name)
    html = _MAIL.format(
        language=language,
        direction=DIRECTIONS[language],
        ask=escape(ask),
        wording=escape(wording),
        url=escape(url),
        press=escape(words.press),
        ignore=escape(words.ignore),
        address=f'<p dir="auto" style="color:#55554e">{escape(postal_address)}</p>' if postal_address else "",
    )
    text = "\n\n".join(filter(None, (ask, wording, f"{words.press}:\n{url}", words.ignore, postal_address)))
    variant = {
        "id": language,
        "language": language,
        "direction": DIRECTIONS[language],
        "subject": {"segments": [words.subject]},
        "html": {"markup": True, "segments": [html]},
        "text": {"segments": [text + "\n"]},
    }
    return {"default": language, "variants": [variant], "opens": False, "clicks": False}


def ask(language: Language, wording: str) -> str:
    """The page of the link. Reading it confirms nothing: scanners read links."""
    words = _WORDS[language]
    body = (
        paragraph(words.confirm)
        + f"<p dir=auto><strong>{escape(wording)}</strong></p>"
        + f'<form method="post">{button(words.press)}</form>'
    )
    return frame(language, words.title, body)


def done(language: Language, *, already: bool) -> str:
    """It is confirmed."""
    words = _WORDS[language]
    return frame(language, words.title, said(words.already if already else words.confirmed))


def expired(language: Language) -> str:
    """The link is too old; a new one can be asked for."""
    words = _WORDS[language]
    again = f'<form method="post">{button(words.again, "again", "1")}</form>'
    return frame(language, words.title, paragraph(words.expired) + again)


def tell(language: Language, what: Literal["asked", "missing", "later"]) -> str:
    """A page with one sentence."""
    words = _WORDS[language]
    return frame(language, words.title, said(getattr(words, what)))
