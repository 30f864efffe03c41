"""Where a message's bounces and answers go: an address of its own for each, signed, so that nobody else can make one.

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
from typing import Literal
from uuid import UUID

from common.errors import Misconfigured
from content.headers import HeaderError, address_spec

TOKEN_CHARS = 53
MOST_LOCAL = 64 - TOKEN_CHARS - 1
WORKSPACE_TAIL = 6
_MAC_BYTES = 10
_BOUNCES = b"barid return path\0"
_REPLIES = b"barid reply path\0"

# The envelope sender, that servers see and no reader does; the link to unsubscribe, that stands in the text too; the
# Reply-To, that whoever answers all hands on. Without one it is a Message-ID, which every answer and forward names.
Proof = Literal["path", "link", "reply", ""]
_PROOFS: dict[bytes, Proof] = {_BOUNCES: "path", _REPLIES: "reply"}


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that something which came back is about. `tail`: the end of its workspace's id, where that is known.

    `proof`: the token of ours that it shows.
    """

    message_id: UUID
    tail: bytes | None = None
    proof: Proof = ""


class ReturnPaths:
    """The ring of link keys, used for this purpose: the first key signs, all verify. The addresses are optional."""

    def __init__(
        self, ring: Mapping[str, bytes], bounce_address: str | None = None, reply_address: str | None = None
    ) -> None:
        self._keys = [(sha256(name.encode()).digest()[:1], key) for name, key in ring.items()]
        self._bounces = _parts("BARID_BOUNCE_ADDRESS", bounce_address)
        self._replies = _parts("BARID_REPLY_ADDRESS", reply_address)

    def bounces_to(self, workspace_id: UUID, message_id: UUID, domain: str | None = None) -> str | None:
        """The envelope sender of a message; None where no bounce address is configured. `domain`: leads here too."""
        parts = self._bounces
        if parts is not None and domain is not None:
            parts = parts[0], f"@{domain}"
        return f"{parts[0]}{self.token(workspace_id, message_id)}{parts[1]}" if parts else None

    def replies_to(self, workspace_id: UUID, message_id: UUID) -> str | None:
        """The Reply-To of a message; None where no reply address is configured."""
        parts = self._replies
        return f"{parts[0]}{self._token(workspace_id, message_id, _REPLIES)}{parts[1]}" if parts else None

    def token(self, workspace_id: UUID, message_id: UUID) -> str:
        """What tells the message, for other places than an address."""
        return self._token(workspace_id, message_id, _BOUNCES)

    def _token(self, workspace_id: UUID, message_id: UUID, purpose: bytes) -> str:
        tag, key = self._keys[0]
        body = tag + workspace_id.bytes[-WORKSPACE_TAIL:] + message_id.bytes
        return base64.b32encode(body + _mac(key, purpose, body)).rstrip(b"=").decode().lower()

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
        keys = [key for tag, key in self._keys if body[:1] == tag]
        for purpose, proof in _PROOFS.items():
            if any(hmac.compare_digest(mac, _mac(key, purpose, body)) for key in keys):
                message_id, tail = UUID(bytes=body[1 + WORKSPACE_TAIL :]), body[1 : 1 + WORKSPACE_TAIL]
                return Claim(message_id, tail, proof)
        return None


def _mac(key: bytes, purpose: bytes, body: bytes) -> bytes:
    return hmac.digest(key, purpose + body, "sha256")[:_MAC_BYTES]


def _parts(setting: str, address: str | None) -> tuple[str, str] | None:
    """What stands before and behind the token. Raises Misconfigured."""
    if not address:
        return None
    local, at, domain = address.rpartition("@")
    try:
        address_spec(f"{local or 'b'}{at}{domain}")
    except HeaderError as error:
        raise Misconfigured(f"{setting} is no address: {error}") from error
    if len(local) > MOST_LOCAL or not local.isascii():
        raise Misconfigured(f"{setting} has more than {MOST_LOCAL} ASCII characters before its @")
    return (f"{local}+" if local else "", f"@{domain}")
