"""Who may send for a domain (SPF, RFC 7208): the record judged for an address, and what stands in it counted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, Protocol

from delivery.domain.spf_macros import Told, asks_for_name, expand, is_spec

Result = Literal["pass", "fail", "softfail", "neutral", "none", "permerror"]

MOST_LOOKUPS = 10  # §4.6.4, as the next
MOST_VOID = 2
_RESULTS: dict[str, Result] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_TERM = re.compile(r"(?P<sign>[-+~?]?)(?P<name>all|include|a|mx|ptr|ip4|ip6|exists)(?P<rest>[:/].*)?", re.I)
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9_.-]*)=(?P<value>.*)", re.I)
# A domain may have a / of its own, within a macro.
_LENGTHS = re.compile(r"(?::(?P<domain>.+?))?(?:/(?P<four>0|[1-9][0-9]?))?(?://(?P<six>0|[1-9][0-9]{0,2}))?", re.S)


class Names(Protocol):
    """The questions that a record makes us ask."""

    async def txt(self, name: str) -> list[str]:
        """TXT records."""

    async def mail_hosts(self, name: str) -> list[str]:
        """The hosts of MX records."""

    async def addresses(self, name: str) -> list[str]:
        """A and AAAA records."""

    async def names_of(self, address: str) -> list[str]:
        """Of the first ten names of an address those that lead back to it (§5.5); none where the DNS errs."""


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


async def check_host(
    names: Names, address: str, domain: str, sender: str | None = None, helo: str | None = None
) -> Verdict:
    """Whether the address may send for the domain (§4.6). Errors of the DNS pass through.

    `sender`: the envelope's, by which macros may ask; `helo`: the name that the server says of itself.
    """
    judging = _Judging(names, ip_address(address), sender or f"postmaster@{domain}", helo or domain)
    try:
        result = await judging.host(domain)
    except Broken as error:
        return Verdict("permerror", str(error), judging.lookups)
    return Verdict(result, "", judging.lookups)


@dataclass(slots=True)
class _Judging:
    names: Names
    address: IPv4Address | IPv6Address
    sender: str
    helo: str
    lookups: int = 0
    void: int = 0
    inside: list[str] = field(default_factory=list)
    called: list[str] | None = None

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
            target = await self._target(redirect, domain)
            result = await self.host(target)
            if result == "none":
                raise Broken(f"{domain}: redirect={target} has no SPF record")
        self.inside.pop()
        return result

    async def _matches(self, name: str, rest: str, domain: str) -> bool:
        if name == "all":
            return True
        if name in {"ip4", "ip6"}:
            return self._within(rest.removeprefix(":"))
        self._count()
        if name in {"a", "mx"}:
            return await self._is_host(name, rest, domain)
        if name == "ptr":
            target = await self._target(rest[1:], domain) if rest else domain
            return any(f".{one}".endswith(f".{target}") for one in await self._called())
        target = await self._target(rest[1:] if rest.startswith(":") else "", domain)
        if name == "exists":
            there = [one for one in await self.names.addresses(target) if ip_address(one).version == 4]
            self._count_void(there)
            return bool(there)
        result = await self.host(target)
        if result == "none":
            raise Broken(f"{domain}: include:{target} has no SPF record")
        return result == "pass"

    async def _is_host(self, name: str, rest: str, domain: str) -> bool:
        form = _LENGTHS.fullmatch(rest)
        if form is None or int(form["four"] or 0) > 32 or int(form["six"] or 0) > 128:
            raise Broken(f"{domain}: {name}{rest[:80]} has no form of SPF")
        target = await self._target(form["domain"], domain) if form["domain"] else domain
        hosts = await self.names.mail_hosts(target) if name == "mx" else [target]
        if len(hosts) > MOST_LOOKUPS:
            raise Broken(f"{target} has {len(hosts)} mail hosts; receivers look at {MOST_LOOKUPS} at most")
        length = form["four"] if self.address.version == 4 else form["six"]
        there = [[ip_address(one) for one in await self.names.addresses(host)] for host in hosts]
        same = [[one for one in found if one.version == self.address.version] for found in there]
        self._count_void(hosts and all(same))
        return any(self._within(f"{one}/{length}" if length else str(one)) for found in same for one in found)

    def _within(self, network: str) -> bool:
        try:
            return self.address in ip_network(network, strict=False)
        except ValueError as error:
            raise Broken(f"{network[:80]!r} is no address or network") from error

    async def _target(self, text: str, domain: str) -> str:
        if not is_spec(text):
            raise Broken(f"{domain}: {text[:80]!r} is no name that SPF can ask for")
        name = "unknown"
        if asks_for_name(text):
            if self.called is None:
                self._count()
            found = await self._called()
            inside = [one for one in found if one.endswith(f".{domain}")]
            name = next(iter([one for one in found if one == domain] + inside + found), name)
        told = Told(self.address, domain, self.sender, self.helo, name)
        return expand(text, told).lower().rstrip(".")

    async def _called(self) -> list[str]:
        if self.called is None:
            self.called = await self.names.names_of(str(self.address))
        return self.called

    def _count(self) -> None:
        self.lookups += 1
        if self.lookups > MOST_LOOKUPS:
            raise Broken(f"more than {MOST_LOOKUPS} lookups are needed; receivers stop there")

    def _count_void(self, found: object) -> None:
        """One more term for which the DNS has nothing."""
        self.void += not found
        if self.void > MOST_VOID:
            raise Broken(f"more than {MOST_VOID} lookups find nothing; receivers stop there")
