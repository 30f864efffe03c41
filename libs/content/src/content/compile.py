"""Content compiled once: what is wrong with it is said here, so that filling it cannot fail."""

import re
import time
from dataclasses import dataclass, field
from html import escape, unescape

from liquid.exceptions import LiquidError

from content.direction import has_rtl
from content.document import (
    before_end_of_body,
    clean,
    dressed,
    footer_markup,
    from_mjml,
    inlined,
    refuse_monsters,
)
from content.errors import at
from content.evaluate import prepare
from content.links import LinkTable
from content.liquid import URL_NAMES, check, syntax_error
from content.markup import Token, scan
from content.model import (
    CompiledMail,
    CompiledVariant,
    ContentWarning,
    Footer,
    MailSource,
    Program,
    Tracking,
    VariantSource,
)
from content.placeholders import URL_ATTRIBUTES, Placeholders, marked
from content.plaintext import anchored, text_from_html, with_links
from content.program import Scope, compile_program
from content.render import is_blank, shows
from content.values import PIXEL
from content.wording import wording_for

CLIPPED_AT = 102 * 1024
CLIPPED = "The HTML is over 102 KB; Gmail cuts such mails off, with the unsubscribe link."
MAX_FILL_S = 0.05
_NONCHARACTERS = re.compile("[\ufdd0-\ufdef\ufffe\uffff\x00]")
_WEB = ("http://", "https://")
_PROBE = "https://unsubscribe.invalid/probe"
_NOWHERE = "https://mail.invalid/"
_SAMPLE = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org", "language": "en"}


@dataclass
class _Variant:
    """The work on one variant."""

    source: VariantSource
    footer: Footer | None
    links: LinkTable
    hidden: Placeholders
    names: set[str] = field(default_factory=set)
    warnings: list[ContentWarning] = field(default_factory=list)
    added_lines: int = 0  # of the text part, by us
    same_subject: bool = False  # whoever gets it

    @property
    def rtl(self) -> bool:
        return self.source.resolved_direction == "rtl"

    def warn(self, part: str, code: str, message: str) -> None:
        self.warnings.append(ContentWarning(variant=self.source.id, part=part, code=code, message=message))

    def checked(self, text: str, part: str) -> str:
        """The author's text without noncharacters; its names noted. Raises ContentError."""
        text = _NONCHARACTERS.sub("", text)
        self.names |= check(text, self.source.language, variant=self.source.id, part=part)
        return text


def compile_mail(source: MailSource, footer: Footer | None = None, tracking: Tracking | None = None) -> CompiledMail:
    """Compile every variant. With a footer, an unsubscribe link and a postal address are required.

    Raises ContentError, naming variant, part, line and how to mend it.
    """
    tracking = tracking or Tracking()
    links = LinkTable(tracking.utm, tracked=tracking.clicks)
    names: set[str] = set()
    warnings: list[ContentWarning] = []
    variants: list[CompiledVariant] = []
    for variant in source.variants:
        parts = [variant.subject, variant.preheader or "", variant.html or "", variant.mjml or "", variant.text or ""]
        work = _Variant(variant, footer, links, Placeholders(variant.id, *parts))
        try:
            variants.append(_compile_variant(work))
        except RecursionError as error:
            raise at(
                variant.id, "html", None, "The content is nested too deeply.", code="content_too_complex"
            ) from error
        names |= work.names
        warnings += work.warnings
    mail = CompiledMail(
        default=source.default,
        fields=tuple(sorted(names - URL_NAMES)),
        variants=tuple(variants),
        links=links.targets(),
        opens=tracking.opens,
        clicks=tracking.clicks,
        warnings=tuple(warnings),
    )
    mail.payload()
    return mail


def _compile_variant(work: _Variant) -> CompiledVariant:
    source = work.source
    if sum(part is not None for part in (source.html, source.mjml)) > 1:
        raise at(source.id, "html", None, "Both html and mjml are given.", "Give one.", code="content_ambiguous")
    if source.html is None and source.mjml is None and source.text is None:
        raise at(source.id, "html", None, "There is no body.", "Give html, mjml or text.", code="content_missing")
    if work.footer is not None and not (work.footer.postal_address or "").strip():
        message = "The workspace has no postal address, which every campaign must show."
        raise at(source.id, "html", None, message, "Set it in the workspace.", code="postal_address_missing")
    subject = _subject(work)
    document = _document(work)
    html = None
    if document is not None:
        html = _program(work, _restored(work, document), "html", markup=True)
    text = _program(work, _text(work, document), "text", markup=False)
    shows = document is not None and re.search(r"<(img|svg|video|hr|table[^>]*background)\b", document, re.IGNORECASE)
    compiled = CompiledVariant(
        id=source.id,
        language=source.language,
        direction=source.resolved_direction,
        subject=subject,
        html=html,
        text=text,
        added_lines=None if shows else work.added_lines,
    )
    _try_out(work, compiled)
    return compiled


def _subject(work: _Variant) -> Program:
    subject = work.checked(work.source.subject, "subject").strip()
    work.same_subject = not work.names  # nothing else was looked at yet
    if not shows(subject):
        raise at(work.source.id, "subject", None, "The subject is empty.", "Give one.", code="subject_missing")
    if re.search("[\r\n\x85\u2028\u2029]", subject):
        message = "The subject has a line break."
        raise at(work.source.id, "subject", None, message, "Write it on one line.", code="header_line_break")
    words = work.hidden.hide(subject, "subject")
    escape_name = "x_line" if work.rtl or has_rtl(words) else "x_line_rtl"
    liquid = anchored(work.hidden.restore(words, escape_name), work.source.resolved_direction)
    return _program(work, liquid, "subject", markup=False)


def _document(work: _Variant) -> str | None:
    """The final HTML, Liquid still hidden in it."""
    source, hidden = work.source, work.hidden
    part = "mjml" if source.mjml is not None else "html"
    written = source.mjml if source.mjml is not None else source.html
    preheader = None
    if source.preheader:
        words = hidden.hide(work.checked(source.preheader, "preheader"), "preheader")
        preheader = hidden.by_place(escape(words, quote=False))
    if written is None:
        return None
    direction = source.resolved_direction
    html = hidden.hide(work.checked(written, part), part)
    refuse_monsters(html, variant=source.id, part=part)
    html = hidden.by_place(html)
    if part == "mjml":
        html = from_mjml(html, source.language, direction, variant=source.id)
    html, removed = clean(html)
    for code, message in removed:
        work.warn(part, code, message)
    lines = _address_lines(work, html)
    work.added_lines = len(lines)
    footer = footer_markup(lines, source.language, direction)
    return inlined(dressed(html, source.language, direction, preheader=preheader, footer=footer))


def _address_lines(work: _Variant, body: str) -> list[str]:
    address = " ".join((work.footer.postal_address or "").split()) if work.footer else ""
    if not address or address in " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split()):
        return []
    return [f"{wording_for(work.source.language).address} {address}"]


def _restored(work: _Variant, html: str) -> str:
    """The document as Liquid, each output escaped for its place, each link marked with its number."""
    hidden = work.hidden
    always = work.rtl or has_rtl(html)
    in_text = "x_bdi" if always else "x_bdi_rtl"
    pieces: list[str] = []
    for token in scan(html):
        piece = html[token.start : token.end]
        if token.kind == "open":
            piece = _restored_tag(work, html, token)
        elif token.kind == "comment":
            inside = hidden.in_comment.fullmatch(piece)
            piece = hidden.restore(piece[4:-3], in_text) if inside else hidden.restore(piece, "x_attr")
        elif token.kind == "raw":
            piece = hidden.restore(piece, "x_css" if token.name == "style" else "x_html")
        else:
            piece = hidden.restore(piece, in_text)
        pieces.append(piece)
    return before_end_of_body("".join(pieces), PIXEL)


def _restored_tag(work: _Variant, html: str, token: Token) -> str:
    pieces, cursor = [], token.start
    for found in token.attributes:
        value = html[found.start : found.end]
        if token.name in ("a", "area") and found.name == "href":
            value = _link(work, unescape(value), value)
        elif work.hidden.pattern.search(value):
            if found.name in URL_ATTRIBUTES:
                value = marked(None, work.hidden.restore_url(unescape(value)))
            else:
                value = work.hidden.restore(value, "x_css" if found.name == "style" else "x_attr")
        pieces += [html[cursor : found.start], value]
        cursor = found.end
    return "".join(pieces) + html[cursor : token.end]


def _link(work: _Variant, url: str, as_is: str) -> str:
    """What stands for a link: marked with its number when it leads to the web, marked without when it is ours."""
    hidden, url = work.hidden, url.strip()
    dynamic = hidden.pattern.search(url) is not None
    if hidden.is_mail_url(url):
        return marked(None, hidden.restore_url(url))
    if url.lower().startswith(_WEB) or (dynamic and hidden.pattern.match(url)):
        number = work.links.number(hidden.as_written(url))
        return marked(number, hidden.restore_url(work.links.tagged(url)))
    if dynamic:
        return marked(None, hidden.restore_url(url))
    if not url.lower().startswith(("#", "mailto:", "tel:", "sms:")):
        work.warn("html", "link_not_absolute", f"The link {url!r} leads nowhere in a mail; begin it with https://.")
        return "#"
    return as_is


def _text(work: _Variant, document: str | None) -> str:
    hidden = work.hidden

    def url_of(url: str) -> str:
        return _link(work, url, url)

    if work.source.text is not None:
        words = hidden.hide(work.checked(work.source.text, "text").replace("\r\n", "\n"), "text")
        text = with_links(words, url_of).strip()
        work.added_lines = 0
    else:
        text = text_from_html(document or "", url_of, own_line=work.rtl, hidden_word=hidden.in_comment)
    lines: list[str] = []
    if work.footer is not None and work.source.text is not None:
        lines = _address_lines(work, escape(text))
        work.added_lines = len(lines)
        if document is not None and "unsubscribe_url" not in work.source.text:
            words = hidden.hide("{{ unsubscribe_url }}", "text")
            lines.append(f"{wording_for(work.source.language).unsubscribe} {url_of(words)}")
    if lines:
        text = "\n\n".join([text, "\n".join(lines)])
    escape_name = "x_text" if work.rtl or has_rtl(text) else "x_text_rtl"
    return anchored(hidden.restore(text, escape_name), work.source.resolved_direction) + "\n"


def _program(work: _Variant, liquid: str, part: str, *, markup: bool) -> Program:
    try:
        return compile_program(liquid, work.source.language, markup=markup)
    except LiquidError as error:
        raise syntax_error(error, work.source.id, part) from error


def _try_out(work: _Variant, compiled: CompiledVariant) -> None:
    """Fill every part once without and once with fields: limits and a hidden unsubscribe link show here."""
    attributes = {name.partition(".")[2]: "7" for name in work.names if name.startswith("attributes.")}
    filled: dict[str, list[str]] = {"subject": [], "html": [], "text": []}
    for data in ({}, {**_SAMPLE, "attributes": attributes}):
        scope = Scope({**data, **dict.fromkeys(URL_NAMES, _NOWHERE), "unsubscribe_url": _PROBE})
        for part, program in (("subject", compiled.subject), ("html", compiled.html), ("text", compiled.text)):
            if program is None:
                continue
            fill = prepare(program, compiled.language)
            try:
                written = fill(scope)
                began = time.thread_time()
                fill(scope)
            except LiquidError as error:
                message = f"The {part} exceeds a limit: {error.message}."
                mend = "Shorten loops (at most 1,000 rounds) and what they write (at most 1 MiB)."
                raise at(compiled.id, part, None, message, mend, code="liquid_limit") from error
            if time.thread_time() - began > MAX_FILL_S:
                message = f"The {part} takes too long to fill for one recipient."
                raise at(compiled.id, part, None, message, "Shorten the loops in it.", code="liquid_limit")
            filled[part].append(written)
            if part != "subject" and work.footer is not None and not _shows_unsubscribe(written, program.markup):
                message = "There is no unsubscribe link, or an if hides it."
                mend = 'Add <a href="{{ unsubscribe_url }}">…</a>' if program.markup else "Add {{ unsubscribe_url }}"
                raise at(
                    compiled.id, part, None, message, f"{mend} where everybody sees it.", code="unsubscribe_missing"
                )
    _judge(work, compiled, filled)


def _judge(work: _Variant, compiled: CompiledVariant, filled: dict[str, list[str]]) -> None:
    """Refuse a mail without a subject; warn where a part is empty or too long once it is filled."""
    untitled = [not shows(written) for written in filled["subject"]]
    if all(untitled) and work.same_subject:
        message = "The subject is empty once it is filled, whoever gets it."
        raise at(compiled.id, "subject", None, message, "Give one.", code="subject_missing")
    if any(untitled):
        who = "nobody" if all(untitled) else "nobody who lacks the fields in it"
        work.warn("subject", "subject_empty", f"The subject is empty once it is filled: {who} will be sent the mail.")
    if any(map(is_clipped, filled["html"])):
        work.warn("html" if work.source.mjml is None else "mjml", "html_clipped", CLIPPED)
    lines, own = compiled.added_lines, {_PROBE, _NOWHERE}
    if lines is not None and all(is_blank(written, lines, own) for written in filled["text"]):
        work.warn("text", "content_empty", "Nothing of the mail is left once it is filled: nobody will be sent it.")


def is_clipped(html: str) -> bool:
    """Whether Gmail would show only the beginning of a filled mail."""
    return len(html.encode()) > CLIPPED_AT


def _shows_unsubscribe(written: str, markup: bool) -> bool:
    return _PROBE in (re.sub(r"<!--.*?-->|<head\b.*?</head>", "", written, flags=re.DOTALL) if markup else written)
