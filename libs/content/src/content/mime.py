"""The mail as bytes for the SMTP client: multipart/alternative, quoted-printable, CRLF. No email.message here:
it builds some 200 mails a second; this builds thousands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from content import headers as h
from content.quoted import quoted_printable

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PART = b'Content-Type: text/%b; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
# "=_" cannot occur in quoted-printable text, so that no content can end a part.
BOUNDARY = b"=_barid_alternative"
_MULTIPART = b'Content-Type: multipart/alternative; boundary="%b"\r\n\r\n' % BOUNDARY
_PLAIN = _PART % b"plain"
_BEFORE_TEXT = b"%b--%b\r\n%b" % (_MULTIPART, BOUNDARY, _PLAIN)
_BEFORE_HTML = b"\r\n--%b\r\n%b" % (BOUNDARY, _PART % b"html")
_END = b"\r\n--%b--\r\n" % BOUNDARY
_KINDS: dict[str, bytes] = {
    "bulk": b"Precedence: bulk\r\n",
    "single": b"",
    "auto": b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n",
}


@dataclass(frozen=True, slots=True)
class MailHeaders:
    """What the headers say. `kind`: bulk (a campaign), single (asked for by its reader), auto (nobody asked)."""

    from_email: str
    to_email: str
    subject: str
    message_id: str
    date: datetime
    from_name: str | None = None
    to_name: str | None = None
    reply_to: str | None = None
    unsubscribe_url: str | None = None
    unsubscribe_mailto: str | None = None
    list_id: str | None = None
    list_name: str | None = None
    feedback_id: str | None = None
    language: str | None = None
    kind: Literal["bulk", "single", "auto"] = "bulk"
    smtputf8: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)


def build(headers: MailHeaders, text: str | bytes, html: str | bytes | None = None) -> bytes:
    """A whole message, not dot-stuffed. Bytes are quoted-printable already, as `render_encoded` gives them.

    Raises HeaderError for a value that no header may carry.
    """
    plain = text if isinstance(text, bytes) else quoted_printable(text)
    if html is None:
        return b"".join((header_block(headers), _PLAIN, plain, b"" if plain.endswith(b"\r\n") else b"\r\n"))
    return b"".join(
        (
            header_block(headers),
            _BEFORE_TEXT,
            plain,
            _BEFORE_HTML,
            html if isinstance(html, bytes) else quoted_printable(html),
            _END,
        )
    )


def header_block(headers: MailHeaders) -> bytes:
    """All header lines except those of the body's type. Raises HeaderError."""
    lines = [
        h.sender_address("From", headers.from_email, headers.from_name),
        h.address("To", headers.to_email, headers.to_name, smtputf8=headers.smtputf8),
        h.unstructured("Subject", headers.subject),
        b"Date: %b\r\n" % rfc5322_date(headers.date),
        h.message_id(headers.message_id),
    ]
    if headers.reply_to:
        lines.append(h.sender_address("Reply-To", headers.reply_to, None))
    if headers.unsubscribe_url:
        lines.append(h.list_unsubscribe(headers.unsubscribe_url, headers.unsubscribe_mailto))
    if headers.list_id:
        lines.append(h.list_id(headers.list_id, headers.list_name))
    if headers.feedback_id:
        lines.append(h.feedback_id(headers.feedback_id))
    if headers.language:
        lines.append(h.unstructured("Content-Language", headers.language))
    for name, value in headers.extra.items():
        if not name.lower().startswith("x-"):
            raise h.HeaderError(f"{name}: only X- headers may be added")
        lines.append(h.unstructured(name, value))
    lines.append(_KINDS[headers.kind])
    lines.append(b"MIME-Version: 1.0\r\n")
    return b"".join(lines)


def rfc5322_date(moment: datetime) -> bytes:
    """The time in UTC as RFC 5322 writes it, whatever the process's locale."""
    return _date(int(moment.timestamp()))


@lru_cache(maxsize=16)
def _date(second: int) -> bytes:
    m = datetime.fromtimestamp(second, UTC)
    day, month = _DAYS[m.weekday()], _MONTHS[m.month - 1]
    return f"{day}, {m.day:02} {month} {m.year} {m.hour:02}:{m.minute:02}:{m.second:02} +0000".encode("ascii")
