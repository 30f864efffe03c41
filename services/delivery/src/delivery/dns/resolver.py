"""The DNS as the checks of a domain see it: what is there, nothing, or no answer."""

import asyncio
import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
import dns.reversename
from common.errors import Misconfigured

log = logging.getLogger(__name__)

MOST_AT_ONCE = 16


class DnsUnavailable(Exception):
    """The DNS did not answer, or said that it cannot (SERVFAIL, REFUSED); nothing is known. The message is the name."""


@dataclass(frozen=True, slots=True, order=True)
class MailHost:
    """One MX record (RFC 5321 §5.1); the null MX (RFC 7505) has an empty host."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Records of one type; none with `exists`: the name stands, with records of other types."""

    records: Sequence[Any]
    exists: bool
    ttl_s: float


class Resolver:
    """Asks the system's resolvers, or those of `BARID_DNS_RESOLVERS`. Names are A-labels, without the last dot."""

    def __init__(self, servers: str = "", timeout_s: float = 5.0) -> None:
        self._resolver = _resolver(servers)
        self._resolver.timeout = timeout_s / 2
        self._resolver.lifetime = timeout_s
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)

    async def txt(self, name: str) -> list[str]:
        """TXT records, each one's strings joined. Raises DnsUnavailable."""
        return [b"".join(record.strings).decode("utf-8", "replace") for record in await self._ask(name, "TXT")]

    async def exists(self, name: str) -> bool:
        """Whether there is such a name, or one below it (RFC 8020). Raises DnsUnavailable."""
        return (await self.ask(name, "TXT")).exists

    async def cname(self, name: str) -> str | None:
        """What the name is an alias of. Raises DnsUnavailable."""
        found = await self._ask(name, "CNAME")
        return text_of(found[0].target) if found else None

    async def mx(self, name: str) -> list[MailHost]:
        """Mail hosts, the preferred first. Raises DnsUnavailable."""
        return sorted(MailHost(one.preference, text_of(one.exchange)) for one in await self._ask(name, "MX"))

    async def addresses(self, name: str) -> list[str]:
        """IPv4 and IPv6 addresses. Raises DnsUnavailable."""
        found = await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA"))
        return [record.address for records in found for record in records]

    async def ptr(self, address: str) -> list[str]:
        """The names of an address. Raises DnsUnavailable."""
        return [text_of(one.target) for one in await self._ask(dns.reversename.from_address(address), "PTR")]

    async def ask(self, name: str | dns.name.Name, kind: str) -> Answer:
        """What stands at a name, aliases followed. Raises DnsUnavailable."""
        try:
            async with self._at_once:
                answer = await self._resolver.resolve(name, kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return Answer((), False, 0.0)
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, UnicodeError):
            return Answer((), False, 0.0)  # no such name can be
        except (dns.exception.DNSException, OSError) as error:
            raise DnsUnavailable(str(name)) from error
        return Answer(list(answer.rrset or ()), True, float(answer.chaining_result.minimum_ttl))

    async def _ask(self, name: str | dns.name.Name, kind: str) -> Sequence[Any]:
        return (await self.ask(name, kind)).records


def text_of(name: dns.name.Name) -> str:
    """A name in lower case, without the last dot."""
    return name.to_text(omit_final_dot=True).lower().rstrip(".")


def _resolver(servers: str) -> dns.asyncresolver.Resolver:
    named = [server.strip() for server in servers.split(",") if server.strip()]
    if not named:
        try:
            return dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            # A machine without a network sends mail to a sink as well as any other.
            log.warning("BARID_DNS_RESOLVERS is not set, and the system names no resolver: domains cannot be checked")
            return dns.asyncresolver.Resolver(configure=False)
    made = dns.asyncresolver.Resolver(configure=False)
    made.nameservers = [_server(server) for server in named]
    return made


def _server(text: str) -> dns.nameserver.Do53Nameserver:
    host, port = text, "53"
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        return dns.nameserver.Do53Nameserver(str(ipaddress.ip_address(host)), _port(port))
    except ValueError as error:
        raise Misconfigured(f"BARID_DNS_RESOLVERS: {text} is no address, <address> or <address>:<port>") from error


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise ValueError(text)
    return port
