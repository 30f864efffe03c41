"""Quoted-printable (RFC 2045), whole or in pieces that can be joined."""

import re
from binascii import b2a_qp
from functools import lru_cache

# What stands for itself; nearly all of a link, and most names.
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:?&#%+,;@~"
_ROOM = 75  # of a line, beside the soft break
_LAST_BLANK = re.compile(rb"([^\n]{73,})(=20|=09)(?=\r\n|\Z)")
_LAST_BLANK_MARK = re.compile(rb"=(?:20|09)(?:\r\n|\Z)")


def quoted_printable(text: str) -> bytes:
    """UTF-8 in lines of at most 76 characters, line ends as CRLF, no bare CR or LF, no line that begins with a dot."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    data = text.replace("\n", "\r\n").encode("utf-8", "replace")
    encoded = b2a_qp(data, istext=True)
    # Without a line end of its own the encoder writes soft breaks as bare LF.
    encoded = encoded if b"\r\n" in data else encoded.replace(b"\n", b"\r\n")
    if _LAST_BLANK_MARK.search(encoded):
        # The encoder does not count what a blank at the end of a line grows by.
        encoded = _LAST_BLANK.sub(rb"\1=\r\n\2", encoded)
    return _without_dots(encoded)


# A link stands in the HTML and again in the text; a city, in the mails of many.
@lru_cache(maxsize=256)
def quoted_piece(text: str) -> bytes:
    """The same with a soft line break behind, so that each piece begins a line and pieces can be joined."""
    if not text:
        return b""
    data = text.encode("utf-8", "replace")
    if not data.translate(None, _PLAIN):
        # A third of what the encoder takes for a link.
        lines = [data] if len(data) <= _ROOM else [data[at : at + _ROOM] for at in range(0, len(data), _ROOM)]
        encoded = b"=\r\n".join(lines) + b"=\r\n"
    elif "\n" in text or "\r" in text or text[-1] in " \t":
        encoded = quoted_printable(text)
        return encoded if encoded.endswith(b"\n") else _without_dots(_continued(encoded))
    else:
        encoded = _continued(b2a_qp(data, istext=True).replace(b"\n", b"\r\n"))
    return _without_dots(encoded) if encoded.startswith(b".") or b"\n." in encoded else encoded


def _continued(encoded: bytes) -> bytes:
    """With a soft break behind, for which a last line that is full must make room."""
    if len(encoded) - encoded.rfind(b"\n") > 76:
        last = 3 if encoded[-3:-2] == b"=" else 1
        encoded = b"%b=\r\n%b" % (encoded[:-last], encoded[-last:])
    return encoded + b"=\r\n"


def _without_dots(encoded: bytes) -> bytes:
    """A dot at the begin of a line stands on a line of its own: what takes it for the end of a mail never sees it."""
    if encoded.startswith(b"."):
        encoded = b"=2E=\r\n" + encoded[1:]
    while b"\n." in encoded:
        encoded = encoded.replace(b"\n.", b"\n=2E=\r\n")
    return encoded
