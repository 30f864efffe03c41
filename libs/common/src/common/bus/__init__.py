"""Opening the bus that the settings name."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from common.bus.port import Producer, Reader
from common.settings import SharedSettings


async def reach(settings: SharedSettings, topics: Iterable[str]) -> None:
    """Raise in one line unless Kafka can be used and has these topics as the contracts ask."""
    from common.bus.kafka import KafkaOptions
    from common.bus.kafka.topics import check

    await check(KafkaOptions.of(settings), topics)


@asynccontextmanager
async def open_producer(settings: SharedSettings) -> AsyncIterator[Producer]:
    """A producer on the configured transport; it connects when it is first used, and again whenever it must.

    Nothing is asked of a broker here: what a start needs `guard` has looked at (see `reach`), and a broker that goes
    away a moment later ends no process.
    """
    if settings.bus == "kafka":
        from common.bus.kafka import KafkaOptions, KafkaProducer

        producer = KafkaProducer(KafkaOptions.of(settings))
        try:
            yield producer
        finally:
            await producer.close()
        return
    from common.bus.postgres import shared

    async with shared(settings.require_bus_database()) as bus:
        yield bus.producer()


@asynccontextmanager
async def open_reader(settings: SharedSettings, group: str, topics: Sequence[str]) -> AsyncIterator[Reader]:
    """A member of a group on the configured transport, which joins when it is first used; it leaves at the end."""
    if settings.bus == "kafka":
        from common.bus.kafka import KafkaOptions, KafkaReader

        member = KafkaReader(KafkaOptions.of(settings), group, topics)
        try:
            yield member
        finally:
            await member.close()
        return
    from common.bus.postgres import shared

    async with shared(settings.require_bus_database()) as bus:
        reader = bus.reader(group, topics)
        try:
            yield reader
        finally:
            await reader.close()
