"""Kafka only: the processes as a service runs them, from the settings alone."""

import asyncio

import pytest
from common.consumer.process import run_consumers
from common.contracts.topics import TOPICS
from common.errors import Misconfigured
from common.outbox import process as relay
from common.settings import ServiceSettings

from tests.conformance.conftest import service_on
from tests.conformance.transports import on_kafka

ALL = [topic.name for topic in TOPICS]


def settings_for(kafka, transport, contacts_db) -> ServiceSettings:
    return ServiceSettings(
        bus="kafka",
        kafka_bootstrap=kafka.address,
        kafka_prefix=transport.options.prefix,
        worker_database_url=contacts_db.worker_url,
    )


async def test_relay_and_worker_move_events_and_drain(kafka, contacts_db, in_order):
    async with on_kafka(kafka, ALL) as transport, service_on(contacts_db, transport) as service:
        settings, stop = settings_for(kafka, transport, contacts_db), asyncio.Event()
        works = [
            asyncio.create_task(relay.run("contacts", settings, stop)),
            asyncio.create_task(run_consumers([service.consumer()], service.db, settings, stop)),
        ]
        events = service.segments(300, None)
        await service.write(events)
        in_order(await service.until_seen(events))
        stop.set()
        await asyncio.wait_for(asyncio.gather(*works), 10)
        assert await service.value("select count(*) from outbox") == 0


async def test_a_missing_topic_ends_both_with_the_line_that_mends_it(kafka, contacts_db):
    async with on_kafka(kafka, ["segment.changed"]) as transport, service_on(contacts_db, transport) as service:
        settings, stop = settings_for(kafka, transport, contacts_db), asyncio.Event()
        for work in (
            relay.run("contacts", settings, stop),
            run_consumers([service.consumer()], service.db, settings, stop),
        ):
            with pytest.raises(Misconfigured, match=r"has no topic .*: run `barid topics apply`"):
                await asyncio.wait_for(work, 20)
