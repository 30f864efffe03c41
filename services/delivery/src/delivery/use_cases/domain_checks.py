"""A look at the DNS for one sending domain: everything asked at once, and no answer is told from nothing there."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from delivery.dns.resolver import DnsUnavailable, Resolver
from delivery.domain import dmarc, spf
from delivery.domain.domain_checks import Answers, Facts, ReturnPath, is_at_home, return_path

WAIT_S = 20.0
_MOST_NAMES = 10  # RFC 7208 §4.6.4
# Nobody sends from it: with it a record is read to its end, and its lookups are all counted.
_NOBODY = "255.255.255.255"
_T = TypeVar("_T")


async def look(resolver: Resolver, domain: str, selectors: Sequence[str], facts: Facts) -> Answers:
    """What the DNS says of a domain now. Takes at most WAIT_S."""
    asked = _Asked(resolver)
    names = dmarc.walk(domain)
    senders = (*facts.addresses, _NOBODY)
    async with asyncio.TaskGroup() as group:
        keys = [group.create_task(_known(resolver.txt(f"{one}._domainkey.{domain}"))) for one in selectors]
        policies = [group.create_task(_known(resolver.txt(f"_dmarc.{name}"))) for name in names]
        existing = group.create_task(_known(resolver.exists(domain)))
        texts = group.create_task(_known(resolver.txt(domain)))
        hosts = group.create_task(_known(asked.mail_hosts(domain)))
        addresses = group.create_task(_known(resolver.addresses(domain)))
        path = group.create_task(_known(_return_path(resolver, domain, facts)))
        pointers = [group.create_task(_known(_confirmed(resolver, one))) for one in facts.addresses]
        verdicts = [group.create_task(_known(spf.check_host(asked, one, domain))) for one in senders]
    judged = {one: task.result() for one, task in zip(senders, verdicts, strict=True)}
    policy = {name: task.result() for name, task in zip(names, policies, strict=True)}
    return Answers(
        dkim={selector: task.result() for selector, task in zip(selectors, keys, strict=True)},
        # A half of SPF is none: what it includes decides as well.
        texts=texts.result() if None not in judged.values() else None,
        verdicts={one: verdict for one, verdict in judged.items() if verdict is not None},
        dmarc={name: there for name, there in policy.items() if there is not None}
        if None not in policy.values()
        else None,
        exists=existing.result() is not False,
        return_path=path.result(),
        mail_hosts=hosts.result(),
        addresses=addresses.result() or [],
        names={
            one: there
            for one, task in zip(facts.addresses, pointers, strict=True)
            if (there := task.result()) is not None
        },
    )


class _Asked:
    """The resolver, as SPF's rules ask it."""

    def __init__(self, resolver: Resolver) -> None:
        self._mx, self._ptr = resolver.mx, resolver.ptr
        self.txt = resolver.txt
        self.addresses = resolver.addresses

    async def mail_hosts(self, name: str) -> list[str]:
        return [one.host for one in await self._mx(name)]

    async def names_of(self, address: str) -> list[str]:
        try:
            names = (await self._ptr(address))[:_MOST_NAMES]
        except DnsUnavailable:
            return []
        there = await asyncio.gather(*(self._there(name) for name in names))
        return [name for name, found in zip(names, there, strict=True) if address in found]

    async def _there(self, name: str) -> list[str]:
        try:
            return await self.addresses(name)
        except DnsUnavailable:
            return []


async def _known(asked: Awaitable[_T]) -> _T | None:
    try:
        async with asyncio.timeout(WAIT_S):
            return await asked
    except (DnsUnavailable, TimeoutError):
        return None


async def _return_path(resolver: Resolver, domain: str, facts: Facts) -> ReturnPath | None:
    if facts.bounce_domain is None:
        return None
    name = facts.bounce_domain if is_at_home(domain, facts) else return_path(domain)
    alias, hosts = await asyncio.gather(resolver.cname(name), _Asked(resolver).mail_hosts(name))
    return ReturnPath(alias, tuple(hosts))


async def _confirmed(resolver: Resolver, address: str) -> list[str]:
    """The names of an address that lead back to it."""
    names = await resolver.ptr(address)
    there = await asyncio.gather(*(resolver.addresses(name) for name in names))
    return [name for name, found in zip(names, there, strict=True) if address in found]
