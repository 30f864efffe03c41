"""Liquid hidden from the HTML tools as plain words, and put back where they left them, escaped for the place.

In text a placeholder is a comment (comments may stand anywhere, even between table rows); elsewhere a bare word.
"""

import re
from dataclasses import dataclass

from content.errors import at
from content.liquid import TOKEN, line_of
from content.markup import Token, scan
from content.values import AFTER_NUMBER, LINK, LINK_END

URL_ATTRIBUTES = frozenset(
    {"href", "src", "background", "poster", "action", "cite", "longdesc", "xlink:href", "srcset"}
)
_ENCODES = re.compile(r"\|\s*url_encode\b")
_MAIL_URL = re.compile(r"(unsubscribe_url|preferences_url|browser_url)\b(?!\s*\|\s*\w)")


@dataclass(frozen=True, slots=True)
class Hidden:
    """One piece of Liquid: an output's expression, or a whole tag."""

    output: str | None
    source: str
    part: str
    line: int
    left: str = ""
    right: str = ""


class Placeholders:
    """The Liquid of one variant."""

    def __init__(self, variant: str, *sources: str) -> None:
        self.variant = variant
        self.word = "zlq"
        while any(self.word in source for source in sources):
            self.word += "q"
        self.pattern = re.compile(rf"{self.word}(\d+)z")
        self.in_comment = re.compile(rf"<!--{self.word}(\d+)z-->")
        self.hidden: list[Hidden] = []

    def hide(self, source: str, part: str) -> str:
        """Every piece of Liquid as a bare word; Liquid comments are dropped."""

        def word(match: re.Match[str]) -> str:
            if match["comment"]:
                return ""
            if match["raw"]:
                return self._literal(match["literal"], part)
            line = line_of(source, match.start())
            if match["output"]:
                return self._add(Hidden(match["expr"], match[0], part, line, match["l"], match["r"]))
            return self._add(Hidden(None, match[0], part, line))

        return TOKEN.sub(word, source)

    def _literal(self, text: str, part: str) -> str:
        braces = re.compile(r"\{\{|\{%")
        return braces.sub(lambda m: self._add(Hidden(f"'{m[0]}'", m[0], part, 1)), text)

    def _add(self, hidden: Hidden) -> str:
        self.hidden.append(hidden)
        return f"{self.word}{len(self.hidden) - 1}z"

    def by_place(self, html: str) -> str:
        """Bare words in text as comments. Raises ContentError for Liquid inside a tag but outside a value."""
        pieces: list[str] = []
        table = -1
        for token in scan(html):
            piece = html[token.start : token.end]
            if token.kind in ("open", "close"):
                if token.kind == "open" and token.name == "tr" and table >= 0:
                    # Made explicit, or the parser would begin the implied tbody inside an if.
                    pieces[table] += "<tbody>"
                table = len(pieces) if token.kind == "open" and token.name == "table" else -1
            if token.kind == "text":
                piece = self.pattern.sub(lambda m: f"<!--{m[0]}-->", piece)
            elif token.kind in ("open", "close"):
                self._refuse_in_tag(html, token)
            pieces.append(piece)
        return "".join(pieces)

    def _refuse_in_tag(self, html: str, token: Token) -> None:
        outside, cursor = "", token.start
        for found in token.attributes:
            outside += html[cursor : found.start]
            cursor = found.end
        match = self.pattern.search(outside + html[cursor : token.end])
        if match:
            hidden = self.hidden[int(match[1])]
            message = f"{hidden.source} stands inside the tag <{token.name}>, outside the quotes of a value."
            mend = 'Put it in a quoted value (class="{{ … }}"), or write the whole tag twice inside the if.'
            raise at(self.variant, hidden.part, hidden.line, message, mend, code="liquid_in_tag")

    def restore(self, text: str, escape: str) -> str:
        """The words of a piece as Liquid again, its outputs through the named escape."""
        return self.pattern.sub(lambda m: self._liquid(int(m[1]), escape), text)

    def _liquid(self, index: int, escape: str) -> str:
        hidden = self.hidden[index]
        if hidden.output is None:
            return hidden.source
        if escape in ("x_bdi", "x_bdi_rtl") and _MAIL_URL.match(hidden.output):
            escape = "x_html"
        if escape in ("x_text", "x_text_rtl") and _MAIL_URL.match(hidden.output):
            escape = "x_plain"
        return f"{{{{{hidden.left} {hidden.output} | {escape} {hidden.right}}}}}"

    def restore_url(self, value: str) -> str:
        """A URL's Liquid: at its beginning a whole URL may stand, further on only an encoded part."""

        def liquid(match: re.Match[str]) -> str:
            hidden = self.hidden[int(match[1])]
            encoded = hidden.output is not None and _ENCODES.search(hidden.output)
            before = self.pattern.sub(
                lambda m: "" if self.hidden[int(m[1])].output is None else "x", value[: match.start()]
            )
            return self._liquid(int(match[1]), "x_url" if encoded or not before.strip() else "x_query")

        return self.pattern.sub(liquid, value)

    def as_written(self, value: str) -> str:
        """The Liquid as its author wrote it, for lists of links."""
        return self.pattern.sub(lambda m: self.hidden[int(m[1])].source, value)

    def is_mail_url(self, value: str) -> bool:
        """Whether the URL is one of those made for the recipient: unsubscribe, preferences, view in browser."""
        match = self.pattern.fullmatch(value.strip())
        output = self.hidden[int(match[1])].output if match else None
        return output is not None and _MAIL_URL.match(output) is not None


def marked(number: int | None, liquid: str) -> str:
    """A URL between the marks that the program compiler cuts at."""
    return f"{LINK}{'' if number is None else number}{AFTER_NUMBER}{liquid}{LINK_END}"
