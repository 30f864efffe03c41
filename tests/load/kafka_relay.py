"""Outbox → relay → Kafka, acknowledged. Floor: a bare idempotent producer with the same records."""

import asyncio
import time

from aiokafka import AIOKafkaProducer
from common.bus.kafka import KafkaOptions, KafkaProducer
from common.bus.kafka.records import headers
from common.contracts.envelope import Record
from common.db.pool import Database
from common.ids import new_id
from common.memory import settle
from common.outbox.relay import BATCH, Relay
from common.testing.deliver import as_record

from tests.load.broker import topics
from tests.load.figures import Figure
from tests.load.relay import EVENTS, TOPIC, empty, fill, sent
from tests.load.server import database


async def run() -> list[Figure]:
    """The relay on a full outbox, until every row is acknowledged and deleted."""
    workspace = new_id()
    events = [as_record(sent(workspace)) for _ in range(EVENTS)]
    settle()  # as every process does when it is loaded: what is prepared here is not its own
    async with database("contacts") as contacts, topics([TOPIC]) as options:
        floor = await bare_produce(options, events)
        took = await relay_backlog(options, contacts.worker, events)
    return [Figure("kafka_relay", EVENTS / took, "events/s", EVENTS, round(took, 3), floor)]


async def bare_produce(options: KafkaOptions, events: list[Record]) -> float:
    """Events a second when records that are ready to be sent are only sent, with the same guarantee."""
    ready = [(record.payload.encode(), record.key.encode(), headers(record)) for record in events]
    async with AIOKafkaProducer(
        **options.client(), enable_idempotence=True, acks="all", linger_ms=5, max_batch_size=256 * 1024
    ) as producer:
        await producer.partitions_for(options.prefix + TOPIC)
        started = time.perf_counter()
        for start in range(0, len(ready), BATCH):
            batch = ready[start : start + BATCH]
            waiting = [await producer.send(options.prefix + TOPIC, v, key=k, headers=h) for v, k, h in batch]
            await asyncio.gather(*waiting)
        return len(ready) / (time.perf_counter() - started)


async def relay_backlog(options: KafkaOptions, db: Database, events: list[Record]) -> float:
    """Seconds until a full outbox is on the bus and empty."""
    producer = KafkaProducer(options)
    await producer.ready()
    await fill(db, events)
    stop = asyncio.Event()
    started = time.perf_counter()
    task = asyncio.create_task(Relay(db, producer, "contacts").run(stop))
    try:
        await empty(db)
        return time.perf_counter() - started
    finally:
        stop.set()
        await task
        await producer.close()
