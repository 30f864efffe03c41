"""Connections to the mail servers of recipients' domains themselves (RFC 5321 §5.1)."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import aiosmtplib
from common import egress

from delivery.dns.exchangers import Exchangers
from delivery.dns.resolver import DnsUnavailable, Resolver
from delivery.domain.exchanges import Exchange, NoMail
from delivery.smtp.route import Breaker

PORT = 25
# RFC 5321 asks for two addresses at least. Who names many that are slow keeps one worker, and not for long.
MOST_HOSTS, MOST_ADDRESSES, HOST_S = 4, 4, 20.0
MOST_REMEMBERED = 20_000


class Unreachable(OSError):
    """None of a domain's mail hosts could be spoken to. `code`: what the last one said in greeting, if it did."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.text, self.code = text, code


class NotOnTheInternet(Unreachable):
    """All of them are in networks that mail does not go to."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A domain's mail hosts, and how to connect to one of them."""

    exchange: Exchange
    hosts: frozenset[str]
    direct: "Direct"

    async def connect(self, timeout_s: float) -> aiosmtplib.SMTP:
        """A connection after EHLO, encrypted if the server can. Raises Unreachable, DnsUnavailable."""
        return await self.direct.connect(self, timeout_s)


class Direct:
    """Knows recipients' mail hosts, and which of them do not answer. `name`: what this machine calls itself.

    `allowed`: private networks in which mail hosts may be.
    """

    def __init__(
        self, exchangers: Exchangers, name: str, allowed: Sequence[egress.Network], rng: Random, port: int = PORT
    ) -> None:
        self._exchangers = exchangers
        self._name = name
        self._allowed = allowed
        self._rng = rng
        self._port = port
        self._breakers: dict[str, Breaker] = {}
        self._trying: set[frozenset[str]] = set()

    async def find(self, domain: str) -> Destination | NoMail:
        """Where mail to a domain goes. Raises DnsUnavailable."""
        found = await self._exchangers.exchange(domain)
        if isinstance(found, NoMail):
            return found
        return Destination(found, frozenset(host.name for host in found.hosts), self)

    def being_tried(self, destination: Destination) -> bool:
        """Whether a connection is being made to hosts of which none is known to work: one at a time shows it."""
        return destination.hosts in self._trying

    async def connect(self, destination: Destination, timeout_s: float) -> aiosmtplib.SMTP:
        """A connection to the first of its hosts that works. Raises Unreachable, DnsUnavailable."""
        order = destination.exchange.order(self._rng)[:MOST_HOSTS]
        unproven = not any(host in self._breakers and self._breakers[host].proven for host in order)
        if unproven:
            self._trying.add(destination.hosts)
        try:
            return await self._first_of(order, timeout_s)
        finally:
            if unproven:
                self._trying.discard(destination.hosts)

    async def _first_of(self, order: Sequence[str], timeout_s: float) -> aiosmtplib.SMTP:
        resting = Unreachable("no mail host of the domain could be reached a moment ago")
        failures: list[Unreachable | DnsUnavailable] = []
        for host in order:
            breaker = self._breaker(host)
            if breaker.wait_s() > 0:
                failures.append(resting)
                continue
            try:
                async with asyncio.timeout(timeout_s):
                    client = await self._reach(host)
            except NotOnTheInternet as error:
                failures.append(error)
            except (Unreachable, DnsUnavailable) as error:
                breaker.failed()
                failures.append(error)
            except TimeoutError:
                breaker.failed()
                failures.append(Unreachable(f"{host} does not answer in time"))
            else:
                breaker.worked()
                return client
        raise max(reversed(failures), key=_telling)

    async def _reach(self, host: str) -> aiosmtplib.SMTP:
        addresses = (await self._exchangers.addresses(host))[:MOST_ADDRESSES]
        if not addresses:
            raise Unreachable(f"{host} has no address")
        try:
            egress.judge(host, addresses, self._allowed)
        except egress.ForbiddenHost as error:
            raise NotOnTheInternet(str(error)) from error
        failure = Unreachable(f"{host} does not answer")
        for address in addresses:
            for encrypted in (True, False):
                try:
                    return await self._open(host, address, encrypted=encrypted)
                except _NoHandshake:
                    continue
                except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                    failure = _unreachable(host, error)
                    break
        raise failure

    async def _open(self, host: str, address: egress.Address, *, encrypted: bool) -> aiosmtplib.SMTP:
        sock = await egress.connect([address], self._port)
        client = aiosmtplib.SMTP(
            hostname=host,
            sock=sock,
            local_hostname=self._name,
            start_tls=False,
            validate_certs=False,
            timeout=HOST_S,
        )
        try:
            await client.connect()
            await client.ehlo()
            if encrypted and client.supports_extension("starttls"):
                try:
                    await client.starttls()
                except (aiosmtplib.SMTPException, ssl.SSLError, OSError) as error:
                    raise _NoHandshake from error
                await client.ehlo()
        except BaseException:
            client.close()
            sock.close()
            raise
        return client

    def _breaker(self, host: str) -> Breaker:
        found = self._breakers.pop(host, None) or Breaker(self._rng)
        while len(self._breakers) >= MOST_REMEMBERED:
            del self._breakers[next(iter(self._breakers))]
        self._breakers[host] = found
        return found


def direct_of(
    name: str | None, resolvers: str, dns_timeout_s: float, allowed: Sequence[egress.Network], rng: Random
) -> Direct | None:
    """As the operator allows it; None: not at all. Raises Misconfigured."""
    return None if name is None else Direct(Exchangers(Resolver(resolvers, dns_timeout_s)), name, allowed, rng)


class _NoHandshake(Exception):
    """The server offers encryption and fails at it: mail goes in the clear, as without the offer (RFC 7435)."""


def _telling(failure: Exception) -> int:
    """How much a failure says of when to try again: a host that may work later, before one that mail never goes to."""
    return 0 if isinstance(failure, NotOnTheInternet) else 2 if getattr(failure, "code", None) else 1


def _unreachable(host: str, error: Exception) -> Unreachable:
    code = getattr(error, "code", None)
    said = str(getattr(error, "message", None) or error) or type(error).__name__
    return Unreachable(said, code) if isinstance(code, int) and code > 0 else Unreachable(f"{host}: {said}")
