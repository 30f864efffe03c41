"""A form's page."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Literal

from contacts.domain.forms import ATTRIBUTE, TRAP, FormDefinition, FormField, Problem
from contacts.domain.pages.languages import Language
from contacts.domain.pages.layout import button, checkbox, frame, paragraph, said
from contacts.domain.values import AttributeType

Refusal = Literal["too_fast", "old"]


@dataclass(frozen=True, slots=True)
class _Words:
    email: str
    required: str
    choose: str
    tracking: str
    send: str
    thanks: str
    check_mail: str
    check: str
    missing: str
    invalid_email: str
    invalid_value: str
    too_long: str
    not_offered: str
    too_fast: str
    old: str
    too_many: str
    closed_title: str
    closed: str
    later: str


_WORDS: Mapping[Language, _Words] = {
    "en": _Words(
        "E-mail address",
        "required",
        "Please choose",
        "The sender may see whether I open these e-mails and which links I follow.",
        "Subscribe",
        "Thank you.",
        "Thank you. Please look into your mailbox and confirm there that you want these e-mails.",
        "Please look at the marked fields again.",
        "Please fill this in.",
        "Please write one address, such as name@example.org.",
        "This does not fit here.",
        "This is too long.",
        "Please choose one of the options.",
        "That was very quick. Please press the button once more.",
        "The page was open for long. Please press the button once more.",
        "Too many forms came from here. Please try again in an hour.",
        "Form",
        "There is no such form.",
        "This did not work just now. Please try again in a minute.",
    ),
    "ar": _Words(
        "البريد الإلكتروني",
        "مطلوب",
        "يُرجى الاختيار",
        "يجوز للمُرسِل أن يعرف إن كنتُ أفتح هذه الرسائل وأي الروابط أتبع.",
        "اشتراك",
        "شكرًا لك.",
        "شكرًا لك. يُرجى تفقّد بريدك وتأكيد رغبتك في تلقّي هذه الرسائل من هناك.",
        "يُرجى مراجعة الحقول المُعلَّمة.",
        "يُرجى ملء هذا الحقل.",
        "يُرجى كتابة عنوان واحد مثل name@example.org.",
        "هذه القيمة غير مناسبة هنا.",
        "هذا النص طويل جدًا.",
        "يُرجى اختيار أحد الخيارات.",
        "كان ذلك سريعًا جدًا. يُرجى ضغط الزر مرة أخرى.",
        "بقيت الصفحة مفتوحة مدة طويلة. يُرجى ضغط الزر مرة أخرى.",
        "وصلت من هنا نماذج كثيرة. يُرجى المحاولة بعد ساعة.",
        "نموذج",
        "لا يوجد نموذج كهذا.",
        "تعذّر تنفيذ الطلب الآن. يُرجى المحاولة بعد دقيقة.",
    ),
    "fa": _Words(
        "نشانی ایمیل",
        "الزامی",
        "لطفاً انتخاب کنید",
        "فرستنده می‌تواند ببیند که این ایمیل‌ها را باز می‌کنم و کدام پیوندها را دنبال می‌کنم.",
        "عضویت",
        "سپاسگزاریم.",
        "سپاسگزاریم. لطفاً صندوق ایمیل خود را ببینید و آن‌جا تأیید کنید که این ایمیل‌ها را می‌خواهید.",
        "لطفاً فیلدهای مشخص‌شده را دوباره ببینید.",
        "لطفاً این را پر کنید.",
        "لطفاً یک نشانی مانند name@example.org بنویسید.",
        "این مقدار این‌جا درست نیست.",
        "این متن بیش از اندازه بلند است.",
        "لطفاً یکی از گزینه‌ها را انتخاب کنید.",
        "خیلی سریع بود. لطفاً دکمه را یک بار دیگر بزنید.",
        "صفحه مدت زیادی باز بود. لطفاً دکمه را یک بار دیگر بزنید.",
        "فرم‌های زیادی از این‌جا آمد. لطفاً یک ساعت دیگر دوباره تلاش کنید.",
        "فرم",
        "چنین فرمی وجود ندارد.",
        "این کار اکنون انجام نشد. لطفاً یک دقیقهٔ دیگر دوباره تلاش کنید.",
    ),
}
_INPUTS: Mapping[AttributeType, str] = {"text": "text", "number": "number", "date": "date", "boolean": "checkbox"}
_AUTOCOMPLETE = {
    "first_name": "given-name", "last_name": "family-name", "country": "country", "phone": "tel",
    "company": "organization", "city": "address-level2",
}  # fmt: skip


def page(
    definition: FormDefinition,
    types: Mapping[str, AttributeType],
    language: Language,
    wording: str,
    token: str,
    typed: Mapping[str, str],
    *,
    wrong: Mapping[str, Problem] = {},
    refused: Refusal | None = None,
) -> str:
    """The page, with what was typed before and what is wrong with it. It posts to its own address."""
    words, texts = _WORDS[language], definition.texts[language]
    parts = [paragraph(line, own=True) for line in texts.intro.splitlines() if line.strip()]
    parts.append(f'<p class="hint" dir="auto">{escape(wording)}</p>')
    if wrong or refused:
        parts.insert(0, f'<p class="alert" role="alert">{escape(getattr(words, refused or "check"))}</p>')
    fields = [
        _input(language, "email", words.email, "email", typed.get("email", ""), wrong.get("email"), required=True)
    ]
    fields += [_field(one, types, language, typed, wrong.get(one.name)) for one in definition.fields]
    if definition.ask_tracking:
        checked = typed.get("tracking") == "1"
        fields.append(
            '<div class="field">' + checkbox("tracking", "tracking", "1", words.tracking, checked=checked) + "</div>"
        )
    trap = (
        f'<div class="trap" aria-hidden="true"><label for="{TRAP}">URL</label>'
        f'<input id="{TRAP}" name="{TRAP}" tabindex="-1" autocomplete="off"></div>'
    )
    hidden = f'<input type="hidden" name="t" value="{token}">'
    send = button(texts.button or words.send)
    parts.append(f'<form method="post" novalidate>{hidden}{"".join(fields)}{trap}{send}</form>')
    return frame(language, texts.title, "\n".join(parts), own=True)


def thanks(definition: FormDefinition, language: Language) -> str:
    """The same for everybody: who is known, is not told to whoever asks."""
    texts = definition.texts[language]
    return frame(language, texts.title, said(thanks_text(definition, language)), own=True)


def thanks_text(definition: FormDefinition, language: Language) -> str:
    """What the thank-you page says."""
    words = _WORDS[language]
    return definition.texts[language].thanks or (words.check_mail if definition.double_opt_in else words.thanks)


def tell(language: Language, what: Literal["closed", "later", "too_many"]) -> str:
    """A page with one sentence."""
    words = _WORDS[language]
    return frame(language, words.closed_title, paragraph(getattr(words, what)))


def explanation(language: Language, problem: str) -> str:
    """What is wrong, in words."""
    text: str = getattr(_WORDS[language], problem)
    return text


def _field(
    one: FormField,
    types: Mapping[str, AttributeType],
    language: Language,
    typed: Mapping[str, str],
    problem: Problem | None,
) -> str:
    value = typed.get(one.name, one.value)
    if one.hidden:
        return f'<input type="hidden" name="{escape(one.name)}" value="{escape(value)}">' if one.from_query else ""
    label = one.label[language]
    if one.options:
        return _select(one, language, label, value, problem)
    kind = types.get(one.name.removeprefix(ATTRIBUTE), "text") if one.name.startswith(ATTRIBUTE) else "text"
    if kind == "boolean":
        box = checkbox(_id(one.name), one.name, "1", label, checked=value == "1", own=True)
        return f'<div class="field">{box}</div>'
    shown = "tel" if one.name == "phone" else _INPUTS[kind]
    return _input(language, one.name, label, shown, value, problem, required=one.required)


def _input(
    language: Language, name: str, label: str, kind: str, value: str, problem: Problem | None, *, required: bool
) -> str:
    id_ = _id(name)
    direction = "ltr" if kind in ("email", "tel", "number", "date") else "auto"
    complete = "email" if kind == "email" else _AUTOCOMPLETE.get(name, "off")
    step = ' step="any"' if kind == "number" else ""
    return (
        f'<div class="field">{_label(language, id_, label, required=required)}'
        f'<input id="{id_}" name="{escape(name)}" type="{kind}" value="{escape(value)}" dir="{direction}"'
        f' autocomplete="{complete}"{step}{_state(id_, problem, required=required)}>'
        f"{_wrong(language, id_, problem)}</div>"
    )


def _select(one: FormField, language: Language, label: str, value: str, problem: Problem | None) -> str:
    id_ = _id(one.name)
    options = [f'<option value="">{escape(_WORDS[language].choose)}</option>']
    options += [
        f'<option value="{escape(option.value)}"{" selected" if option.value == value else ""}>'
        f"{escape(option.label.get(language) or option.value)}</option>"
        for option in one.options
    ]
    return (
        f'<div class="field">{_label(language, id_, label, required=one.required)}'
        f'<select id="{id_}" name="{escape(one.name)}"{_state(id_, problem, required=one.required)}>{"".join(options)}'
        f"</select>{_wrong(language, id_, problem)}</div>"
    )


def _label(language: Language, id_: str, label: str, *, required: bool) -> str:
    note = f' <span class="hint">({escape(_WORDS[language].required)})</span>' if required else ""
    return f'<label for="{id_}"><bdi>{escape(label)}</bdi>{note}</label>'


def _state(id_: str, problem: Problem | None, *, required: bool) -> str:
    wrong = f' aria-invalid="true" aria-describedby="{id_}-wrong"' if problem else ""
    return (" required" if required else "") + wrong


def _wrong(language: Language, id_: str, problem: Problem | None) -> str:
    return f'<p class="wrong" id="{id_}-wrong">{escape(explanation(language, problem))}</p>' if problem else ""


def _id(name: str) -> str:
    return "f-" + name.replace(".", "-")
