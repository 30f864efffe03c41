"""A person's answer goes on to the campaign's Reply-To, as it came; never in circles (RFC 3834)."""

import re
from uuid import UUID

from common.contracts.addresses import InvalidAddress, normalise_address
from content.headers import HeaderError, address_spec

# Mail that bears it is a machine's (bounces.automatic), so it is neither an answer nor sent on.
MARK = b"X-Barid-Forwarded"
_TRACES = re.compile(rb"\A(?:(?:>?From [^\n]*|Return-Path:[^\n]*(?:\n[ \t][^\n]*)*)\n)+", re.I)


def goes_to(reply_to: str | None, was_sent_to: frozenset[str]) -> str | None:
    """Where an answer goes; None where nobody is named, or where it is already."""
    if not reply_to:
        return None
    try:
        return address_spec(reply_to) if normalise_address(reply_to) not in was_sent_to else None
    except (InvalidAddress, HeaderError):
        return None


def forwarded(mail: bytes, id_: UUID) -> bytes:
    """The mail to send on: nothing changed in what its author signed, one header more before it."""
    plain = mail.replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    body = _TRACES.sub(b"", plain).replace(b"\n", b"\r\n")
    return b"%b: %b\r\n%b%b" % (MARK, str(id_).encode(), body, b"" if body.endswith(b"\r\n") else b"\r\n")
