"""Whether what came to a source's address was sent by the partner: by an HMAC, a user name and password, or a token."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
Hidden = Annotated[SecretStr, Field(min_length=8, max_length=2000, description="sealed at rest and never shown")]
_MILLISECONDS_FROM = 10_000_000_000  # as seconds: the year 2286


class Forged(Exception):
    """Not signed by the partner, or too long ago. The message says which, for the log alone."""


class _Scheme(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Timestamp(_Scheme):
    """Where the call says when it was signed (seconds or milliseconds since 1970); signed with it, before the body."""

    header: HeaderName
    separator: Annotated[str, Field(max_length=5, pattern=r"^[\x20-\x7e]*$")] = "."
    tolerance_s: Annotated[int, Field(ge=1, le=86_400)] = 300


class HmacScheme(_Scheme):
    """A header with an HMAC (RFC 2104) of the body, after `prefix`, for instance sha256=."""

    scheme: Literal["hmac"]
    secret: Hidden
    header: HeaderName = "X-Signature"
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Annotated[str, Field(max_length=20, pattern=r"^[\x21-\x7e]*$")] = ""
    timestamp: Timestamp | None = None


class BasicScheme(_Scheme):
    """A user name and a password (RFC 7617)."""

    scheme: Literal["basic"]
    username: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^:\x00-\x1f\x7f]+$")]
    secret: Hidden


class TokenScheme(_Scheme):
    """A header with a secret; in Authorization after the word Bearer (RFC 6750)."""

    scheme: Literal["token"]
    secret: Hidden
    header: HeaderName = "Authorization"


Scheme = Annotated[HmacScheme | BasicScheme | TokenScheme, Field(discriminator="scheme")]


def verify(scheme: Scheme, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """`headers`: by their names in small letters. Raises Forged."""
    secret = scheme.secret.get_secret_value().encode()
    match scheme:
        case HmacScheme():
            _verify_hmac(scheme, secret, headers, body, now)
        case BasicScheme():
            _verify_basic(scheme.username, secret, headers)
        case TokenScheme():
            given = headers.get(scheme.header.lower(), "")
            word, _, rest = given.partition(" ")
            if scheme.header.lower() == "authorization" and word.lower() == "bearer":
                given = rest.strip()
            if not hmac.compare_digest(given.encode(), secret):
                raise Forged("another token")


def _verify_hmac(scheme: HmacScheme, secret: bytes, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    given = headers.get(scheme.header.lower(), "").strip()
    if not given.startswith(scheme.prefix):
        raise Forged("no signature")
    signed = body
    if scheme.timestamp is not None:
        text = headers.get(scheme.timestamp.header.lower(), "").strip()
        if abs(now.timestamp() - _seconds(text)) > scheme.timestamp.tolerance_s:
            raise Forged("signed too long ago, or in the future")
        signed = f"{text}{scheme.timestamp.separator}".encode() + body
    made = hmac.new(secret, signed, getattr(hashlib, scheme.algorithm)).digest()
    try:
        told = given.removeprefix(scheme.prefix)
        found = bytes.fromhex(told) if scheme.encoding == "hex" else base64.b64decode(told, validate=True)
    except (ValueError, binascii.Error) as error:
        raise Forged("no signature") from error
    if not hmac.compare_digest(found, made):
        raise Forged("another signature")


def _verify_basic(username: str, password: bytes, headers: Mapping[str, str]) -> None:
    word, _, given = headers.get("authorization", "").partition(" ")
    try:
        said = base64.b64decode(given.strip(), validate=True)
    except (ValueError, binascii.Error) as error:
        raise Forged("no user name and password") from error
    if word.lower() != "basic" or not hmac.compare_digest(said, username.encode() + b":" + password):
        raise Forged("another user name or password")


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Forged("no time of signing")
    value = int(text)
    return value / 1000 if value >= _MILLISECONDS_FROM else float(value)
