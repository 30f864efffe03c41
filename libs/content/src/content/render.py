"""A compiled mail filled for one recipient. Total: whatever the fields hold, a mail comes out."""

import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from content.evaluate import Fill, prepare, prepare_encoded
from content.model import CompiledMail, CompiledVariant
from content.program import Scope
from content.quoted import quoted_piece

SHORT = 4000  # bytes of quoted-printable: what is longer shows something
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_UNSEEN = dict.fromkeys(map(ord, "\u200e\u200f\u2066\u2067\u2068\u2069\ufeff\u200b\u200c\u200d"))


@dataclass(frozen=True, slots=True)
class RenderContext:
    """One recipient. `link` rewrites tracked links, by number and URL; without `pixel_url` no opens are tracked.

    `hidden_url`: a link that no person sees; whoever follows it is a machine.
    """

    fields: Mapping[str, object] = field(default_factory=dict)
    unsubscribe_url: str = ""
    preferences_url: str = ""
    browser_url: str = ""
    link: Callable[[int, str], str] | None = None
    pixel_url: str | None = None
    hidden_url: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """The mail as this recipient gets it."""

    subject: str
    html: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """The same with the bodies in quoted-printable, for `mime.build`. `blank`: nobody would read anything in it."""

    subject: str
    html: bytes | None
    text: bytes
    blank: bool = False


@dataclass(frozen=True, slots=True)
class _Ready:
    subject: Fill
    html: Fill | None
    text: Fill
    html_encoded: Callable[[Scope], bytes] | None
    text_encoded: Callable[[Scope], bytes]
    added_lines: int | None


def render(mail: CompiledMail, variant_id: str, context: RenderContext) -> Rendered:
    """Fill a variant (an unknown id: the default). The compiled mail is prepared once and kept."""
    ready, scope = _ready(mail, variant_id), _scope(mail, context)
    return Rendered(
        subject=_one_line(ready.subject(scope)),
        html=ready.html(scope) if ready.html else None,
        text=ready.text(scope),
    )


def render_encoded(mail: CompiledMail, variant_id: str, context: RenderContext) -> Encoded:
    """The same mail for sending: static text was encoded when the variant was first used."""
    ready, scope = _ready(mail, variant_id), _scope(mail, context)
    text = ready.text_encoded(scope)
    blank = False
    if ready.added_lines is not None and len(text) < SHORT:
        own = {context.unsubscribe_url, context.preferences_url, context.browser_url} - {""}
        blank = is_blank(ready.text(scope), ready.added_lines, own)
    return Encoded(
        subject=_one_line(ready.subject(scope)),
        html=ready.html_encoded(scope) if ready.html_encoded else None,
        text=text,
        blank=blank,
    )


def is_blank(text: str, added_lines: int, urls: Collection[str]) -> bool:
    """Whether a rendered text shows nothing of its author's but links to `urls`, which lead away from the list.

    `added_lines`: how many of its lines others than the author put there.
    """
    shown = 0
    for line in text.translate(_UNSEEN).split("\n"):
        words = line.strip()
        if any(url in words for url in urls):
            # What the link says stands before it, or on a line of its own.
            shown -= words in urls and shown > 0
        elif words:
            shown += 1
    return shown <= added_lines


def shows(text: str) -> bool:
    """Whether a reader sees anything of it: not blanks, marks of direction and joiners alone."""
    return any(unicodedata.category(one) not in _INVISIBLE for one in text)


def _one_line(subject: str) -> str:
    return " ".join(subject.split())


def _scope(mail: CompiledMail, context: RenderContext) -> Scope:
    data = {
        **context.fields,
        "unsubscribe_url": context.unsubscribe_url,
        "preferences_url": context.preferences_url,
        "browser_url": context.browser_url,
    }
    return Scope(
        data,
        context.link if mail.clicks else None,
        context.pixel_url if mail.opens else None,
        context.hidden_url if mail.clicks else None,
    )


def _ready(mail: CompiledMail, variant_id: str) -> _Ready:
    ready = mail._ready.get(variant_id)
    if ready is None:
        ready = mail._ready[variant_id] = _prepare(_variant(mail, variant_id))
    return ready


def _variant(mail: CompiledMail, variant_id: str) -> CompiledVariant:
    by_id = {variant.id: variant for variant in mail.variants}
    return by_id.get(variant_id) or by_id.get(mail.default) or mail.variants[0]


def _prepare(variant: CompiledVariant) -> _Ready:
    return _Ready(
        subject=prepare(variant.subject, variant.language),
        html=prepare(variant.html, variant.language) if variant.html else None,
        text=prepare(variant.text, variant.language),
        html_encoded=prepare_encoded(variant.html, variant.language, quoted_piece) if variant.html else None,
        text_encoded=prepare_encoded(variant.text, variant.language, quoted_piece),
        added_lines=variant.added_lines,
    )
