"""An installation whose every group reads every topic that is for it, and writes down what it saw."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from barid.provision import ROLES, SERVICES, VARIABLES
from common.bus.kafka import KafkaOptions, KafkaProducer, KafkaReader
from common.bus.port import Producer, Reader
from common.bus.postgres import PostgresBus
from common.consumer.decode import topics
from common.consumer.runner import Runner
from common.consumer.subscription import Consumer, Subscription
from common.contracts.topics import TOPICS
from common.ids import new_id
from common.outbox.relay import Relay
from common.testing.examples import examples

from tests.conformance.transports import FAST
from tests.fixtures.databases import ServiceDatabase, service_database
from tests.fixtures.inventory import groups
from tests.fixtures.postgres import TestPostgres

SEEN = "create table seen (consumer text, event_id uuid)"


@dataclass
class Installation:
    """Five databases, and a place on a Kafka cluster."""

    services: dict[str, ServiceDatabase]
    bus: ServiceDatabase
    kafka: KafkaOptions
    others: dict[str, str] = field(default_factory=dict)
    # Until it is set no consumer gets on, so that something is unread for sure.
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def environment(self) -> dict[str, str]:
        """What its processes start with."""
        named = {}
        for service, database in {**self.services, "bus": self.bus}.items():
            owner, *others = ROLES[service]
            urls = [database.owner_url, database.api_url, database.worker_url]
            for role, url in zip((owner, *others), urls if len(others) > 1 else urls[::2], strict=True):
                named[VARIABLES[role]] = url
        return {
            **os.environ,
            **named,
            "BARID_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "BARID_KAFKA_PREFIX": self.kafka.prefix,
            **self.others,
        }

    async def write(self, copies: int, only: str | None = None) -> dict[UUID, str]:
        """Events of every topic (or of one) into their owners' outboxes: id → topic."""
        written: dict[UUID, str] = {}
        for topic in TOPICS:
            if only not in (None, topic.name):
                continue
            sample = next(examples(topic)).record()
            records = [replace(sample, id=new_id(), key=str(n), time=datetime.now(UTC)) for n in range(copies)]
            async with self.services[topic.owners[0]].worker.transaction() as tx:
                await tx.copy_records_to_table(
                    "outbox",
                    columns=("lane", "topic", "type", "key", "event_id", "workspace_id", "time", "payload"),
                    records=[
                        (r.lane, r.topic, r.type, r.key, r.id, r.workspace_id, r.time, r.payload) for r in records
                    ],
                )
            written |= {record.id: topic.name for record in records}
        return written

    @asynccontextmanager
    async def on_postgres(
        self, *, relays: Sequence[str] = SERVICES, consumers: set[str] | None = None, held: bool = False
    ) -> AsyncIterator[None]:
        """Its relays and consumers on the log."""
        if not held:
            self.go.set()
        bus = await PostgresBus.open(self.bus.worker_url)
        try:
            readers = {
                name: bus.reader(name, topics(self.consumer(name)), lease_s=1.2)
                for name in (groups() if consumers is None else consumers)
            }
            async with self.running({name: bus.producer() for name in relays}, readers):
                yield
        finally:
            await bus.close()

    @asynccontextmanager
    async def on_kafka(self) -> AsyncIterator[None]:
        """Its relays and consumers on Kafka."""
        producer = KafkaProducer(self.kafka)
        readers = {name: KafkaReader(self.kafka, name, topics(self.consumer(name)), timing=FAST) for name in groups()}
        async with self.running(dict.fromkeys(SERVICES, producer), readers):
            yield
        await producer.close()

    @asynccontextmanager
    async def running(self, relays: dict[str, Producer], readers: dict[str, Reader]) -> AsyncIterator[None]:
        stop = asyncio.Event()
        works = [Relay(self.services[name].worker, producer, name) for name, producer in relays.items()]
        works += [
            Runner(self.consumer(name), self.services[name.partition(".")[0]].worker, reader)
            for name, reader in readers.items()
        ]
        tasks = [asyncio.create_task(work.run(stop)) for work in works]
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 30)
            for reader in readers.values():
                await reader.close()

    def consumer(self, name: str) -> Consumer:
        """A group as the contracts know it."""

        async def store(tx, events) -> None:
            await self.go.wait()
            await tx.executemany("insert into seen values ($1, $2)", [(name, event.id) for event in events])

        wanted = [topic for topic in TOPICS if name in topic.consumers]
        return Consumer(name, tuple(Subscription(topic.contract, store) for topic in wanted), max_batch=50)

    async def logged(self) -> dict[UUID, str]:
        """What is on the log: id → topic."""
        return {row[0]: row[1] for row in await self.bus.worker.pool.fetch("select event_id, topic from log")}

    async def until_logged(self, number: int) -> None:
        async with asyncio.timeout(20):
            while len(await self.logged()) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def until_sealed(self) -> None:
        async with asyncio.timeout(60):
            while not await self.bus.worker.pool.fetchval("select sealed_at from log_head"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def seen(self) -> dict[str, Counter[UUID]]:
        """What each group saw, and how often."""
        found: dict[str, Counter[UUID]] = {name: Counter() for name in groups()}
        for database in self.services.values():
            for row in await database.worker.pool.fetch("select consumer, event_id from seen"):
                found[row["consumer"]][row["event_id"]] += 1
        return found

    async def complete(self, written: dict[UUID, str]) -> bool:
        """Whether every group saw each event that is for it; none twice, none that is not."""
        wanted = expected(written)
        seen = await self.seen()
        for name, ids in seen.items():
            assert ids.total() == len(ids), f"{name} saw an event twice"
            assert ids.keys() <= wanted[name], f"{name} saw what is not for it"
        return all(wanted[name] == seen[name].keys() for name in wanted)

    async def until_complete(self, written: dict[UUID, str], seconds: float = 40) -> None:
        async with asyncio.timeout(seconds):
            while not await self.complete(written):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """`barid …` against this installation."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "barid", *arguments, env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def barid(self, *arguments: str) -> tuple[int, str, str]:
        """The same, to its end: status, output, errors."""
        process = await self.start(*arguments)
        out, errors = await asyncio.wait_for(process.communicate(), 90)
        return process.returncode, out.decode(), errors.decode()


def expected(written: dict[UUID, str]) -> dict[str, set[UUID]]:
    """What each group must see."""
    of = {topic.name: topic.consumers for topic in TOPICS}
    return {name: {one for one, topic in written.items() if name in of[topic]} for name in groups()}


@asynccontextmanager
async def installation(postgres: TestPostgres, kafka: KafkaOptions) -> AsyncIterator[Installation]:
    """Fresh databases."""
    async with AsyncExitStack() as stack:
        services = {name: await stack.enter_async_context(service_database(postgres, name)) for name in SERVICES}
        bus = await stack.enter_async_context(service_database(postgres, "bus"))
        for database in services.values():
            await database.worker.pool.execute(SEEN)
        yield Installation(services, bus, kafka)
