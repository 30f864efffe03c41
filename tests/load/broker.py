"""A real Kafka broker for the benches that need one: the one given in the environment, else one of our own."""

import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from common.bus.kafka import KafkaOptions
from common.bus.kafka.topics import apply
from common.contracts.topics import BY_NAME

from tools.kafka import Broker, NoBroker, answers

_ADDRESS = "BARID_LOAD_KAFKA"
_GIVEN = "BARID_KAFKA_BOOTSTRAP"


@contextmanager
def broker() -> Iterator[None]:
    """Run one for the time of the benches. Raises NoBroker."""
    if given := os.environ.get(_GIVEN):
        if not answers(given):
            raise NoBroker(f"{_GIVEN}={given} does not answer")
        os.environ[_ADDRESS] = given
        yield
        return
    with TemporaryDirectory(prefix="barid-load-") as place:
        own = Broker(Path(place), gather_ms=3000)  # Kafka's own: workers that start together share at once
        own.start()
        try:
            os.environ[_ADDRESS] = own.address
            yield
        finally:
            own.stop()


@asynccontextmanager
async def topics(names: Iterable[str]) -> AsyncIterator[KafkaOptions]:
    """Fresh topics as the contracts ask for, under a prefix of their own."""
    options = KafkaOptions(os.environ[_ADDRESS], prefix=f"bench{uuid4().hex[:10]}.")
    made = [BY_NAME[name] for name in sorted(set(names))]
    await apply(options, made)
    try:
        yield options
    finally:
        admin = AIOKafkaAdminClient(**options.client())
        await admin.start()
        try:
            await admin.delete_topics([options.prefix + topic.name for topic in made])
        finally:
            await admin.close()
