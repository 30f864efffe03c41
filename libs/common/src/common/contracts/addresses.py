"""The identity of an e-mail address, on which contacts and delivery must agree to the letter.

Trim, drop invisible characters, NFC, casefold, domain as A-label. Never Arabic or Persian folding:
علي@ is not علی@.
"""

import hashlib
import hmac
import re
import unicodedata
from uuid import UUID

# Characters that show nothing and are pasted in with an address: zero width, bidi controls, BOM, soft hyphen.
INVISIBLE = (
    "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff"
)
_DROP = dict.fromkeys(map(ord, INVISIBLE))
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")


class InvalidAddress(ValueError):
    """The text is not an address that can be written to."""


def a_label(domain: str) -> str:
    """The domain in lower-case ASCII (IDNA 2008 as far as the standard library's codec goes, RFC 5891).

    Raises InvalidAddress.
    """
    if domain.isascii():
        return domain.lower()
    try:
        return domain.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise InvalidAddress(f"domain {domain!r} cannot be written as an A-label") from error


def normalise_address(address: str) -> str:
    """The identity of an address. Raises InvalidAddress on control characters (CR/LF above all) or no single @.

    Says nothing about whether the address could exist; that is contacts' validation.
    """
    text = unicodedata.normalize("NFC", address.translate(_DROP).strip())
    if _CONTROL.search(text):
        raise InvalidAddress("the address contains a control character or a line break")
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or "@" in local:
        raise InvalidAddress("an address has one @ with text on both sides")
    return f"{local.casefold()}@{a_label(unicodedata.normalize('NFC', domain.casefold()))}"


def address_hash(pepper: bytes, workspace_id: UUID, normalised: str) -> str:
    """HMAC-SHA256 (hex) of a normalised address, or of a bare domain: what suppressions and blocks keep."""
    return hmac.new(pepper, workspace_id.bytes + normalised.encode(), hashlib.sha256).hexdigest()
