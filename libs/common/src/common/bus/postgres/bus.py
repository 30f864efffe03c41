"""One connection pool and one LISTEN connection per process and bus, however many producers and readers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from common.bus.postgres.append import PostgresProducer
from common.bus.postgres.reader import LEASE_S, PostgresReader
from common.bus.postgres.wake import Waker
from common.db.pool import Database


@dataclass(slots=True)
class PostgresBus:
    """The transport `postgres`."""

    db: Database
    waker: Waker

    @classmethod
    async def open(cls, url: str) -> "PostgresBus":
        """Open a pool; connects at the first use."""
        return cls(await Database.open(url, name="bus", max_size=8), Waker(url))

    def producer(self) -> PostgresProducer:
        """An appender."""
        return PostgresProducer(self.db)

    def reader(self, group: str, topics: Sequence[str], *, lease_s: float = LEASE_S) -> PostgresReader:
        """A member of a group."""
        return PostgresReader(self.db, self.waker, group, topics, lease_s)

    async def close(self) -> None:
        """Close the connections."""
        await self.waker.close()
        await self.db.close()


@dataclass(slots=True)
class _Shared:
    bus: PostgresBus
    users: int


_open: dict[tuple[int, str], _Shared] = {}


@asynccontextmanager
async def shared(url: str) -> AsyncIterator[PostgresBus]:
    """The process's bus at this address: opened by the first user, closed after the last."""
    place = (id(asyncio.get_running_loop()), url)
    if place not in _open:
        _open[place] = _Shared(await PostgresBus.open(url), 0)
    entry = _open[place]
    entry.users += 1
    try:
        yield entry.bus
    finally:
        entry.users -= 1
        if entry.users == 0 and _open.pop(place, None) is not None:
            await entry.bus.close()
