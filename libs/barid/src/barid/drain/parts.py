"""The databases that take part, and what each consumer group still has to read."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
from common.bus.postgres import seal
from common.consumer import offsets
from common.contracts.topics import TOPICS
from common.db.pool import Database
from common.db.schema import look
from common.errors import Misconfigured
from common.exits import brief

from barid.prepare import urls
from barid.provision import SERVICES
from barid.settings import StackSettings

GROUPS: Mapping[str, tuple[str, ...]] = {
    group: tuple(topic.name for topic in TOPICS if group in topic.consumers)
    for group in sorted({group for topic in TOPICS for group in topic.consumers})
}
UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
_WAITING = "select count(*) from outbox"
_DEAD = "select count(*) from dead_letters where replayed_at is null"


@dataclass(frozen=True, slots=True)
class Left:
    """What a group has not read yet, by `lane/partition`, and how many members read now."""

    group: str
    unread: dict[str, int]
    members: int

    @property
    def total(self) -> int:
        """Unread events."""
        return sum(self.unread.values())


@dataclass(frozen=True, slots=True)
class Parts:
    """The bus database and the four services'."""

    bus: Database
    services: Mapping[str, Database]

    async def left(self, group: str) -> Left:
        """What the group has not read: its own database says how far it is, the log what lies behind."""
        async with self.services[group.partition(".")[0]].connection() as connection:
            at = await offsets.stored(connection, group)
        async with self.bus.connection() as connection:
            on_log = {source: position for source, position in at.items() if not on_kafka(source)}
            unread = await seal.unread(connection, on_log, GROUPS[group])
            return Left(group, unread, await seal.members(connection, group))

    async def read_from_kafka(self) -> list[str]:
        """The groups that have read something from Kafka."""
        found = []
        for group in GROUPS:
            async with self.services[group.partition(".")[0]].connection() as connection:
                at = await offsets.stored(connection, group)
            if any(position for source, position in at.items() if on_kafka(source)):
                found.append(group)
        return found

    async def waiting(self) -> dict[str, int]:
        """Outbox rows by service; only those with some."""
        return await self._counts(_WAITING)

    async def dead(self) -> dict[str, int]:
        """Dead letters that were not handled since, by service; only those with some."""
        return await self._counts(_DEAD)

    async def _counts(self, query: str) -> dict[str, int]:
        counts = {}
        for service, database in self.services.items():
            async with database.connection() as connection:
                if number := await connection.fetchval(query):
                    counts[service] = int(number)
        return counts


def on_kafka(source: str) -> bool:
    """Whether a consumer's source is a partition of Kafka (`topic:0`) and not a place in the log (`0/3`)."""
    return ":" in source


@asynccontextmanager
async def opened(settings: StackSettings) -> AsyncIterator[Parts]:
    """All five, as the roles that the processes have. Raises Misconfigured."""
    where = urls(settings)
    async with AsyncExitStack() as stack:

        async def database(service: str, variable: str) -> Database:
            made = await Database.open(where[variable], name="barid drain", max_size=1)
            stack.push_async_callback(made.close)
            try:
                await look(service, where[variable])
            except UNREACHABLE as error:
                raise Misconfigured(f"{variable}: the database cannot be used: {brief(error)}") from error
            return made

        services = {service: await database(service, f"{service.upper()}_WORKER_DATABASE_URL") for service in SERVICES}
        yield Parts(await database("bus", "BUS_DATABASE_URL"), services)
