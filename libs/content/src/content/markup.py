"""A small HTML scanner that keeps offsets: what stands where, so that each value is escaped for its place."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Literal

Kind = Literal["text", "open", "close", "comment", "raw", "declaration"]

_TAG_START = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
_COMMENT_END = re.compile(r"--!?>")
# As HTML reads them: a name may hold quotes, and only a quote right after "=" begins a quoted value.
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?""")
_RAW_TEXT = frozenset(
    {"style", "script", "title", "textarea", "iframe", "noframes", "noembed", "xmp", "plaintext"}
    | {"mj-style", "mj-title", "mj-preview"}
)
_CLOSE_THEMSELVES = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
    | {"p", "li", "td", "th", "tr", "tbody", "thead", "tfoot", "dt", "dd", "option"}
)
BLOCKS = frozenset(
    [
        "p",
        "div",
        "table",
        "tr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "blockquote",
        "section",
        "article",
        "header",
        "footer",
        "center",
        "hr",
        "br",
        "pre",
        "dl",
        "dt",
        "dd",
        "address",
        "figure",
        "main",
        "nav",
        "body",
    ]
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute, with the span of its value."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Token:
    """One token: a tag, a run of text, a comment, the content of style, script or title."""

    kind: Kind
    start: int
    end: int
    name: str = ""
    attributes: tuple[Attribute, ...] = ()


def scan(html: str) -> Iterator[Token]:
    """The tokens of a text, without gaps."""
    position, text_start = 0, 0
    while True:
        position = html.find("<", position)
        if position < 0:
            break
        token = _token_at(html, position)
        if token is None:
            position += 1
            continue
        if text_start < position:
            yield Token("text", text_start, position)
        yield token
        position = text_start = token.end
        if token.kind == "open" and token.name in _RAW_TEXT:
            close = re.compile(rf"</{re.escape(token.name)}[\s/>]", re.IGNORECASE).search(html, position)
            end = close.start() if close else len(html)
            if end > position:
                yield Token("raw", position, end, token.name)
            position = text_start = end
    if text_start < len(html):
        yield Token("text", text_start, len(html))


def _token_at(html: str, position: int) -> Token | None:
    if html.startswith(("<!-->", "<!--->"), position):
        return Token("comment", position, html.index(">", position) + 1)
    if html.startswith("<!--", position):
        ended = _COMMENT_END.search(html, position + 4)
        return Token("comment", position, ended.end() if ended else len(html))
    if html.startswith(("<!", "<?"), position):
        end = html.find(">", position)
        return Token("declaration", position, len(html) if end < 0 else end + 1)
    match = _TAG_START.match(html, position)
    if match is None:
        return None
    cursor, attributes = match.end(), []
    while (found := _ATTRIBUTE.match(html, cursor)) is not None:
        group = next((g for g in (2, 3, 4) if found[g] is not None), 1)
        start, end = (found.end(1), found.end(1)) if group == 1 else found.span(group)
        attributes.append(Attribute(found[1].lower(), start, end))
        cursor = found.end()
    end = html.find(">", cursor)
    kind: Kind = "close" if match[1] else "open"
    return Token(kind, position, len(html) if end < 0 else end + 1, match[2].lower(), tuple(attributes))


def attribute(html: str, token: Token, name: str) -> str | None:
    """An attribute's value, entities resolved."""
    found = next((a for a in token.attributes if a.name == name), None)
    return unescape(html[found.start : found.end]) if found else None


def nesting(html: str) -> tuple[int, int]:
    """How deep elements may nest, at most, in whatever way a parser reads the text; and the sum over all elements.

    The tools behind us recurse, and crash the process where they are too deep; so this never guesses too low.
    """
    depth = deepest = total = 0
    opened: Counter[str] = Counter()
    for token in scan(html):
        if token.kind == "open" and token.name not in _CLOSE_THEMSELVES:
            opened[token.name] += 1
            depth += 1
        elif token.kind == "close" and opened[token.name]:
            opened[token.name] -= 1
            depth -= 1
        elif token.kind == "raw":
            depth += len(_TAG_START.findall(html, token.start, token.end))
        deepest = max(deepest, depth)
        total += depth if token.kind == "open" else 0
    return deepest, total
