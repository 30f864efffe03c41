"""Connections to the mail servers of recipients' domains themselves (RFC 5321 §5.1)."""

import asyncio
import ssl
import time
from collections import deque
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
# RFC 5321 asks for two addresses at least.
MOST_HOSTS, MOST_ADDRESSES = 4, 4
# For all hosts of a domain together.
HOSTS_S = 15.0
# After so long a host must show again that it works, and one that is preferred may show that it works again.
PROVEN_S = 300.0
MOST_REMEMBERED = 20_000
RESTING = "no mail host of the domain could be reached a moment ago"


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

    @property
    def proven(self) -> bool:
        """Whether one of them is known to work."""
        return any(map(self.direct.works, self.hosts))

    @property
    def resting(self) -> bool:
        """Whether all of them are known not to work now."""
        return all(map(self.direct.rests, self.hosts))

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
        self._hosts: dict[str, _Host] = {}

    async def find(self, domain: str) -> Destination | NoMail:
        """Where mail to a domain goes. Raises DnsUnavailable."""
        found = await self._exchangers.exchange(domain)
        if isinstance(found, NoMail):
            return found
        return Destination(found, frozenset(host.name for host in found.hosts), self)

    def works(self, host: str) -> bool:
        """Whether it is known to work: it did, not long ago, and has not failed since."""
        return host in self._hosts and self._hosts[host].works

    def rests(self, host: str) -> bool:
        """Whether it is known not to work now."""
        return host in self._hosts and self._hosts[host].breaker.wait_s() > 0

    async def connect(self, destination: Destination, timeout_s: float) -> aiosmtplib.SMTP:
        """A connection to the first of its hosts that works, so long in all. Raises Unreachable, DnsUnavailable.

        Hosts that are known to work come first: nobody waits for the rest while there are any.
        """
        order = destination.exchange.order(self._rng)
        hosts = sorted((host for host in order if not self.rests(host)), key=lambda host: not self.works(host))
        failures: list[Unreachable | DnsUnavailable] = []
        if len(hosts) < len(order):
            failures.append(Unreachable(RESTING))
        return await self._first_of(hosts[:MOST_HOSTS], timeout_s, failures)

    async def _first_of(
        self, hosts: Sequence[str], timeout_s: float, failures: list[Unreachable | DnsUnavailable]
    ) -> aiosmtplib.SMTP:
        """Each is tried once the one before it failed, or beside it when that is slow."""
        left, tries = deque(hosts), dict[asyncio.Task[aiosmtplib.SMTP], str]()
        ends = time.monotonic() + timeout_s
        try:
            while (left or tries) and (remaining := ends - time.monotonic()) > 0:
                if left:
                    host = left.popleft()
                    tries[asyncio.create_task(self._reach(host))] = host
                patience = min(remaining, timeout_s / (MOST_HOSTS + 1)) if left else remaining
                done, _ = await asyncio.wait(tries, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    host = tries.pop(one)
                    try:
                        client = one.result()
                    except NotOnTheInternet as error:
                        failures.append(error)
                    except (Unreachable, DnsUnavailable) as error:
                        self._host(host).breaker.failed()
                        failures.append(error)
                    else:
                        self._host(host).worked()
                        return client
            for host in tries.values():
                self._host(host).breaker.failed(timeout_s)
                failures.append(Unreachable(f"{host} does not answer in time"))
        finally:
            for one in tries:
                one.cancel()
                one.add_done_callback(_close)
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
            timeout=HOSTS_S,
        )
        try:
            await client.connect()
            await client.ehlo()
            if encrypted and client.supports_extension("starttls"):
                try:
                    await client.starttls()
                except (aiosmtplib.SMTPException, ssl.SSLError, OSError, ValueError) as error:
                    raise _NoHandshake from error
                await client.ehlo()
        except BaseException:
            client.close()
            sock.close()
            raise
        return client

    def _host(self, name: str) -> "_Host":
        found = self._hosts.pop(name, None) or _Host(Breaker(self._rng))
        while len(self._hosts) >= MOST_REMEMBERED:
            del self._hosts[next(iter(self._hosts))]
        self._hosts[name] = found
        return found


def direct_of(
    name: str | None, resolvers: str, dns_timeout_s: float, allowed: Sequence[egress.Network], rng: Random
) -> Direct | None:
    """As the operator allows it; None: not at all. Raises Misconfigured."""
    return None if name is None else Direct(Exchangers(Resolver(resolvers, dns_timeout_s)), name, allowed, rng)


@dataclass(slots=True)
class _Host:
    """What is known of a mail host. `proven_at`: since when it is known to work."""

    breaker: Breaker
    proven_at: float = 0.0

    def worked(self) -> None:
        if not self.works:
            self.proven_at = time.monotonic()
        self.breaker.worked()

    @property
    def works(self) -> bool:
        return self.breaker.proven and time.monotonic() - self.proven_at < PROVEN_S


class _NoHandshake(Exception):
    """The server offers encryption and fails at it: mail goes in the clear, as without the offer (RFC 7435)."""


def _close(reached: "asyncio.Task[aiosmtplib.SMTP]") -> None:
    """Another host was sooner."""
    if not reached.cancelled() and reached.exception() is None:
        reached.result().close()


def _telling(failure: Exception) -> int:
    """How much a failure says of when to try again: a host that may work later, before one that mail never goes to."""
    return 0 if isinstance(failure, NotOnTheInternet) else 2 if getattr(failure, "code", None) else 1


def _unreachable(host: str, error: Exception) -> Unreachable:
    code = getattr(error, "code", None)
    said = str(getattr(error, "message", None) or error) or type(error).__name__
    return Unreachable(said, code) if isinstance(code, int) and code > 0 else Unreachable(f"{host}: {said}")
