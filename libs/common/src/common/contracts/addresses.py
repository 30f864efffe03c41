"""The identity of an e-mail address, on which contacts and delivery must agree to the letter.

Trim, drop invisible characters, NFC, casefold, domain as A-label. Never Arabic or Persian folding:
علي@ is not علی@.
"""

import hashlib
import hmac
import re
import unicodedata
from functools import lru_cache
from uuid import UUID

import idna

# Characters that show nothing and are pasted in with an address: zero width, bidi controls, BOM, soft hyphen.
INVISIBLE = (
    "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff"
)
_JOINERS = "\u200c\u200d"
_DROP = dict.fromkeys(map(ord, INVISIBLE))
_DROP_BUT_JOINERS = dict.fromkeys(map(ord, set(INVISIBLE) - set(_JOINERS)))
_DROP_JOINERS = dict.fromkeys(map(ord, _JOINERS))
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_ENCODED = "xn--"
_LABEL, _NAME = 63, 253  # octets, RFC 1035 §2.3.4


class InvalidAddress(ValueError):
    """The text is not an address that can be written to."""


def a_label(domain: str) -> str:
    """The domain in lower-case ASCII (IDNA 2008, RFC 5891, after the mapping of UTS #46). Raises InvalidAddress.

    ASCII labels stay as they are: `_dmarc` and the like are no host names, and stand in the DNS all the same.
    """
    return domain.lower() if domain.isascii() else _encoded(domain)


def u_label(domain: str) -> str:
    """The domain as people read it, its A-labels decoded. Raises InvalidAddress where one is none."""
    try:
        return ".".join(idna.ulabel(one) if one.startswith(_ENCODED) else one for one in domain.lower().split("."))
    except ValueError as error:
        raise InvalidAddress(f"the domain {domain[:_NAME]!r} has a label that is no A-label: {error}") from error


def joinerless(domain: str) -> str:
    """The domain without its joiners, for a judge who knows none (email-validator); every other domain as it is.

    Raises InvalidAddress.
    """
    spoken = u_label(domain) if domain.isascii() and _ENCODED in domain.lower() else domain
    bare = spoken.translate(_DROP_JOINERS)
    return domain if bare == spoken else bare


def visible(address: str) -> str:
    """The address without what shows nothing, trimmed, in NFC.

    In the domain a joiner stays where IDNA lets it stand: نامه‌ای.com and نامهای.com are two domains.
    """
    if address.isascii():
        return address.strip()
    local, at, domain = address.rpartition("@")
    text = local.translate(_DROP) + at + _joined(domain.translate(_DROP_BUT_JOINERS))
    return unicodedata.normalize("NFC", text.strip())


def normalise_address(address: str) -> str:
    """The identity of an address. Raises InvalidAddress on control characters (CR/LF above all) or no single @.

    Says nothing about whether the address could exist; that is contacts' validation.
    """
    text = visible(address)
    if _CONTROL.search(text):
        raise InvalidAddress("the address contains a control character or a line break")
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or "@" in local:
        raise InvalidAddress("an address has one @ with text on both sides")
    return f"{local.casefold()}@{a_label(domain)}"


def _joined(domain: str) -> str:
    """The domain without joiners that join nothing: an identity must not depend on what was pasted along."""
    at = 0
    while at < len(domain):
        if domain[at] in _JOINERS and not _joins(domain, at):
            domain = domain[:at] + domain[at + 1 :]
            at = max(0, at - 1)
        else:
            at += 1
    return domain


def _joins(domain: str, at: int) -> bool:
    try:
        return idna.valid_contextj(domain, at)
    except ValueError:  # beside a character that Unicode does not know
        return False


@lru_cache(maxsize=4096)
def _encoded(domain: str) -> str:
    try:
        labels = idna.uts46_remap(domain, std3_rules=False).split(".")
        ascii_labels = [one if one.isascii() else idna.alabel(one).decode("ascii") for one in labels]
    except ValueError as error:
        raise InvalidAddress(f"the domain {domain[:_NAME]!r} cannot be written as an A-label: {error}") from error
    name = ".".join(ascii_labels)
    if not all(ascii_labels[:-1]) or (len(ascii_labels) == 1 and not name):
        raise InvalidAddress(f"the domain {domain[:_NAME]!r} has an empty label")
    if max(map(len, ascii_labels)) > _LABEL or len(name.removesuffix(".")) > _NAME:
        raise InvalidAddress(f"the domain {domain[:_NAME]!r} is too long: 63 octets a label, 253 in all")
    return name


def address_hash(pepper: bytes, workspace_id: UUID, normalised: str) -> str:
    """HMAC-SHA256 (hex) of a normalised address, or of a bare domain: what suppressions and blocks keep."""
    return hmac.new(pepper, workspace_id.bytes + normalised.encode(), hashlib.sha256).hexdigest()
