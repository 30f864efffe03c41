"""Opening the bus that the settings name."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from common.bus.port import Producer, Reader
from common.contracts.topics import BY_NAME
from common.settings import SharedSettings


@asynccontextmanager
async def open_producer(settings: SharedSettings) -> AsyncIterator[Producer]:
    """A producer on the configured transport. Raises in one line when it cannot be used."""
    if settings.bus == "kafka":
        from common.bus.kafka import KafkaOptions, KafkaProducer, topics

        options = KafkaOptions.of(settings)
        await topics.check(options, BY_NAME)
        producer = KafkaProducer(options)
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
    """A member of a group on the configured transport; leaves the group at the end."""
    if settings.bus == "kafka":
        from common.bus.kafka import KafkaOptions, KafkaReader
        from common.bus.kafka.topics import check

        options = KafkaOptions.of(settings)
        await check(options, topics)
        member = KafkaReader(options, group, topics)
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
