"""Where a domain takes mail: its mail hosts (RFC 5321 §5.1), or why it takes none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from delivery.domain.providers import OTHER, provider_of, provider_of_exchange
from delivery.domain.smtp_replies import FailureClass


class Host(NamedTuple):
    """A mail host: the lower its preference, the sooner it is tried."""

    preference: int
    name: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """The mail hosts of a domain, each once, the preferred first; one that names none is its own."""

    hosts: tuple[Host, ...]

    def order(self, rng: Random) -> list[str]:
        """In which order to try them: by preference, at random within one."""
        return [host.name for host in sorted(self.hosts, key=lambda host: (host.preference, rng.random()))]


@dataclass(frozen=True, slots=True)
class NoMail:
    """No mail can reach the domain, now or later."""

    klass: FailureClass
    enhanced: str
    text: str


UNKNOWN = NoMail("bad_domain", "5.1.2", "there is no such domain")
NO_HOST = NoMail("bad_domain", "5.1.2", "the domain has no mail host and no address")
TAKES_NONE = NoMail("bad_mailbox", "5.1.10", "the domain takes no mail (null MX)")


def exchange_of(records: Sequence[tuple[int, str]]) -> Exchange | NoMail | None:
    """What MX records say; None: there is none, and the domain's own addresses count.

    The null MX (RFC 7505) has an empty name. Beside others it means nothing.
    """
    best: dict[str, int] = {}
    for preference, name in records:
        if name:
            best[name] = min(preference, best.get(name, preference))
    if best:
        return Exchange(tuple(sorted(Host(preference, name) for name, preference in best.items())))
    return TAKES_NONE if records else None


def provider_behind(domain: str, exchange: Exchange) -> str:
    """Whose limits mail to a domain counts against: by its name, else by its preferred hosts if all are of one."""
    known = provider_of(domain)
    if known != OTHER:
        return known
    first = exchange.hosts[0].preference
    return _only(provider_of_exchange(host.name) for host in exchange.hosts if host.preference == first)


def _only(providers: Iterable[str]) -> str:
    found = set(providers)
    return found.pop() if len(found) == 1 else OTHER
