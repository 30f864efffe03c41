"""The preference centre's page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal
from uuid import UUID

from contacts.domain.pages.languages import Language
from contacts.domain.pages.layout import button, checkbox, frame, paragraph, said


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    address: str
    purposes: str
    pause: str
    pause_hint: str
    no_pause: str
    days: str
    paused: str
    resume: str
    keep: str
    tracking: str
    tracking_label: str
    save: str
    leave_all: str
    saved: str
    left_all: str
    blocked: str
    test: str
    missing: str
    later: str


_WORDS: Mapping[Language, _Words] = {
    "en": _Words(
        "Your e-mail preferences",
        "For {address}",
        "What do you want to receive?",
        "Would you like a break?",
        "You get nothing until it is over, and stay subscribed.",
        "No break",
        "{days} days",
        "Days left of your break: {days}",
        "End the break now",
        "Leave the break as it is",
        "Measuring",
        "The sender may see whether I open these e-mails and which links I follow.",
        "Save",
        "Unsubscribe from everything",
        "Your choices are saved.",
        "You are unsubscribed from everything by this sender.",
        "The sender has stopped all mail to this address, whatever you choose here.",
        "This is the link of a test mail: nothing can be changed with it.",
        "This link is not valid.",
        "This did not work just now. Please try again in a minute.",
    ),
    "ar": _Words(
        "تفضيلات البريد الإلكتروني",
        "للعنوان {address}",
        "ما الذي ترغب في تلقّيه؟",
        "هل ترغب في استراحة؟",
        "لن يصلك شيء حتى تنتهي، ويبقى اشتراكك قائمًا.",
        "من دون استراحة",
        "{days} يومًا",
        "الأيام المتبقية من استراحتك: {days}",
        "إنهاء الاستراحة الآن",
        "إبقاء الاستراحة كما هي",
        "القياس",
        "يجوز للمُرسِل أن يعرف إن كنتُ أفتح هذه الرسائل وأي الروابط أتبع.",
        "حفظ",
        "إلغاء الاشتراك في كل شيء",
        "حُفظت اختياراتك.",
        "أُلغي اشتراكك في كل رسائل هذا المُرسِل.",
        "أوقف المُرسِل كل الرسائل إلى هذا العنوان، أيًّا كان ما تختاره هنا.",
        "هذا رابط رسالة تجريبية، ولا يمكن تغيير شيء به.",
        "هذا الرابط غير صالح.",
        "تعذّر تنفيذ الطلب الآن. يُرجى المحاولة بعد دقيقة.",
    ),
    "fa": _Words(
        "ترجیح‌های ایمیل شما",
        "برای {address}",
        "چه چیزهایی می‌خواهید دریافت کنید؟",
        "می‌خواهید مدتی استراحت کنید؟",
        "تا پایان آن چیزی دریافت نمی‌کنید و اشتراک شما می‌ماند.",
        "بدون استراحت",
        "{days} روز",
        "روزهای باقی‌ماندهٔ استراحت شما: {days}",
        "همین حالا استراحت را تمام کن",
        "استراحت همان‌طور که هست بماند",
        "سنجش",
        "فرستنده می‌تواند ببیند که این ایمیل‌ها را باز می‌کنم و کدام پیوندها را دنبال می‌کنم.",
        "ذخیره",
        "لغو اشتراک همه چیز",
        "انتخاب‌های شما ذخیره شد.",
        "اشتراک شما در همهٔ ایمیل‌های این فرستنده لغو شد.",
        "فرستنده همهٔ ایمیل‌ها به این نشانی را متوقف کرده است، هر چه این‌جا انتخاب کنید.",
        "این پیوندِ یک ایمیل آزمایشی است و با آن چیزی تغییر نمی‌کند.",
        "این پیوند معتبر نیست.",
        "این کار اکنون انجام نشد. لطفاً یک دقیقهٔ دیگر دوباره تلاش کنید.",
    ),
}
_DIGITS: Mapping[Language, dict[int, int]] = {
    "en": {},
    "ar": str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"),
    "fa": str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows of a purpose."""

    id: UUID
    wording: str
    wanted: bool


def masked(email: str) -> str:
    """An address that its owner knows again, and somebody whom the mail was forwarded to does not learn."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}•••@{domain}"


def page(
    language: Language,
    email: str,
    purposes: Sequence[Shown],
    *,
    tracking: bool,
    paused_days: int | None,
    blocked: bool,
    pauses: Sequence[int],
    done: Literal["saved", "left_all"] | None = None,
) -> str:
    """The whole page. It posts to its own address. `paused_days`: how long a pause that there is goes on."""
    words = _WORDS[language]
    address = f'<bdi dir="ltr">{escape(masked(email))}</bdi>'
    parts = [f"<p>{escape(words.address).format(address=address)}</p>"]
    if done is not None:
        parts.insert(0, said(getattr(words, done)))
    if blocked and done != "left_all":
        parts.append(f'<p class="alert">{escape(words.blocked)}</p>')
    boxes = "".join(
        f'<input type="hidden" name="shown" value="{one.id}">'
        + checkbox(f"p{n}", "purpose", str(one.id), one.wording, checked=one.wanted, own=True)
        for n, one in enumerate(purposes)
    )
    form = _group(words.purposes, boxes)
    if any(one.wanted for one in purposes):
        form += _pause(language, paused_days, pauses)
    form += _group(words.tracking, checkbox("tracking", "tracking", "1", words.tracking_label, checked=tracking))
    parts.append(f'<form method="post">{form}{button(words.save, "action", "save")}</form>')
    if any(one.wanted for one in purposes):
        leave = button(words.leave_all, "action", "leave_all", second=True)
        parts.append(f'<form method="post">{leave}</form>')
    return frame(language, words.title, "\n".join(parts))


def tell(language: Language, what: Literal["test", "missing", "later"]) -> str:
    """A page with one sentence."""
    words = _WORDS[language]
    return frame(language, words.title, paragraph(getattr(words, what)))


def _pause(language: Language, paused_days: int | None, pauses: Sequence[int]) -> str:
    words = _WORDS[language]
    options = [("0", words.no_pause if paused_days is None else words.resume)]
    options += [(str(days), words.days.format(days=_number(language, days))) for days in pauses]
    hint = paragraph(words.pause_hint).replace("<p>", '<p class="hint">')
    if paused_days is not None:
        options.insert(0, ("keep", words.keep))
        # Not the date: readers of one language go by different calendars.
        hint = paragraph(words.paused.format(days=_number(language, paused_days)))
    radios = "".join(
        f'<div class="choice"><input type="radio" id="b{n}" name="pause" value="{value}"{" checked" if n == 0 else ""}>'
        f'<label for="b{n}">{escape(label)}</label></div>'
        for n, (value, label) in enumerate(options)
    )
    return _group(words.pause, hint + radios)


def _number(language: Language, n: int) -> str:
    return str(n).translate(_DIGITS[language])


def _group(legend: str, body: str) -> str:
    return f"<fieldset><legend>{escape(legend)}</legend><div>{body}</div></fieldset>"
