"""The text part: made from the HTML when its author gave none, its lines held in the mail's direction."""

import re
import unicodedata
from collections.abc import Callable
from html import unescape

from content.direction import has_rtl
from content.markup import BLOCKS, Token, attribute, scan
from content.values import LINK, LINK_END

_SPACES = re.compile(r"[ \t\r\n\f\u00a0\u200c]*[ \t\r\n\f\u00a0]+")
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "col", "area", "wbr"})
_DOUBLE = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "hr", "header", "footer"}
)
_LIQUID_OR_URL = re.compile(f"{LINK}[^{LINK_END}]*{LINK_END}|{{{{.*?}}}}|{{%.*?%}}")
URL = re.compile(r"(?:https?://|mailto:)[^\s<>\"'\u200e\u200f]+", re.IGNORECASE)
_TRAILING = ".,;:!?)]}،؛؟»"
LRM, RLM = "\u200e", "\u200f"


class _Writer:
    def __init__(self) -> None:
        self.out: list[str] = []
        self.breaks = 2

    def words(self, text: str) -> None:
        text = _SPACES.sub(" ", text)
        if self.breaks or not self.out or self.out[-1].endswith((" ", "\n")):
            text = text.lstrip(" ")
        if text:
            self.out.append(text)
            self.breaks = 0

    def line(self, count: int) -> None:
        missing = count - self.breaks
        if self.out and missing > 0:
            self.out.append("\n" * missing)
            self.breaks = count


def text_from_html(html: str, url_of: Callable[[str], str], *, own_line: bool, hidden_word: re.Pattern[str]) -> str:
    """The visible text with its links as `text (url)`, or the URL on a line of its own where lines run leftwards.

    `url_of` turns an href into what stands for it; `hidden_word` recognises comments that hide Liquid.
    """
    writer, hrefs = _Writer(), list[tuple[str, int]]()
    skip, depth, in_head = "", 0, False
    for token in scan(html):
        if token.kind == "open" and token.name == "head":
            in_head = True
        elif token.kind == "close" and token.name == "head":
            in_head = False
        elif in_head or token.kind in ("raw", "declaration"):
            continue
        elif skip:
            depth += (token.kind == "open") - (token.kind == "close") if token.name == skip else 0
            skip = skip if depth else ""
        elif token.kind == "open" and token.name not in _VOID and _HIDDEN.search(attribute(html, token, "style") or ""):
            skip, depth = token.name, 1
        elif token.kind == "comment":
            match = hidden_word.fullmatch(html[token.start : token.end])
            if match:
                writer.words(match[0][4:-3])
        elif token.kind == "text":
            writer.words(unescape(html[token.start : token.end]))
        elif token.kind == "open":
            _open(html, token, writer, hrefs)
        else:
            _close(token, writer, hrefs, url_of, own_line)
    # A separator between two links means nothing once each has a line of its own.
    lines = [re.sub(r"^[·•|]\s+", "", line.strip()) for line in "".join(writer.out).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _open(html: str, token: Token, writer: _Writer, hrefs: list[tuple[str, int]]) -> None:
    if token.name == "br":
        writer.out.append("\n")
        writer.breaks = max(writer.breaks, 1)
    elif token.name == "img":
        writer.words(attribute(html, token, "alt") or "")
    elif token.name == "a":
        hrefs.append(((attribute(html, token, "href") or "").strip(), len(writer.out)))
    elif token.name == "li":
        writer.line(1)
        writer.words("- ")
    elif token.name in ("td", "th"):
        writer.words(" ")
    elif token.name in BLOCKS:
        writer.line(2 if token.name in _DOUBLE else 1)


def _close(
    token: Token, writer: _Writer, hrefs: list[tuple[str, int]], url_of: Callable[[str], str], own_line: bool
) -> None:
    if token.name == "a" and hrefs:
        href, start = hrefs.pop()
        label = "".join(writer.out[start:]).strip()
        if not href or href.startswith("#") or not label:
            return
        url = url_of(href)
        if label in (href, href.removeprefix("https://").removeprefix("mailto:")):
            writer.out[start:] = [url]
        elif own_line:
            writer.out.append(f":\n{url}\n")
            writer.breaks = 1
        else:
            writer.out.append(f" ({url})")
    elif token.name in BLOCKS:
        writer.line(2 if token.name in _DOUBLE else 1)


def with_links(text: str, url_of: Callable[[str], str]) -> str:
    """An author's own text with each URL in it replaced."""

    def replace(match: re.Match[str]) -> str:
        url = match[0].rstrip(_TRAILING)
        return url_of(url) + match[0][len(url) :]

    return URL.sub(replace, text)


def anchored(text: str, direction: str) -> str:
    """Each line that would start in the other direction gets a mark (U+200E or U+200F) in front."""
    return "\n".join(_anchored_line(line, direction) for line in text.split("\n"))


def _anchored_line(line: str, direction: str) -> str:
    own = _LIQUID_OR_URL.sub("", line)
    if not has_rtl(own):
        return line
    first = next((kind for c in own if (kind := unicodedata.bidirectional(c)) in ("L", "R", "AL")), "")
    if direction == "rtl" and first == "L":
        return RLM + line
    if direction == "ltr" and first in ("R", "AL"):
        return LRM + line
    return line
