"""Signed link tokens: everything a click, an open or an unsubscribe needs to know, and no address.

Delivery writes them into mails; contacts reads those of its public pages, and makes its own for confirmations (`d`,
the message is the confirmation) and for forms (`f`, the message is the form). `i` tells a web page whose browser it is,
and is good for nothing else.

version | purpose letter | kind letter | key id | workspace, message, contact, campaign, purpose (16 bytes each,
zero: none) | sent at (5 bytes) | link number (2) | target URL | HMAC-SHA256 over all of it, cut to 128 bits.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal
from uuid import UUID

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

TokenPurpose = Literal["o", "c", "u", "b", "h", "p", "d", "f", "i"]
Kind = Literal["campaign", "test", "single"]

VERSION = 1
MAC_BYTES = 16
MAX_TOKEN = 4096
# The number of the link that no person sees: the highest there is.
HIDDEN_LINK = 0xFFFF
_KINDS: dict[str, Kind] = {"c": "campaign", "t": "test", "s": "single"}
_LETTERS = {kind: letter for letter, kind in _KINDS.items()}
_NONE = bytes(16)
_BLOCK = 64
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class BadToken(ValueError):
    """Not a token of ours, or not for this purpose. Nobody is told which."""


@dataclass(frozen=True, slots=True)
class LinkToken:
    """What a link of a message says. `url` and `link` only for clicks."""

    purpose: TokenPurpose
    kind: Kind
    workspace_id: UUID
    message_id: UUID
    contact_id: UUID | None
    campaign_id: UUID | None
    purpose_id: UUID | None
    sent_at: datetime
    link: int = 0
    url: str = ""


class TokenKeys:
    """The ring: the first key signs, all verify."""

    def __init__(self, ring: Mapping[str, bytes]) -> None:
        self._states = {name.encode(): _states(key) for name, key in ring.items()}
        self._signing = next(iter(self._states))

    def sign(self, token: LinkToken) -> str:
        """The token as text for a URL."""
        return self.signer(token)(token.purpose, token.link, token.url)

    def signer(self, token: LinkToken) -> Callable[[TokenPurpose, int, str], str]:
        """Signs many links of the same message: purpose, link number, target → text."""
        key_id = self._signing
        inner, outer = self._states[key_id]
        facts = b"".join(
            (
                _LETTERS[token.kind].encode(),
                bytes((len(key_id),)),
                key_id,
                token.workspace_id.bytes,
                token.message_id.bytes,
                _bytes(token.contact_id),
                _bytes(token.campaign_id),
                _bytes(token.purpose_id),
                int(token.sent_at.timestamp()).to_bytes(5, "big"),
            )
        )

        def sign(purpose: TokenPurpose, link: int = 0, url: str = "") -> str:
            body = b"%c%b%b%b%b" % (VERSION, purpose.encode(), facts, link.to_bytes(2, "big"), url.encode())
            return _text(body + _mac(inner, outer, body))

        return sign

    def verify(self, text: str, purpose: TokenPurpose) -> LinkToken:
        """Read a token. Raises BadToken, whatever is wrong with it."""
        if len(text) > MAX_TOKEN:
            raise BadToken
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadToken from error
        # One text per token: base64 would let the last character's spare bits vary.
        if len(raw) < 4 or raw[0] != VERSION or _text(raw) != text:
            raise BadToken
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        key_end = 4 + raw[3]
        key_id = raw[4:key_end]
        if key_id not in self._states or not hmac.compare_digest(mac, _mac(*self._states[key_id], body)):
            raise BadToken
        kind = _KINDS.get(chr(body[2]))
        if body[1:2] != purpose.encode() or kind is None or len(body) < key_end + 87:
            raise BadToken
        at = key_end
        ids = [body[at + 16 * n : at + 16 * n + 16] for n in range(5)]
        at += 80
        return LinkToken(
            purpose,
            kind,
            UUID(bytes=ids[0]),
            UUID(bytes=ids[1]),
            _uuid(ids[2]),
            _uuid(ids[3]),
            _uuid(ids[4]),
            datetime.fromtimestamp(int.from_bytes(body[at : at + 5], "big"), UTC),
            int.from_bytes(body[at + 5 : at + 7], "big"),
            body[at + 7 :].decode(),
        )


def _states(key: bytes) -> "tuple[Hash, Hash]":
    """HMAC's inner and outer hash once they have taken in the key (RFC 2104): a third of what `hmac` does per token."""
    block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))


def _mac(inner: "Hash", outer: "Hash", body: bytes) -> bytes:
    inner, outer = inner.copy(), outer.copy()
    inner.update(body)
    outer.update(inner.digest())
    return outer.digest()[:MAC_BYTES]


def _text(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()


def _bytes(value: UUID | None) -> bytes:
    return _NONE if value is None else value.bytes


def _uuid(raw: bytes) -> UUID | None:
    return None if raw == _NONE else UUID(bytes=raw)
