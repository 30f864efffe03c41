"""Which addresses can be written to: what the email-validator library says, at a hundredth of its price.

Each distinct domain is put to the library once; local parts are judged by one expression. A property test holds
both against the library, and the identity and hashes against `common.contracts.addresses`.
"""

import hmac
import re
import unicodedata
from typing import NamedTuple
from uuid import UUID

from common.contracts import addresses as contract
from email_validator import EmailNotValidError, validate_email

LOCAL_CHARACTERS = 64
ADDRESS_OCTETS = 254
_REMEMBERED_DOMAINS = 50_000

_ATOM = r"a-zA-Z0-9_!#$%&'*+\-/=?^`{|}~"
_ASCII_LOCAL = re.compile(rf"[{_ATOM}]+(?:\.[{_ATOM}]+)*\Z").match
_LOCAL = re.compile(rf"[{_ATOM}\u0080-\U0010ffff]+(?:\.[{_ATOM}\u0080-\U0010ffff]+)*\Z").match
_BREAKS = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]").search


class NotAnAddress(ValueError):
    """Mail cannot be sent to this text; the message says why."""


class Address(NamedTuple):
    """A valid address: as typed (trimmed), its identity, and the keyed hashes that outlive it."""

    email: str
    normalised: str
    hash: bytes
    domain_hash: bytes


class Addresses:
    """Reads the addresses of one workspace."""

    def __init__(self, pepper: bytes, workspace_id: UUID) -> None:
        self._mac = hmac.new(pepper, workspace_id.bytes, "sha256")
        self._domains: dict[str, tuple[str, bytes, int] | str] = {}

    def read(self, text: str) -> Address:
        """Take an address as a person typed it. Raises NotAnAddress."""
        plain = text.isascii()
        # Printable ASCII has none, and is what nearly all addresses are.
        if not (plain and text.isprintable()) and _BREAKS(text):
            raise NotAnAddress("the address contains a line break or a control character")
        clean = text.strip() if plain else contract.visible(text)
        local, at, domain = clean.rpartition("@")
        if not at or not domain or not local or "@" in local:
            raise NotAnAddress("an address has one @ with text on both sides")
        if not _ASCII_LOCAL(local):
            _check_international(local)
        if len(local) > LOCAL_CHARACTERS:
            raise NotAnAddress(f"the part before the @ is longer than {LOCAL_CHARACTERS} characters")
        known = self._domains.get(domain)
        if known is None:
            known = self._look_at(domain)
        if isinstance(known, str):
            raise NotAnAddress(known)
        identity, domain_hash, octets = known
        if len(local.encode()) + 1 + octets > ADDRESS_OCTETS:
            raise NotAnAddress(f"the address is longer than {ADDRESS_OCTETS} octets")
        normalised = f"{local.casefold()}@{identity}"
        return Address(clean, normalised, self._hash(normalised), domain_hash)

    def read_domain(self, text: str) -> bytes:
        """The keyed hash of a domain. Raises NotAnAddress."""
        return self.read(f"a@{text.strip().removeprefix('@')}").domain_hash

    def keyed(self, text: str) -> bytes:
        """The keyed hash of anything that is only to be known again."""
        return self._hash(text)

    def _hash(self, text: str) -> bytes:
        mac = self._mac.copy()
        mac.update(text.encode())
        return mac.digest()

    def _look_at(self, domain: str) -> tuple[str, bytes, int] | str:
        verdict: tuple[str, bytes, int] | str
        try:
            judged = contract.joinerless(domain)
            seen = validate_email(f"a@{judged}", check_deliverability=False, test_environment=True)
            identity = contract.a_label(domain)
        except (EmailNotValidError, contract.InvalidAddress, ValueError) as error:
            verdict = str(error)
        else:
            forms = (domain, seen.domain, seen.ascii_domain, identity)
            verdict = (identity, self._hash(identity), max(len(form.encode()) for form in forms))
        if len(self._domains) >= _REMEMBERED_DOMAINS:
            self._domains.clear()
        self._domains[domain] = verdict
        return verdict


def _check_international(local: str) -> None:
    if not _LOCAL(local):
        raise NotAnAddress("the part before the @ contains characters an address cannot have, or a misplaced dot")
    for position, character in enumerate(local):
        kind = unicodedata.category(character)[0]
        if kind not in "LNPSM" or (kind == "M" and position == 0):
            raise NotAnAddress("the part before the @ contains characters that are not safe in an address")
