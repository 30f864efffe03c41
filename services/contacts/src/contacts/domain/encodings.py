"""Which encoding a text file is in, told from its bytes.

UTF-8 and UTF-16 show themselves. Windows-1256 (Arabic, Persian) and Windows-1252 (Western Europe) give the same bytes
different letters, and share those that French needs; so they are told apart by words: letters of both alphabets in one
word are nobody's word, and a word of letters beyond ASCII alone is Arabic, as Latin ones have plain letters too.
"""

import codecs
import re
from typing import IO

from contacts.domain.tables import Undecodable

HEAD_BYTES = 65_536

_ASCII_LETTER = re.compile(rb"[A-Za-z]")


def _letters(encoding: str, first: str, last: str) -> frozenset[int]:
    decoded = {byte: bytes([byte]).decode(encoding, "replace") for byte in range(0x80, 0x100)}
    return frozenset(byte for byte, letter in decoded.items() if letter.isalpha() and first <= letter <= last)


_ARABIC = _letters("cp1256", "\u0600", "\u06ff") | {0x9D, 0x9E}  # and the joiners, which Persian words have inside
_LATIN = _letters("cp1252", "\u00c0", "\u024f")
_WORD = re.compile(b"[A-Za-z" + re.escape(bytes(sorted(_ARABIC | _LATIN))) + b"]+")


def detect(file: IO[bytes]) -> str:
    """The name of the encoding of a file at its beginning. Raises Undecodable if nothing tells."""
    sample, before, rows = _first_telling(file)
    if before == 0:
        marked = _marked(sample)
        if marked is not None:
            return marked
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError as error:
        row = rows + sample[: error.start].count(b"\n") + 1
        text = sample.decode("utf-8", "replace")
        broken = text.count("\ufffd")
        found = None if sum(letter > "\x7f" for letter in text) > 2 * broken else _by_words(sample)
        if found is None:
            message = f"the file is not UTF-8 text: byte {before + error.start} cannot be read"
            raise Undecodable(message, row) from error
        return found
    return "utf-8"


def _first_telling(file: IO[bytes]) -> tuple[bytes, int, int]:
    """The first stretch that is not plain ASCII, how many bytes come before it, and how many line breaks."""
    before = rows = 0
    while (stretch := file.read(HEAD_BYTES)).isascii() and stretch and b"\0" not in stretch:
        before += len(stretch)
        rows += stretch.count(b"\n")
    return stretch, before, rows


def _marked(head: bytes) -> str | None:
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # UTF-16 without a mark: delimiters, line breaks and Latin letters have a zero byte, always on the same side.
    first, second = head[0::2].count(0), head[1::2].count(0)
    if first + second > len(head) // 20 and min(first, second) * 10 < max(first, second):
        return "utf-16-be" if first > second else "utf-16-le"
    return None


def _by_words(sample: bytes) -> str | None:
    arabic = latin = either = 0
    for word in _WORD.findall(sample):
        high = {byte for byte in word if byte > 0x7F}
        if not high:
            continue
        if _ASCII_LETTER.search(word):
            if high & _ARABIC and high <= _LATIN:
                latin += 1
            elif high <= _LATIN:
                either += 1
        elif len(word) > 1 and high <= _ARABIC:
            arabic += 1
    if arabic > latin:
        return "windows-1256"
    if latin + either > arabic:
        return "windows-1252"
    return None
