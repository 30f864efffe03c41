"""What is looked at before a process begins: whether its databases' schemas fit the code, and its bus is there."""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import asyncpg
import structlog

from common.bus import moved, reach
from common.contracts.topics import owned_by, read_by
from common.db import schema
from common.db.pool import TRANSIENT
from common.errors import BaridError, Misconfigured
from common.exits import brief
from common.health import NEEDS
from common.settings import ServiceSettings, SharedSettings, variable

# They answer people also while the database is away; /readyz of an API looks at the schema again.
SERVING = frozenset({"api", "tracker"})
_AGAIN_S = 1.0
_TELL_EVERY_S = 10.0
# The server answers, and knows no such user or database: a wrong setting, or not yet made.
_REFUSED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
_TOLD: tuple[type[BaseException], ...] = (BaridError, *TRANSIENT)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Need:
    """One thing to look at. `away`: what to do while it does not answer."""

    name: str
    look: Callable[[], Awaitable[object]]
    away: str = "end"


async def guard(
    stop: asyncio.Event,
    shared: SharedSettings,
    processes: Sequence[tuple[str, str, ServiceSettings]],
    only: str | None = None,
) -> bool:
    """Return when these processes may begin; False when they were stopped before. Raises BaridError in one line.

    `only`: the consumers of a worker, by commas; at the broker its user may see no other topics.

    What may still come is waited for BARID_START_WAIT_S: a migration, topics, a broker, a role. A database that does
    not answer is waited for without an end by processes that tell of their health, and not at all by an API and the
    tracker.
    """
    if shared.environment == "production" and not shared.public_url.startswith("https://"):
        log.warning("links_without_https", setting="BARID_PUBLIC_URL")
    deadline = time.monotonic() + shared.start_wait_s
    for need in _needs(shared, processes, only):
        told = -math.inf
        while not stop.is_set():
            try:
                await need.look()
                break
            except _TOLD as error:
                away = not isinstance(error, BaridError)  # a bus that is away is both
                if away and need.away == "go on":
                    log.warning("not_looked_at", part=need.name, error=brief(error))
                    break
                if not (need.away == "wait" if away else time.monotonic() < deadline):
                    raise
                if time.monotonic() - told > _TELL_EVERY_S:
                    told = time.monotonic()
                    log.warning("start_waits", part=need.name, error=brief(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _AGAIN_S)
    return not stop.is_set()


def _needs(
    shared: SharedSettings, processes: Sequence[tuple[str, str, ServiceSettings]], only: str | None
) -> Iterator[_Need]:
    seen: set[str] = set()
    for service, command, settings in processes:
        role: Literal["api", "worker"] = "api" if command in SERVING else "worker"
        url = settings.require_url(role)
        if url not in seen:
            seen.add(url)
            away = "go on" if command in SERVING else "wait" if command in NEEDS else "end"
            yield _database(service, url, variable(type(settings), f"{role}_database_url"), away)
    if any("bus" in NEEDS.get(command, ()) for _, command, _ in processes):
        if shared.bus == "postgres":
            yield _database("bus", shared.require_bus_database(), "BUS_DATABASE_URL", "wait")
        else:
            topics = [one for service, command, _ in processes if command == "relay" for one in owned_by(service)]
            topics += [
                one for service, command, _ in processes if command == "worker" for one in read_by(service, only)
            ]
            yield _Need("kafka", lambda: reach(shared, [topic.name for topic in topics]))
        yield _Need("barid drain", lambda: moved.check(shared))


def _database(service: str, url: str, variable: str, away: str) -> _Need:
    async def look() -> None:
        try:
            await schema.look(service, url)
        except (ValueError, *_REFUSED) as error:
            raise Misconfigured(f"{variable}: {brief(error)}") from error

    return _Need(variable, look, away)
