"""Which names can be sending domains: host names (RFC 5321 §2.3.5) below a public suffix, not a mailbox provider's."""

import re
import unicodedata
from functools import cache

from common.contracts.addresses import InvalidAddress, a_label, u_label
from publicsuffixlist import PublicSuffixList

from delivery.domain.providers import OTHER, provider_of

LONGEST = 200  # selectors, `_domainkey` and `bounces` stand before it, within the 253 of a name
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class UnfitDomain(ValueError):
    """Why a name cannot be a sending domain: `malformed`, `public_suffix` or `provider`; the message says it."""

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


def sending_domain(text: str) -> str:
    """The name as A-labels in lower case. Raises UnfitDomain."""
    given = unicodedata.normalize("NFC", text.strip())
    try:
        name = a_label(given).removesuffix(".")
        u_label(name)
    except InvalidAddress as error:
        raise UnfitDomain("malformed", f"{given!r} cannot be written as a domain name (IDNA)") from error
    labels = name.split(".")
    if len(name) > LONGEST or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        raise UnfitDomain("malformed", f"{given[:260]!r} is no domain name: give it bare, such as news.example.com")
    if labels[-1].isdigit():
        raise UnfitDomain("malformed", f"{name} is an address of a machine, not a domain name")
    if any(provider_of(one) != OTHER for one in lineage(name)):
        raise UnfitDomain("provider", f"{name} is a mailbox provider's: only its own servers may send for it")
    if _suffixes().is_public(name):
        raise UnfitDomain("public_suffix", f"{name} is a public suffix: nobody can send for all that is below it")
    return name


def lineage(domain: str) -> list[str]:
    """The domain and what is above it, the nearest first; without the top-level domain."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
