"""The transports, as the tests need them."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol
from uuid import uuid4

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from common.bus.kafka import KafkaOptions, KafkaProducer, KafkaReader, Timing
from common.bus.kafka.topics import apply
from common.bus.port import Producer, Reader
from common.bus.postgres import PostgresBus
from common.bus.postgres.places import SOURCES
from common.contracts.topics import BY_NAME

from tests.fixtures.kafka import TestKafka

LEASE_S = 1.2
FAST = Timing(
    session_s=LEASE_S,
    unnamed_session_s=LEASE_S,
    heartbeat_s=0.2,
    rebalance_s=4,
    drain_s=3,
    max_poll_s=30,
    fetch_wait_s=0.05,
    mirror_s=0.3,
    metadata_s=1,
)
NAMES = ("segment.changed", "list.changed", "campaign.state", "audience.rejected", "lead.updated")


class Transport(Protocol):
    """What the tests ask of a transport. `die` ends a reader as a killed process would: it says nothing."""

    def producer(self) -> Producer: ...
    def reader(self, group: str, topics: Sequence[str]) -> Reader: ...
    async def die(self, reader: Reader) -> None: ...
    def share(self, reader: Reader) -> frozenset[str]: ...
    def sources(self, topics: Sequence[str]) -> frozenset[str]: ...

    def patient(self, lease_s: float) -> None:
        """Readers made from now on are waited for so long when they say nothing."""

    async def usurp(self, reader: Reader, sources: frozenset[str]) -> None:
        """Make the reader believe that it holds the sources, whatever its group says."""


class OnPostgres:
    def __init__(self, bus: PostgresBus) -> None:
        self.bus = bus
        self.lease_s = LEASE_S

    def patient(self, lease_s: float) -> None:
        self.lease_s = lease_s

    def producer(self) -> Producer:
        return self.bus.producer()

    def reader(self, group: str, topics: Sequence[str]) -> Reader:
        return self.bus.reader(group, topics, lease_s=self.lease_s)

    async def die(self, reader: Reader) -> None:
        reader._beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader._beat
        reader._beat = None

    def share(self, reader: Reader) -> frozenset[str]:
        return reader._held - reader._surplus

    def sources(self, topics: Sequence[str]) -> frozenset[str]:
        return frozenset(SOURCES)

    async def usurp(self, reader: Reader, sources: frozenset[str]) -> None:
        async def all_of_it() -> frozenset[str]:
            reader._held = sources
            return sources

        reader.assignment = all_of_it


class OnKafka:
    def __init__(self, options: KafkaOptions, timing: Timing = FAST) -> None:
        self.options = options
        self.timing = timing
        self.producers: list[KafkaProducer] = []

    def patient(self, lease_s: float) -> None:
        self.timing = dataclasses.replace(self.timing, session_s=lease_s, unnamed_session_s=lease_s)

    def producer(self, **options) -> KafkaProducer:
        self.producers.append(KafkaProducer(self.options, **options))
        return self.producers[-1]

    def reader(self, group: str, topics: Sequence[str], **other) -> KafkaReader:
        return KafkaReader(
            dataclasses.replace(self.options, **{k: v for k, v in other.items() if k != "timing"}),
            group,
            topics,
            timing=other.get("timing", self.timing),
        )

    async def die(self, reader: KafkaReader) -> None:
        async def silence() -> None:
            """The process is gone; nobody leaves the group."""

        for member in reader._members:
            if member._consumer is not None:
                member._consumer._coordinator._maybe_leave_group = silence
            await member._end()

    def share(self, reader: KafkaReader) -> frozenset[str]:
        return frozenset(reader._source(place) for member in reader._members for place in member._held)

    def sources(self, topics: Sequence[str]) -> frozenset[str]:
        return frozenset(f"{topic}:{n}" for topic in topics for n in range(BY_NAME[topic].partitions))

    async def usurp(self, reader: KafkaReader, sources: frozenset[str]) -> None:
        for member in reader._members:

            async def alone(member=member) -> None:
                places = [reader._place(source) for source in sources]
                places = [place for place in places if place.topic in member._topics]
                member._consumer = AIOKafkaConsumer(
                    **self.options.client(), enable_auto_commit=False, auto_offset_reset="none", fetch_max_wait_ms=50
                )
                member._consumer.assign(places)
                await member._consumer.start()
                await member.on_partitions_assigned(places)

            member._open = alone


@asynccontextmanager
async def on_postgres(url: str) -> AsyncIterator[OnPostgres]:
    bus = await PostgresBus.open(url)
    yield OnPostgres(bus)
    await bus.close()


@asynccontextmanager
async def on_kafka(
    kafka: TestKafka, names: Iterable[str] = NAMES, *, prefix: str | None = None
) -> AsyncIterator[OnKafka]:
    """Topics of its own for each test, under a prefix."""
    options = KafkaOptions(kafka.address, prefix=prefix or f"t{uuid4().hex[:10]}.")
    await apply(options, [BY_NAME[name] for name in names])
    made = OnKafka(options)
    yield made
    for producer in made.producers:
        await producer.close()
    await delete_topics(options, names)


async def delete_topics(options: KafkaOptions, names: Iterable[str]) -> None:
    admin = AIOKafkaAdminClient(**options.client())
    await admin.start()
    try:
        await admin.delete_topics([options.prefix + name for name in names])
    finally:
        await admin.close()
