"""An author's HTML or MJML as the document that is sent: cleaned, laid out for its direction, CSS inlined."""

import re
from html import escape

import css_inline
import mrml
from selectolax.lexbor import LexborHTMLParser, LexborNode

from content.errors import at
from content.markup import nesting, scan

REMOVED = (
    "script, noscript, iframe, frame, frameset, object, embed, applet, base, link, form, input, button, select, "
    "textarea, audio, video, svg script, template, meta[http-equiv=refresh], meta[http-equiv=Refresh]"
)
MAX_DEPTH = 256
MAX_NESTING = 500_000
MAX_STYLING = 60_000_000
_UNUSUAL_XML = re.compile(r"<!\[|<\?(?!xml\s[^<>]*\?>)|<!(?!--|doctype\s+\w+\s*>)|--!>|<!--?>", re.IGNORECASE)
_BAD_SCHEME = re.compile(
    r"^[\s\x00-\x20]*(?:j\s*a\s*v\s*a\s*s\s*c\s*r\s*i\s*p\s*t|vbscript|data(?!:image/(?!svg)))\s*:", re.I
)
_BAD_CSS = re.compile(r"expression\s*\(|javascript:|vbscript:|-moz-binding|behavior\s*:|@import", re.IGNORECASE)
_IMPORT = re.compile(r"@import[^;]*;?", re.IGNORECASE)
_URL_HOLDERS = ("href", "src", "action", "background", "poster", "xlink:href", "formaction", "srcset")
_INLINER = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False, keep_style_tags=False)
_CONDITIONAL = ("<!--[if", "<!--<!", "<!-->")


def refuse_monsters(html: str, *, variant: str, part: str) -> None:
    """What would make the tools recurse too deep, or blow up in size. Raises ContentError."""
    deepest, total = nesting(html)
    rules = sum(token.end - token.start for token in scan(html) if token.kind == "raw")
    message = ""
    if deepest > MAX_DEPTH or total > MAX_NESTING:
        message = f"The elements are nested {deepest} deep; at most {MAX_DEPTH} are allowed."
    elif rules * html.count("<") > MAX_STYLING:
        message = "There are too many CSS rules for so many elements."
    elif part == "mjml" and _UNUSUAL_XML.search(html):
        message = "CDATA, processing instructions and unusual comments are not allowed."
    if message:
        raise at(variant, part, None, message, "Simplify it, and close every tag.", code="content_too_complex")


def from_mjml(mjml: str, language: str, direction: str, *, variant: str) -> str:
    """MJML as HTML; nothing is included from disk or network. Raises ContentError."""
    options = mrml.ParserOptions(include_loader=mrml.noop_loader())
    mirrored = _mirrored(mjml, language, direction)
    try:
        return str(mrml.to_html(mirrored, options).content)
    except OSError as error:
        found = re.search(r"position (\d+)", str(error))
        mend = "Remove mj-include, and close every tag; MJML is XML, so & is written &amp; and <br> is <br />."
        line = mirrored.encode()[: int(found[1])].count(b"\n") + 1 if found else None
        raise at(variant, "mjml", line, f"MJML: {error}.", mend, code="mjml_invalid") from error


def _mirrored(mjml: str, language: str, direction: str) -> str:
    """The root with lang and dir, and right-to-left defaults that the author's own attributes override."""
    root = re.search(r"<mjml\b([^>]*)>", mjml)
    if root is None:
        return mjml
    added = "".join(
        f' {name}="{value}"'
        for name, value in (("lang", language), ("dir", direction))
        if not re.search(rf"\s{name}\s*=", root[1])
    )
    mjml = f"{mjml[: root.end() - 1]}{added}>{mjml[root.end() :]}"
    if direction != "rtl":
        return mjml
    defaults = '<mj-section direction="rtl"/><mj-column direction="rtl"/><mj-group direction="rtl"/>'
    defaults += '<mj-text align="right"/><mj-table align="right"/>'
    for opening, before, after in (
        (r"<mj-attributes\s*>", "", ""),
        (r"<mj-head\s*>", "<mj-attributes>", "</mj-attributes>"),
        (r"<mjml\b[^>]*>", "<mj-head><mj-attributes>", "</mj-attributes></mj-head>"),
    ):
        found = re.search(opening, mjml)
        if found:
            return f"{mjml[: found.end()]}{before}{defaults}{after}{mjml[found.end() :]}"
    return mjml


def clean(html: str) -> tuple[str, list[tuple[str, str]]]:
    """The document without scripts and other active content; what was removed, as (code, message)."""
    document = LexborHTMLParser(_without_comments(html))
    warnings: dict[str, str] = {}
    for node in document.css(REMOVED):
        warnings["removed_" + str(node.tag)] = f"<{node.tag}> was removed; mail programs do not show it."
        node.decompose()
    for node in document.css("*"):
        _clean_attributes(node, warnings)
        if node.tag == "style" and _BAD_CSS.search(node.text() or ""):
            warnings["removed_css"] = "@import and scripted CSS were removed; mail programs do not load them."
            _replace_style(node)
    return str(document.html or ""), list(warnings.items())


def _clean_attributes(node: LexborNode, warnings: dict[str, str]) -> None:
    attributes = node.attributes
    for name, value in attributes.items():
        lowered = name.lower()
        if lowered.startswith("on") or lowered in ("srcdoc", "formaction"):
            warnings["removed_handler"] = f"The attribute {name} was removed; mail programs run no scripts."
            del node.attrs[name]
        elif lowered in _URL_HOLDERS and value and _BAD_SCHEME.match(value):
            warnings["removed_url"] = f"A {value.split(':')[0].strip()}: URL was removed."
            del node.attrs[name]
        elif lowered == "style" and value and _BAD_CSS.search(value):
            warnings["removed_css"] = "@import and scripted CSS were removed; mail programs do not load them."
            del node.attrs[name]


def _replace_style(node: LexborNode) -> None:
    text = _BAD_CSS.sub("", _IMPORT.sub("", node.text() or ""))
    fresh = LexborHTMLParser(f"<style>{text}</style>").css_first("style")
    if fresh is None or "<" in text:
        node.decompose()
    else:
        node.replace_with(fresh)


def _without_comments(html: str) -> str:
    """Without the author's comments; Outlook's conditional ones and those that hide Liquid stay."""
    return "".join(
        html[token.start : token.end]
        for token in scan(html)
        if token.kind != "comment" or _is_kept(html[token.start : token.end])
    )


def _is_kept(comment: str) -> bool:
    return comment.startswith(_CONDITIONAL) or re.fullmatch(r"<!--zlq+\d+z-->", comment) is not None


def dressed(html: str, language: str, direction: str, *, preheader: str | None, footer: str) -> str:
    """A whole document: doctype, charset, lang and dir on root and body, preheader first, footer last."""
    html = re.sub(r"^\s*<!doctype[^>]*>", "", html, flags=re.IGNORECASE)
    html = _with_attributes(html, "html", language, direction)
    html = _with_attributes(html, "body", language, direction)
    head = ""
    lowered = html.lower()
    if "charset" not in lowered:
        head += '<meta charset="utf-8">'
    if 'name="viewport"' not in lowered:
        head += '<meta name="viewport" content="width=device-width, initial-scale=1">'
    html = re.sub(r"<head\b[^>]*>", lambda m: m[0] + head, html, count=1, flags=re.IGNORECASE)
    if preheader:
        hidden = "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden"
        shown = f'<div style="{hidden};mso-hide:all">{preheader}{"&#8204;&nbsp;" * 40}</div>'
        html = re.sub(r"<body\b[^>]*>", lambda m: m[0] + shown, html, count=1, flags=re.IGNORECASE)
    return "<!doctype html>" + before_end_of_body(html, footer)


def _with_attributes(html: str, tag: str, language: str, direction: str) -> str:
    found = re.search(rf"<{tag}\b([^>]*)>", html, re.IGNORECASE)
    if found is None:
        return html
    rest = re.sub(r"\s(?:dir|lang)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)", "", found[1], flags=re.IGNORECASE)
    return f'{html[: found.start()]}<{tag}{rest} lang="{escape(language)}" dir="{direction}">{html[found.end() :]}'


def before_end_of_body(html: str, added: str) -> str:
    """The HTML with something added as the body's last content."""
    index = html.lower().rfind("</body")
    return html + added if index < 0 else html[:index] + added + html[index:]


def footer_markup(lines: list[str], language: str, direction: str) -> str:
    """The postal address in small grey type."""
    if not lines:
        return ""
    style = "margin:0 auto;max-width:600px;padding:16px 24px;font-family:Tahoma,Arial,sans-serif;font-size:12px;"
    style += "line-height:1.8;color:#5f6b7a;text-align:center"
    body = "<br>".join(escape(line) for line in lines)
    return f'<div lang="{escape(language)}" dir="{direction}" style="{style}">{body}</div>'


def inlined(html: str) -> str:
    """The rules of style elements moved into style attributes; @media rules stay."""
    return str(_INLINER.inline(html))
