"""Mail hosts of recipients' domains, and their addresses: asked once, kept for as long as they stand."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Generic, TypeVar

from common.egress import Address

from delivery.dns.resolver import Answer, DnsUnavailable, Resolver, text_of
from delivery.domain.exchanges import NO_HOST, UNKNOWN, Exchange, Host, NoMail, exchange_of

# A record with no lifetime is still good for a whole batch; one that stands for a week is looked at again.
KEPT_LEAST_S, KEPT_MOST_S = 30.0, 3600.0
# What is not there may soon be; a DNS that fails is not asked again for every message.
NOTHING_S, FAILED_S = 60.0, 5.0
MOST_KEPT = 20_000

T = TypeVar("T")


class Exchangers:
    """What the DNS says of where domains take mail. Domains and hosts are A-labels in lower case."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._exchanges = _Kept(self._look)
        self._addresses = _Kept(self._locate)

    async def exchange(self, domain: str) -> Exchange | NoMail:
        """The domain's mail hosts. Raises DnsUnavailable."""
        return await self._exchanges.get(domain)

    async def addresses(self, host: str) -> tuple[Address, ...]:
        """A host's addresses, IPv4 first: few machines have a name for the IPv6 address they send from.

        Raises DnsUnavailable.
        """
        return await self._addresses.get(host)

    async def _look(self, domain: str) -> tuple[Exchange | NoMail, float]:
        answer = await self._resolver.ask(domain, "MX")
        if not answer.exists:
            return UNKNOWN, NOTHING_S
        found = exchange_of([(record.preference, text_of(record.exchange)) for record in answer.records])
        if found is not None:
            return found, answer.ttl_s
        if await self._addresses.get(domain):
            return Exchange((Host(0, domain),)), NOTHING_S
        return NO_HOST, NOTHING_S

    async def _locate(self, host: str) -> tuple[tuple[Address, ...], float]:
        answers = await asyncio.gather(
            *(self._resolver.ask(host, kind) for kind in ("A", "AAAA")), return_exceptions=True
        )
        good = [answer for answer in answers if isinstance(answer, Answer)]
        found = tuple(ip_address(record.address) for answer in good for record in answer.records)
        if not found:
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
        return found, min(answer.ttl_s if answer.records else NOTHING_S for answer in good)


class _Kept(Generic[T]):
    """Answers by name. Who asks while another asks waits for the same answer."""

    def __init__(self, ask: Callable[[str], Awaitable[tuple[T, float]]]) -> None:
        self._ask = ask
        self._known: dict[str, tuple[float, T | DnsUnavailable]] = {}
        self._asking: dict[str, asyncio.Task[T]] = {}

    async def get(self, name: str) -> T:
        """Raises DnsUnavailable."""
        until, value = self._known.get(name, (0.0, None))
        if until > time.monotonic() and value is not None:
            if isinstance(value, DnsUnavailable):
                raise DnsUnavailable(name)
            return value
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._fetch(name))
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        return await asyncio.shield(task)

    async def _fetch(self, name: str) -> T:
        try:
            value, ttl_s = await self._ask(name)
        except DnsUnavailable as error:
            self._keep(name, error, FAILED_S)
            raise
        self._keep(name, value, min(max(ttl_s, KEPT_LEAST_S), KEPT_MOST_S))
        return value

    def _keep(self, name: str, value: T | DnsUnavailable, seconds: float) -> None:
        self._known.pop(name, None)
        while len(self._known) >= MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[name] = (time.monotonic() + seconds, value)
