"""What can be shown of a mail that nobody could read: from its first bytes, whatever they are, as plain short text."""

import re
import unicodedata
from dataclasses import dataclass
from email.header import decode_header, make_header

MOST_CHARS = 200
MOST_LINES = 12
_HEADER = re.compile(r"^([!-9;-~]+):[ \t]*(.*(?:\n[ \t].*)*)", re.M)
# Persian words are written with these; every other control or format character could change how the rest is shown.
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class Preview:
    """Empty text: the mail does not say. `lines` are the first of its body."""

    author: str
    subject: str
    lines: tuple[str, ...]


def preview(head: bytes) -> Preview:
    """Never raises."""
    text = head.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    top, _, body = text.partition("\n\n")
    headers: dict[str, str] = {}
    for name, value in _HEADER.findall(top):
        headers.setdefault(name.lower(), value)
    lines = [line for one in body.split("\n") if (line := _plain(one))]
    return Preview(_words(headers.get("from", "")), _words(headers.get("subject", "")), tuple(lines[:MOST_LINES]))


def _words(value: str) -> str:
    """A header's value, its encoded words (RFC 2047) decoded."""
    try:
        value = str(make_header(decode_header(value)))
    except Exception:  # strangers wrote it, and Python's decoder raises what it likes
        return _plain(value)
    return _plain(value)


def _plain(text: str) -> str:
    kept = (c if c in _JOINERS or unicodedata.category(c)[0] != "C" else " " for c in text[: MOST_CHARS * 2])
    return " ".join("".join(kept).split())[:MOST_CHARS]
