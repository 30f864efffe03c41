"""Quoted-printable (RFC 2045), whole or in pieces that can be joined."""

from binascii import b2a_qp


def quoted_printable(text: str) -> bytes:
    """UTF-8 in lines of at most 76 characters, line ends as CRLF, no bare CR or LF."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    data = text.replace("\n", "\r\n").encode("utf-8", "replace")
    encoded = b2a_qp(data, istext=True)
    # Without a line end of its own the encoder writes soft breaks as bare LF.
    return encoded if b"\r\n" in data else encoded.replace(b"\n", b"\r\n")


def quoted_piece(text: str) -> bytes:
    """The same with a soft line break behind, so that each piece begins a line and pieces can be joined."""
    if not text:
        return b""
    encoded = quoted_printable(text)
    return encoded if encoded.endswith(b"\n") else encoded + b"=\r\n"
