"""Macros in SPF records (RFC 7208 §7): a domain that depends on who sends, from where, as whom."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

MOST_CHARS = 253
_DELIMITERS = r".\-+,/_="
_EXPAND = rf"%\{{[slodipvh](?:0*[1-9][0-9]*)?r?[{_DELIMITERS}]*\}}|%%|%_|%-"
_TOP = r"(?![0-9]+\.?\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# §7.1: ends in a top label, which is no number, or in a macro.
_SPEC = re.compile(rf"(?:{_EXPAND}|[!-$&-~])*(?:\.{_TOP}\.?|{_EXPAND})", re.I)
_MACRO = re.compile(
    rf"%(?:\{{(?P<letter>[a-z])(?P<most>[0-9]*)(?P<turned>r?)(?P<at>[{_DELIMITERS}]*)\}}|(?P<plain>[%_-]))", re.I
)
_PLAIN = {"%": "%", "_": " ", "-": "%20"}


@dataclass(frozen=True, slots=True)
class Told:
    """What macros stand for. `name`: the validated one of the address (`%{p}`), which few records ask for."""

    address: IPv4Address | IPv6Address
    domain: str
    sender: str
    helo: str
    name: str = "unknown"


def is_spec(text: str) -> bool:
    """Whether it is a domain-spec: a name, with or without macros."""
    return _SPEC.fullmatch(text) is not None


def asks_for_name(text: str) -> bool:
    """Whether the address's name must be known to expand it."""
    return any((one["letter"] or "").lower() == "p" for one in _MACRO.finditer(text))


def expand(text: str, told: Told) -> str:
    """The domain that a domain-spec means, cut from the left to the length of a name (§7.3)."""
    found = _MACRO.sub(lambda one: _one(one, told), text)
    if len(found) > MOST_CHARS:
        found = found[found.find(".", len(found) - MOST_CHARS - 1) + 1 :]
    return found


def _one(macro: re.Match[str], told: Told) -> str:
    if macro["plain"]:
        return _PLAIN[macro["plain"]]
    value = _value(macro["letter"].lower(), told)
    parts = re.split(f"[{re.escape(macro['at'] or '.')}]", value)
    if macro["turned"]:
        parts.reverse()
    digits = macro["most"].lstrip("0")
    if digits and len(digits) < 4:
        parts = parts[-int(digits) :]
    value = ".".join(parts)
    return quote(value, safe="") if macro["letter"].isupper() else value


def _value(letter: str, told: Told) -> str:
    local, _, at = told.sender.rpartition("@")
    four = told.address.version == 4
    nibbles = ".".join(told.address.exploded.replace(":", ""))
    return {
        "s": told.sender,
        "l": local,
        "o": at,
        "d": told.domain,
        "i": str(told.address) if four else nibbles,
        "p": told.name,
        "v": "in-addr" if four else "ip6",
        "h": told.helo,
    }[letter]
