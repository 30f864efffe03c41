"""Who may send for a domain (SPF, RFC 7208): the record judged for an address, and what stands in it counted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, Protocol

Result = Literal["pass", "fail", "softfail", "neutral", "none", "permerror"]

MOST_LOOKUPS = 10  # §4.6.4
_RESULTS: dict[str, Result] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_TERM = re.compile(r"(?P<sign>[-+~?]?)(?P<name>all|include|a|mx|ptr|ip4|ip6|exists)(?P<rest>[:/].*)?", re.I)
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9_.-]*)=(?P<value>.*)", re.I)
_LENGTHS = re.compile(r"(?P<domain>[^/]*)(?:/(?P<four>\d{1,2}))?(?://(?P<six>\d{1,3}))?")


class Names(Protocol):
    """The questions that a record makes us ask."""

    async def txt(self, name: str) -> list[str]:
        """TXT records."""

    async def mail_hosts(self, name: str) -> list[str]:
        """The hosts of MX records."""

    async def addresses(self, name: str) -> list[str]:
        """A and AAAA records."""


class Broken(Exception):
    """The record cannot be judged (permerror); the message says why."""


@dataclass(slots=True)
class Verdict:
    """What a receiver makes of mail from an address. `lookups` counts as §4.6.4 does."""

    result: Result = "none"
    why: str = ""
    lookups: int = 0


def records(texts: Sequence[str]) -> list[str]:
    """The SPF records among TXT records (§4.5)."""
    return [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def authorising(record: str | None, mechanisms: Sequence[str]) -> str:
    """The record that a domain should publish so that these mechanisms are in it; what it has stays."""
    if record is None:
        return " ".join(["v=spf1", *mechanisms, "~all"])
    terms = record.split()
    missing = [one for one in mechanisms if one.lower() not in {term.lower().removeprefix("+") for term in terms}]
    closing = next(
        (at for at, term in enumerate(terms) if re.fullmatch(r"[-+~?]?all|redirect=.*", term, re.I)), len(terms)
    )
    return " ".join([*terms[:closing], *missing, *terms[closing:]])


async def check_host(names: Names, address: str, domain: str) -> Verdict:
    """Whether the address may send for the domain (§4.6). Errors of the DNS pass through."""
    judging = _Judging(names, ip_address(address))
    try:
        result = await judging.host(domain)
    except Broken as error:
        return Verdict("permerror", str(error), judging.lookups)
    return Verdict(result, "", judging.lookups)


@dataclass(slots=True)
class _Judging:
    names: Names
    address: IPv4Address | IPv6Address
    lookups: int = 0
    inside: list[str] = field(default_factory=list)

    async def host(self, domain: str) -> Result:
        found = records(await self.names.txt(domain))
        if not found:
            return "none"
        if len(found) > 1:
            raise Broken(f"{domain} has {len(found)} SPF records; there must be one")
        if domain in self.inside:
            raise Broken(f"{domain} includes itself")
        self.inside.append(domain)
        redirect = None
        for term in found[0].split()[1:]:
            modifier = _MODIFIER.fullmatch(term)
            if modifier is not None:
                redirect = modifier["value"] if modifier["name"].lower() == "redirect" else redirect
                continue
            mechanism = _TERM.fullmatch(term)
            if mechanism is None:
                raise Broken(f"{domain}: {term[:80]!r} is no mechanism of SPF")
            if await self._matches(mechanism["name"].lower(), mechanism["rest"] or "", domain):
                self.inside.pop()
                return _RESULTS[mechanism["sign"] or "+"]
        result: Result = "neutral"
        if redirect is not None:
            self._count()
            result = await self.host(_target(redirect))
            if result == "none":
                raise Broken(f"{domain}: redirect={redirect} has no SPF record")
        self.inside.pop()
        return result

    async def _matches(self, name: str, rest: str, domain: str) -> bool:
        if name == "all":
            return True
        if name in {"ip4", "ip6"}:
            return self._within(rest.removeprefix(":"))
        self._count()
        lengths = _LENGTHS.fullmatch(rest.removeprefix(":"))
        if lengths is None:
            raise Broken(f"{domain}: {name}{rest[:80]} has no form of SPF")
        target = _target(lengths["domain"]) or domain
        if name == "include":
            result = await self.host(target)
            if result == "none":
                raise Broken(f"{domain}: include:{target} has no SPF record")
            return result == "pass"
        if name == "exists":
            return bool(await self.names.addresses(target))
        if name == "ptr":
            return False  # §5.5: must not be used; costs a lookup all the same
        hosts = (await self.names.mail_hosts(target))[:MOST_LOOKUPS] if name == "mx" else [target]
        length = lengths["four"] if self.address.version == 4 else lengths["six"]
        found = [ip_address(one) for host in hosts for one in await self.names.addresses(host)]
        same = [one for one in found if one.version == self.address.version]
        return any(self._within(f"{one}/{length}" if length else str(one)) for one in same)

    def _within(self, network: str) -> bool:
        try:
            return self.address in ip_network(network, strict=False)
        except ValueError as error:
            raise Broken(f"{network[:80]!r} is no address or network") from error

    def _count(self) -> None:
        self.lookups += 1
        if self.lookups > MOST_LOOKUPS:
            raise Broken(f"more than {MOST_LOOKUPS} lookups are needed; receivers stop there")


def _target(text: str) -> str:
    if "%" in text:
        raise Broken(f"{text[:80]!r} has macros, which are not judged here")
    return text.lower().rstrip(".")
