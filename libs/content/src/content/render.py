"""A compiled mail filled for one recipient. Total: whatever the fields hold, a mail comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from content.evaluate import Fill, prepare
from content.model import CompiledMail, CompiledVariant
from content.program import Scope


@dataclass(frozen=True, slots=True)
class RenderContext:
    """One recipient. `link` rewrites tracked links, by number and URL; without `pixel_url` no opens are tracked."""

    fields: Mapping[str, object] = field(default_factory=dict)
    unsubscribe_url: str = ""
    preferences_url: str = ""
    browser_url: str = ""
    link: Callable[[int, str], str] | None = None
    pixel_url: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """The mail as this recipient gets it."""

    subject: str
    html: str | None
    text: str


@dataclass(frozen=True, slots=True)
class _Ready:
    subject: Fill
    html: Fill | None
    text: Fill


def render(mail: CompiledMail, variant_id: str, context: RenderContext) -> Rendered:
    """Fill a variant (an unknown id: the default). The compiled mail is prepared once and kept."""
    ready = mail._ready.get(variant_id)
    if ready is None:
        ready = mail._ready[variant_id] = _prepare(_variant(mail, variant_id))
    data = {
        **context.fields,
        "unsubscribe_url": context.unsubscribe_url,
        "preferences_url": context.preferences_url,
        "browser_url": context.browser_url,
    }
    scope = Scope(data, context.link if mail.clicks else None, context.pixel_url if mail.opens else None)
    return Rendered(
        subject=" ".join(ready.subject(scope).split()),
        html=ready.html(scope) if ready.html else None,
        text=ready.text(scope),
    )


def _variant(mail: CompiledMail, variant_id: str) -> CompiledVariant:
    by_id = {variant.id: variant for variant in mail.variants}
    return by_id.get(variant_id) or by_id.get(mail.default) or mail.variants[0]


def _prepare(variant: CompiledVariant) -> _Ready:
    return _Ready(
        subject=prepare(variant.subject, variant.language),
        html=prepare(variant.html, variant.language) if variant.html else None,
        text=prepare(variant.text, variant.language),
    )
