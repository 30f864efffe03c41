"""Where a message's bounces go: an address of its own for each message, signed, so that nobody else can make one.

`<local>+<token>@<domain>`, or `<token>@<domain>`; the token in base32, because the letters of a local part may come
back in another case: key (1 byte) | the workspace's last 6 bytes | message id (16) | HMAC-SHA256 cut to 80 bits.
The whole local part has at most 64 characters (RFC 5321 §4.5.3.1.1).
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from common.errors import Misconfigured
from content.headers import HeaderError, address_spec

TOKEN_CHARS = 53
MOST_LOCAL = 64 - TOKEN_CHARS - 1
WORKSPACE_TAIL = 6
_MAC_BYTES = 10
_PURPOSE = b"barid return path\0"


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that something which came back is about. `tail`: the end of its workspace's id, where that is known.

    `signed`: by a token of ours that only the message carried.
    """

    message_id: UUID
    tail: bytes | None = None
    signed: bool = False


class ReturnPaths:
    """The ring of link keys, used for this purpose: the first key signs, all verify."""

    def __init__(self, ring: Mapping[str, bytes], address: str | None = None) -> None:
        self._keys = [(sha256(name.encode()).digest()[:1], key) for name, key in ring.items()]
        self._local, self._at_domain = _parts(address) if address else ("", "")

    def address(self, workspace_id: UUID, message_id: UUID) -> str | None:
        """The envelope sender of a message; None where no bounce address is configured."""
        if not self._at_domain:
            return None
        return f"{self._local}{self.token(workspace_id, message_id)}{self._at_domain}"

    def token(self, workspace_id: UUID, message_id: UUID) -> str:
        """What tells the message, for other places than an address."""
        tag, key = self._keys[0]
        body = tag + workspace_id.bytes[-WORKSPACE_TAIL:] + message_id.bytes
        return base64.b32encode(body + _mac(key, body)).rstrip(b"=").decode().lower()

    def claim(self, address: str) -> Claim | None:
        """The message that an address was made for, whatever its domain; None for any other address."""
        token = address.rpartition("@")[0].rpartition("+")[2]
        if len(token) != TOKEN_CHARS:
            return None
        try:
            raw = base64.b32decode(token.upper() + "===")
        except (binascii.Error, ValueError):
            return None
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not any(body[:1] == tag and hmac.compare_digest(mac, _mac(key, body)) for tag, key in self._keys):
            return None
        return Claim(UUID(bytes=body[1 + WORKSPACE_TAIL :]), body[1 : 1 + WORKSPACE_TAIL], signed=True)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + body, "sha256")[:_MAC_BYTES]


def _parts(address: str) -> tuple[str, str]:
    """What stands before and behind the token. Raises Misconfigured."""
    local, _, domain = address.rpartition("@")
    try:
        address_spec(f"{local or 'bounces'}@{domain}")
    except HeaderError as error:
        raise Misconfigured(f"BARID_BOUNCE_ADDRESS is no address: {error}") from error
    if len(local) > MOST_LOCAL or not local.isascii():
        raise Misconfigured(f"BARID_BOUNCE_ADDRESS has more than {MOST_LOCAL} ASCII characters before its @")
    return f"{local}+" if local else "", f"@{domain}"
