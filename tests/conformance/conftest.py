"""The transports under test, and a service whose handlers write down what they saw."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import pytest
import pytest_asyncio
from common.bus.port import Producer, Reader
from common.consumer.decode import topics
from common.consumer.limit import DeadLetterLimit
from common.consumer.runner import Runner
from common.consumer.subscription import Consumer, Subscription
from common.contracts.audiences import AudienceRejectedV1
from common.contracts.campaigns import CampaignStateV1
from common.contracts.leads import SegmentChangedV1
from common.db.pool import Connection, Database
from common.ids import new_id
from common.outbox.relay import Relay
from common.outbox.writer import Outgoing, record

from tests.conformance.guarded import guarded  # noqa: F401 - a fixture
from tests.conformance.transports import Transport, on_kafka, on_postgres


@pytest_asyncio.fixture(params=["postgres", "kafka"])
async def transport(request, bus_db) -> AsyncIterator[Transport]:
    opened = (
        on_postgres(bus_db.worker_url) if request.param == "postgres" else on_kafka(request.getfixturevalue("kafka"))
    )
    async with opened as made:
        yield made


SUBSCRIBED = (SegmentChangedV1, CampaignStateV1, AudienceRejectedV1)
Before = Callable[[Connection, Sequence], "asyncio.Future[None]"]


@dataclass
class Service:
    """One service: its database, its consumer `test.main` that stores every event, its relay."""

    db: Database
    url: str
    transport: Transport
    workspace_id: UUID = field(default_factory=new_id)
    readers: list[Reader] = field(default_factory=list)

    def consumer(self, before=None, *, max_batch: int = 500, contracts=SUBSCRIBED, keyed: bool = False) -> Consumer:
        async def store(tx, events) -> None:
            if before is not None:
                await before(tx, events)
            await tx.execute(
                "insert into seen (event_id, key, n) select * from unnest($1::uuid[], $2::text[], $3::int[])",
                [event.id for event in events],
                [event.key for event in events],
                [getattr(event.data, "revision", 0) for event in events],
            )

        return Consumer(
            "test.main", tuple(Subscription(contract, store, keyed) for contract in contracts), max_batch=max_batch
        )

    def runner(self, consumer: Consumer | None = None, *, limit: DeadLetterLimit | None = None) -> Runner:
        consumer = consumer or self.consumer()
        reader = self.transport.reader(consumer.name, topics(consumer))
        self.readers.append(reader)
        return Runner(consumer, self.db, reader, limit=limit)

    @asynccontextmanager
    async def running(self, *works) -> AsyncIterator[list[asyncio.Task]]:
        """Run relays and runners; at the end stop them, and raise what they raised."""
        stop = asyncio.Event()
        tasks = [asyncio.create_task(work.run(stop)) for work in works]
        try:
            yield tasks
        finally:
            stop.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 15)

    def relay(self, producer: Producer | None = None, **options) -> Relay:
        return Relay(self.db, producer or self.transport.producer(), "contacts", **options)

    def segments(self, number: int, keys: Sequence[UUID] | None = None, lane: int | None = None) -> list[Outgoing]:
        """Events whose revision counts up per key."""
        keys = keys or [new_id() for _ in range(number)]
        count: dict[UUID, int] = {}
        events = []
        for n in range(number):
            key = keys[n % len(keys)]
            count[key] = count.get(key, 0) + 1
            events.append(
                Outgoing(self.workspace_id, SegmentChangedV1(segment_id=key, name="s", revision=count[key]), lane=lane)
            )
        return events

    async def write(self, events: Sequence[Outgoing]) -> None:
        async with self.db.transaction() as tx:
            await record(tx, events)

    async def seen(self) -> list[tuple[UUID, str, int]]:
        async with self.db.connection() as connection:
            return [tuple(row) for row in await connection.fetch("select event_id, key, n from seen order by place")]

    async def until_seen(self, events: Sequence[Outgoing], seconds: float = 15) -> list[tuple[UUID, str, int]]:
        """Wait until each is there; every event at most once."""
        wanted = {event.id for event in events}
        deadline = time.monotonic() + seconds
        while True:
            seen = await self.seen()
            ids = [event_id for event_id, _, _ in seen]
            assert len(ids) == len(set(ids)), "handled twice"
            if wanted <= set(ids):
                return seen
            missing = wanted - set(ids)
            assert time.monotonic() < deadline, f"{len(missing)} of {len(wanted)} events did not arrive"
            await asyncio.sleep(0.02)

    async def value(self, query: str, *arguments):
        async with self.db.connection() as connection:
            return await connection.fetchval(query, *arguments)

    async def until(self, query: str, wanted, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while (found := await self.value(query)) != wanted:
            assert time.monotonic() < deadline, f"{query}: {found}, not {wanted}"
            await asyncio.sleep(0.02)


@asynccontextmanager
async def service_on(contacts_db, transport: Transport) -> AsyncIterator[Service]:
    db = await Database.open(contacts_db.worker_url, name="conformance", max_size=16)
    async with db.connection() as connection:
        await connection.execute(
            "create table seen (place bigint generated always as identity, event_id uuid, key text, n int)"
        )
    made = Service(db, contacts_db.worker_url, transport)
    yield made
    for reader in made.readers:
        await reader.close()
    await db.close()


@pytest_asyncio.fixture
async def service(contacts_db, transport) -> AsyncIterator[Service]:
    async with service_on(contacts_db, transport) as made:
        yield made


@pytest.fixture
def in_order():
    """Asserts that the numbers per key go up one by one."""

    def check(seen: Sequence[tuple[UUID, str, int]]) -> None:
        last: dict[str, int] = {}
        for _, key, n in seen:
            assert n == last.get(key, 0) + 1, f"{key}: {n} after {last.get(key, 0)}"
            last[key] = n

    return check
