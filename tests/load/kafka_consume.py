"""Kafka → a worker of analytics → its database: events its inbox keeps once, then a campaign's facts.

Floor: a bare consumer that only fetches the same records.
"""

import time

from aiokafka import AIOKafkaConsumer
from analytics.consumers.subscriptions import ingest
from common.bus.kafka import KafkaOptions, KafkaProducer
from common.consumer.decode import topics as topics_of
from common.contracts.envelope import Record
from common.contracts.leads import ConsentChangedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record

from tests.load.broker import topics
from tests.load.figures import Figure
from tests.load.ingest import MESSAGES, campaign_events
from tests.load.server import database
from tests.load.workers import work_off

EVENTS = 80_000
STEP = 5000


async def run() -> list[Figure]:
    """One worker process, twice, each time on a full topic."""
    consents = [as_record(event) for event in consent_changes(EVENTS)]
    # As after a relay that was killed between publishing and deleting.
    consents += consents[-EVENTS // 10 :]
    facts = [as_record(event) for event in campaign_events(MESSAGES)]
    return [
        await measured("kafka_consume", consents, "consents", EVENTS),
        await measured("kafka_ingest", facts, "facts", len(facts)),
    ]


async def measured(name: str, records: list[Record], table: str, stored: int) -> Figure:
    """Events a second of one worker, and of a bare consumer."""
    async with database("analytics") as analytics, topics(topics_of(ingest())) as options:
        await produce(options, records)
        floor = await bare_consume(options, records)
        took = await work_off(analytics, options, "ingest", len(records))
        async with analytics.worker.connection() as connection:
            rows = await connection.fetchval(f"select count(*) from {table}")
    if rows != stored:
        raise AssertionError(f"{rows} rows in {table} of {stored}")
    return Figure(name, len(records) / took, "events/s", len(records), round(took, 3), floor)


def consent_changes(contacts: int) -> list[Outgoing]:
    """What an import of so many people tells of their consent."""
    workspace, purpose = new_id(), new_id()
    return [
        Outgoing(workspace, ConsentChangedV1(contact_id=new_id(), purpose_id=purpose, status="subscribed", revision=1))
        for _ in range(contacts)
    ]


async def produce(options: KafkaOptions, records: list[Record]) -> None:
    """Put them on the bus."""
    producer = KafkaProducer(options)
    try:
        for start in range(0, len(records), STEP):
            await producer.publish(records[start : start + STEP])
    finally:
        await producer.close()


async def bare_consume(options: KafkaOptions, records: list[Record]) -> float:
    """Events a second when the records are only fetched and counted."""
    names = sorted({options.prefix + record.topic for record in records})
    async with AIOKafkaConsumer(
        *names, **options.client(), enable_auto_commit=False, auto_offset_reset="earliest"
    ) as consumer:
        found = 0
        started = time.perf_counter()
        while found < len(records):
            got = await consumer.getmany(timeout_ms=100, max_records=STEP)
            found += sum(map(len, got.values()))
        return found / (time.perf_counter() - started)
