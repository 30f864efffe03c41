"""Reads a mail into parts without ever raising on its bytes, within bounds of size, parts and depth (RFC 2045-2047).

Not the standard library's parser: that one asks every line about every open boundary (45 s for 10 MB nested 300
deep), recurses (RecursionError at a depth of 2,000), and has no limits. Bounces are written by strangers.
"""

import base64
import binascii
import codecs
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from delivery.errors import BounceTooLarge, BounceTooManyParts

MAX_BYTES = 10 * 1024 * 1024
MAX_PARTS = 1000
MAX_DEPTH = 8
MAX_HEADER_BYTES = 64 * 1024
MAX_TEXT = 128 * 1024

_FIELD = re.compile(r"([!-9;-~]{1,100})[ \t]*:(.*)", re.DOTALL)
_PARAMETER = re.compile(r';\s*([a-z-]{1,40})\s*=\s*(?:"([^"]{0,400})"|([^\s;"]{1,400}))', re.I)
_WORD = re.compile(r"=\?([\w:-]{1,40})(?:\*[\w-]*)?\?([bq])\?([^?\s]*)\?=", re.I)
_MAILBOX_LINE = re.compile(rb"(?:\A|\n\n)From \S{1,300} [^\n]{0,60}\d{4}[^\n]{0,20}(?=\n)")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(=\?)")


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in order; names in lower case, values unfolded and otherwise as they came."""

    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """The first field of that name, with encoded words decoded; empty when there is none."""
        return next((decode_words(value) for known, value in self.fields if known == name), "")

    def all(self, name: str) -> list[str]:
        """Every field of that name."""
        return [decode_words(value) for known, value in self.fields if known == name]

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self.fields)


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf or a multipart. `body` is what follows its headers, still encoded."""

    headers: Headers
    body: bytes
    content_type: str
    parameters: dict[str, str]
    children: list["Part"] = field(default_factory=list)

    def leaves(self) -> Iterator["Part"]:
        """The parts that hold something, in order."""
        rest = [self]
        while rest:
            part = rest.pop()
            if part.children:
                rest += reversed(part.children)
            else:
                yield part

    def decoded(self) -> bytes:
        """The body without its transfer encoding, cut at MAX_TEXT; as it is where the encoding is broken."""
        encoding = self.headers.get("content-transfer-encoding").strip().lower()
        body = self.body[: 2 * MAX_TEXT]
        if encoding == "quoted-printable":
            body = quopri.decodestring(body)
        elif encoding == "base64":
            body = _base64(body)
        return body[:MAX_TEXT]

    def text(self) -> str:
        """The body as text."""
        return decode_text(self.decoded(), self.parameters.get("charset", ""))


def read_mails(raw: bytes) -> Iterator[Part]:
    """The mail as parts; several where it is an mbox file (RFC 4155). Raises BounceTooLarge, BounceTooManyParts."""
    if len(raw) > MAX_BYTES:
        raise BounceTooLarge(bytes=len(raw), most=MAX_BYTES)
    plain = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    reader = _Reader()
    starts = [found.end() + 1 for found in _MAILBOX_LINE.finditer(plain)] if plain.startswith(b"From ") else []
    for start, end in pairwise([*(starts or [0]), len(plain)]):
        yield reader.part(plain[start:end], depth=0, default="text/plain")


class _Reader:
    def __init__(self) -> None:
        self._parts = 0

    def part(self, raw: bytes, depth: int, default: str) -> Part:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BounceTooManyParts(most=MAX_PARTS)
        headers, body = split_headers(raw)
        content_type, parameters = _content_type(headers, default)
        boundary = parameters.get("boundary", "").encode("utf-8", "surrogateescape").rstrip()
        if not content_type.startswith("multipart/") or not boundary or depth >= MAX_DEPTH:
            return Part(headers, body, content_type, parameters)
        inner = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
        pieces = self._pieces(body, boundary)
        children = [self.part(piece, depth + 1, inner) for piece in pieces]
        return Part(headers, b"" if children else body, content_type, parameters, children)

    def _pieces(self, body: bytes, boundary: bytes) -> list[bytes]:
        # A space before the dashes is wrong and seen.
        delimiter = re.compile(rb"^[ \t]?--" + re.escape(boundary) + rb"(--)?[ \t]*$", re.MULTILINE)
        pieces: list[bytes] = []
        start: int | None = None
        for found in delimiter.finditer(body):
            if start is not None:
                pieces.append(body[start : found.start()])
                if self._parts + len(pieces) > MAX_PARTS:
                    raise BounceTooManyParts(most=MAX_PARTS)
            start = None if found[1] else found.end() + 1
        if start is not None:
            pieces.append(body[start:])
        return pieces


def split_headers(raw: bytes) -> tuple[Headers, bytes]:
    """The header fields a mail or part begins with, and the rest. A line that is no field ends them."""
    fields: list[tuple[str, str]] = []
    at, name, lines = 0, "", list[str]()

    def close() -> None:
        if name:
            fields.append((name, " ".join(lines).strip()))

    while at < len(raw):
        if at > MAX_HEADER_BYTES:
            end = raw.find(b"\n\n", at)
            at = len(raw) if end < 0 else end + 2
            break
        end = raw.find(b"\n", at)
        end = len(raw) if end < 0 else end
        line = raw[at:end][:MAX_HEADER_BYTES]
        if not line.strip():
            at = end + 1
            break
        if line[:1] in {b" ", b"\t"} and at:
            lines.append(_loose(line.strip()))
        elif found := _FIELD.match(_loose(line)):
            close()
            name, lines = found[1].lower(), [found[2].strip()]
        elif not (at == 0 and line.startswith((b"From ", b">From "))):
            break
        at = end + 1
    close()
    return Headers(tuple(fields)), raw[at:]


def decode_words(value: str) -> str:
    """A header value with its encoded words decoded (RFC 2047); what cannot be decoded stays."""
    if "=?" not in value:
        return value
    return _WORD.sub(_decode_word, _BETWEEN_WORDS.sub(r"\1\2", value))


def _decode_word(found: re.Match[str]) -> str:
    data = found[3].encode("ascii", "replace")
    raw = _base64(data) if found[2] in "bB" else quopri.decodestring(data.replace(b"_", b" "), header=False)
    return decode_text(raw, found[1])


def decode_text(raw: bytes, charset: str) -> str:
    """Bytes as text: by the charset they claim if it fits, else UTF-8, else the likeliest other one."""
    claimed = charset.strip("\"' ").lower()
    if claimed.startswith("unicode-1-1-utf-7"):
        claimed = "utf-7"
    candidates = [claimed] if _is_text_codec(claimed) else []
    candidates += ["utf-8"] if b"\x1b$" not in raw else ["iso-2022-jp", "utf-8"]
    for candidate in candidates:
        try:
            return raw.decode(candidate)
        except (UnicodeError, LookupError):
            continue
    try:
        return raw.decode(candidates[0], "replace") if claimed in candidates else raw.decode("latin-1")
    except (UnicodeError, LookupError):
        return raw.decode("latin-1")


def _is_text_codec(name: str) -> bool:
    if not name or name in {
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "raw_unicode_escape",
        "us-ascii",
        "ascii",
    }:
        return False
    try:
        return codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):
        return False


def _base64(body: bytes) -> bytes:
    clean = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
    try:
        return base64.b64decode(clean[: len(clean) // 4 * 4] + _tail(clean))
    except (binascii.Error, ValueError):
        return body


def _tail(clean: bytes) -> bytes:
    left = len(clean) % 4
    return clean[-left:] + b"=" * (4 - left) if left > 1 else b""


def _content_type(headers: Headers, default: str) -> tuple[str, dict[str, str]]:
    value = headers.get("content-type")
    kind = value.partition(";")[0].strip().lower()
    parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(value[:4096])}
    return (kind if re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind) else default), parameters


def _loose(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
