"""Kafka only: the broker stopped, frozen and started; topics made again; messages that are not ours; lag."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import time

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import NotLeaderForPartitionError
from common.bus.kafka.topics import apply, check
from common.bus.port import BusUnavailable
from common.consumer import dead_letters
from common.contracts.campaigns import CampaignStateV1
from common.contracts.leads import LeadUpdatedV1, SegmentChangedV1
from common.contracts.topics import BY_NAME
from common.errors import Misconfigured, TooLarge
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record
from structlog.testing import capture_logs

from tests.conformance.conftest import service_on
from tests.conformance.kafka_load import eventually
from tests.conformance.transports import OnKafka, delete_topics, on_kafka
from tests.fixtures.kafka import TestKafka, watch


@pytest_asyncio.fixture
async def transport(kafka):
    async with on_kafka(kafka) as made:
        yield made


@pytest_asyncio.fixture
async def service(contacts_db, transport: OnKafka):
    async with service_on(contacts_db, transport) as made:
        yield made


@pytest.mark.xdist_group("broker")  # one JVM for all of them
class TestBroker:
    @pytest.mark.timeout(120)
    async def test_with_the_broker_away_writes_are_accepted_and_everything_catches_up(
        self, own_kafka, contacts_db, in_order
    ):
        async with (
            on_kafka(TestKafka(own_kafka.address, None)) as transport,
            service_on(contacts_db, transport) as service,
        ):
            keys = [new_id() for _ in range(8)]
            events = service.segments(240, keys)
            producer = transport.producer(publish_s=1.0)
            async with service.running(service.relay(producer, batch=20), service.runner()):
                await service.write(events[:80])
                await service.until_seen(events[:80])
                await asyncio.to_thread(own_kafka.stop, signal.SIGKILL)
                for start in range(80, 160, 20):
                    await service.write(events[start : start + 20])
                    await asyncio.sleep(0.6)
                assert await service.value("select count(*) from outbox") == 80
                await asyncio.to_thread(own_kafka.start)
                watch(own_kafka)
                await service.write(events[160:])
                in_order(await service.until_seen(events, 40))
                await service.until("select count(*) from outbox", 0)
            assert await service.value("select count(*) from dead_letters") == 0

    @pytest.mark.timeout(120)
    async def test_with_the_broker_away_a_consumer_gives_no_sign_of_life(self, own_kafka, contacts_db):
        """aiokafka only tries again: the polls go on, and are empty."""
        said: list[float] = []

        async def alive(tx, name) -> None:
            said.append(time.monotonic())

        async with (
            on_kafka(TestKafka(own_kafka.address, None)) as transport,
            service_on(contacts_db, transport) as service,
            service.running(service.runner(dataclasses.replace(service.consumer(), alive=alive))),
        ):
            await eventually(lambda: len(said) > 1)
            await asyncio.to_thread(own_kafka.stop, signal.SIGKILL)
            away = time.monotonic()
            await asyncio.sleep(3)
            assert said[-1] < away + 1.5
            await asyncio.to_thread(own_kafka.start)
            watch(own_kafka)
            back = time.monotonic()
            await eventually(lambda: said[-1] > back, 30)

    async def test_a_broker_that_does_not_answer_is_not_waited_for_without_end(self, own_kafka, contacts_db, in_order):
        """With idempotence aiokafka never gives a batch up by itself (producer.rst); copies in doubt are dropped."""
        async with (
            on_kafka(TestKafka(own_kafka.address, None)) as transport,
            service_on(contacts_db, transport) as service,
        ):
            events = service.segments(50, [new_id() for _ in range(5)])
            records = [as_record(event) for event in events]
            producer = transport.producer(publish_s=1.0)
            await producer.publish(records[:5])
            os.kill(own_kafka.process.pid, signal.SIGSTOP)
            try:
                started = time.monotonic()
                with pytest.raises(BusUnavailable, match=r"BARID_KAFKA_BOOTSTRAP=.*no answer in time"):
                    await producer.publish(records)
                assert time.monotonic() - started < 4
            finally:
                os.kill(own_kafka.process.pid, signal.SIGCONT)
            async with asyncio.timeout(20):
                while True:
                    try:
                        await producer.publish(records)
                        break
                    except BusUnavailable:
                        await asyncio.sleep(0.1)
            async with service.running(service.runner()):
                in_order(await service.until_seen(events))
            assert len(await service.seen()) == 50


async def made_again(options, name: str) -> None:
    """Make the topic once the broker is through with deleting it."""
    async with asyncio.timeout(20):
        while True:
            try:
                await apply(options, [BY_NAME[name]])
                await check(options, [name])
                return
            except Misconfigured:
                await asyncio.sleep(0.1)


def segments_at(reader) -> list[int]:
    return [at for source, at in sorted(reader.positions().items()) if source.startswith("segment.changed:")]


class TestTopics:
    async def test_a_topic_deleted_and_made_again_is_read_from_its_beginning(self, service, transport, in_order):
        first = service.segments(40)
        second = service.segments(12)
        async with service.running(service.runner()):
            await transport.producer().publish([as_record(event) for event in first])
            await service.until_seen(first)
            await delete_topics(transport.options, ["segment.changed"])
            await asyncio.sleep(0.3)
            await made_again(transport.options, "segment.changed")
            # Seen while it is empty: once grown past the old offsets, nothing would tell it from the old one.
            await eventually(lambda: segments_at(service.readers[0]) == [0, 0, 0, 0], 20)
            await transport.producer().publish([as_record(event) for event in second])
            in_order(await service.until_seen(second, 30))

    async def test_events_that_retention_took_are_told_and_the_rest_is_read(self, service, transport):
        key = new_id()
        events = service.segments(30, [key])
        producer = transport.producer()
        await producer.publish([as_record(event) for event in events[:20]])
        admin = AIOKafkaAdminClient(**transport.options.client())
        await admin.start()
        places = [TopicPartition(transport.options.prefix + "segment.changed", n) for n in range(4)]
        for place in places:
            while True:  # a new topic's leader may not know of it yet
                with contextlib.suppress(NotLeaderForPartitionError):
                    await admin.delete_records({place: RecordsToDelete(-1)})
                    break
        await admin.close()
        await producer.publish([as_record(event) for event in events[20:]])
        with capture_logs() as logs:
            async with service.running(service.runner()):
                await service.until_seen(events[20:])
                await asyncio.sleep(0.2)
        assert len(await service.seen()) == 10
        assert [one["lost"] for one in logs if one["event"] == "kafka_events_lost"] == [20]

    async def test_the_broker_shows_the_lag(self, service, transport):
        events = service.segments(60)
        await transport.producer().publish([as_record(event) for event in events])
        async with service.running(service.runner()):
            await service.until_seen(events)
            admin = AIOKafkaAdminClient(**transport.options.client())
            await admin.start()
            try:
                async with asyncio.timeout(10):
                    while True:
                        shown = await admin.list_consumer_group_offsets(transport.options.prefix + "test.main")
                        if sum(at.offset for place, at in shown.items() if "segment" in place.topic) == 60:
                            break
                        await asyncio.sleep(0.1)
            finally:
                await admin.close()


class TestMessages:
    async def test_what_is_not_ours_is_buried_with_its_reason_and_the_rest_goes_on(self, service, transport):
        (event,) = service.segments(1)
        record = as_record(event)
        topic = transport.options.prefix + "segment.changed"
        head = record.headers()
        without = [pair for pair in head if pair[0] != "ce_id"]
        late = [pair for pair in head if pair[0] != "ce_time"]
        naive = event.time.replace(tzinfo=None).isoformat().encode()
        foreign = AIOKafkaProducer(**transport.options.client())
        await foreign.start()
        try:
            for value, key, headers in (
                (b"hello", b"k", []),
                (b"{}", b"k", without),
                (b"{}", None, head),
                (None, b"k", head),
                (b"\xff\xfe", b"k", head),
                (b'{"a":"\0"}', b"k", head),
                (b"{}", b"k", [*late, ("ce_time", naive)]),
            ):
                await foreign.send_and_wait(topic, value, key=key, headers=headers, partition=0)
        finally:
            await foreign.stop()
        await transport.producer().publish([record])
        async with service.running(service.runner()):
            await service.until_seen([event])
            await service.until("select count(*) from dead_letters", 7)
        async with service.db.connection() as connection:
            errors = " | ".join(letter.error for letter in await dead_letters.list_dead(connection))
        assert errors.count("not an event of Barid") == 7
        assert errors.count("ce_type is missing") + errors.count("ce_time is missing") == 1
        for reason in ("ce_id is missing", "it has no key", "it has no value", "a NUL byte", "ce_time has no offset"):
            assert reason in errors

    async def test_an_event_that_is_too_large_is_refused_before_anything_is_sent(self, service, transport):
        good = service.segments(1)
        huge = Outgoing(
            service.workspace_id,
            SegmentChangedV1.model_construct(segment_id=new_id(), name="x" * 10_000_000, revision=1),
        )
        with pytest.raises(TooLarge, match=r"segment\.changed has 100000"):
            await transport.producer().publish([as_record(event) for event in [*good, huge]])
        async with service.running(service.runner()):
            await asyncio.sleep(0.7)
        assert await service.seen() == []

    async def test_one_of_three_megabytes_passes(self, service, transport):
        big = Outgoing(
            service.workspace_id,
            SegmentChangedV1.model_construct(segment_id=new_id(), name="x" * 3_000_000, revision=1),
        )
        await transport.producer().publish([as_record(big)])
        async with service.running(service.runner()):
            await service.until("select (select count(*) from seen) + (select count(*) from dead_letters)", 1)


class TestImports:
    async def test_imports_are_paused_while_the_highest_lane_lags(self, service, transport):
        reader = transport.reader(
            "test.main", [*(BY_NAME[n].name for n in ("campaign.state", "lead.updated", "list.changed"))]
        )
        service.readers.append(reader)
        async with asyncio.timeout(10):
            while not (held := await reader.assignment()) or len(held) < 9:
                await reader.poll(10, 0.05)
        urgent = [
            Outgoing(service.workspace_id, CampaignStateV1(campaign_id=new_id(), state="paused", revision=n))
            for n in range(1, 401)
        ]
        leads = [
            Outgoing(service.workspace_id, LeadUpdatedV1.model_construct(contact_id=new_id(), revision=1), lane=2)
            for _ in range(200)
        ]
        await transport.producer().publish([as_record(event) for event in [*leads, *urgent]])
        await asyncio.sleep(0.3)
        reader.seek(dict.fromkeys(held, 0))
        taken: list[str] = []
        lanes = set()
        async with asyncio.timeout(20):
            while len(taken) < 600:
                await reader.assignment()
                polled = await reader.poll(40, 0.2)
                taken += [one.record.topic for one in polled]
                lanes |= {(one.record.topic, one.record.lane) for one in polled}
        last_urgent = max(n for n, topic in enumerate(taken) if topic == "campaign.state")
        before = sum(topic == "lead.updated" for topic in taken[:last_urgent])
        assert before <= 80, f"{before} of an import went before the highest lane"
        assert lanes == {("campaign.state", 0), ("lead.updated", 2)}
