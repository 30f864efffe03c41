"""DKIM signatures (RFC 6376): relaxed/relaxed, RSA-SHA256, and Ed25519-SHA256 (RFC 8463) where a domain has such a key.

A signature says in `h=` which headers it covers. A name that is listed once more than it occurs covers its absence:
nobody can put a second From or a Reply-To before the reader's eyes without breaking it.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LEAST_RSA_BITS = 2048

# With its absence. Not List-Id: a mailing list that passes the mail on adds its own.
_SEALED = (
    "from",
    "reply-to",
    "to",
    "subject",
    "date",
    "message-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
)
_COVERED = (*_SEALED, "list-id", "feedback-id")
_LINE_ENDS = re.compile(rb"\r\n(?![ \t])")
_BASE64_LINE = 70
_PADDING, _SHA256 = PKCS1v15(), hashes.SHA256()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and where its other half is published: `<selector>._domainkey.<domain>`."""

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey


def signatures(keys: Sequence[SigningKey], message: bytes, at: datetime) -> bytes:
    """DKIM-Signature headers, one for each key, to put before a message that has CRLF line ends."""
    block, _, body = message.partition(b"\r\n\r\n")
    names, covered = _covered(block + b"\r\n")
    body_hash = b64encode(sha256(relaxed_body(body)).digest())
    return b"".join([_signature(key, names, covered, body_hash, int(at.timestamp())) for key in keys])


def _signature(key: SigningKey, names: str, covered: bytes, body_hash: bytes, at: int) -> bytes:
    rsa = isinstance(key.private, RSAPrivateKey)
    unsigned = (
        f"DKIM-Signature: v=1; a={'rsa' if rsa else 'ed25519'}-sha256; c=relaxed/relaxed;\r\n"
        f" d={key.domain};\r\n s={key.selector}; t={at};\r\n"
        f" h={names};\r\n bh={body_hash.decode()};\r\n b="
    ).encode()
    signed = covered + relaxed_header(unsigned)
    if isinstance(key.private, RSAPrivateKey):
        made = key.private.sign(signed, _PADDING, _SHA256)
    else:
        made = key.private.sign(sha256(signed).digest())
    return unsigned + _folded(b64encode(made)) + b"\r\n"


def _covered(block: bytes) -> tuple[str, bytes]:
    """The names for `h=`, folded, and the headers they stand for in canonical form."""
    found: dict[str, list[bytes]] = {}
    for header in _LINE_ENDS.split(block):
        name = header.partition(b":")[0].strip().lower().decode("latin-1")
        if name in _COVERED:
            found.setdefault(name, []).append(header)
    names: list[str] = []
    covered: list[bytes] = []
    for name in _COVERED:
        headers = found.get(name, [])
        covered += [relaxed_header(header) + b"\r\n" for header in reversed(headers)]
        names += [name] * (len(headers) + (name in _SEALED))
    lines: list[str] = [""]
    for name in names:
        if len(lines[-1]) + len(name) > _BASE64_LINE:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n  ".join(lines).removesuffix(":"), b"".join(covered)


def relaxed_header(header: bytes) -> bytes:
    """A header in RFC 6376's relaxed form (3.4.2), without its line end."""
    name, _, value = header.partition(b":")
    return name.strip().lower() + b":" + b" ".join(value.split())


def relaxed_body(body: bytes) -> bytes:
    """A body in RFC 6376's relaxed form (3.4.4)."""
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    body = body.replace(b" \r\n", b"\r\n")
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[:end] + b"\r\n" if end else b""


def _folded(text: bytes) -> bytes:
    return b"\r\n  ".join([text[start : start + _BASE64_LINE] for start in range(0, len(text), _BASE64_LINE)])
