"""Kafka only: anybody may write to a topic. What is not ours dies once, by name, and holds nothing up."""

import asyncio
import dataclasses
import time
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from common.consumer import dead_letters
from common.contracts.topics import BY_NAME
from common.testing.deliver import as_record

from tests.conformance.conftest import service_on
from tests.conformance.transports import OnKafka, on_kafka

TOPIC = "segment.changed"
LARGE = 10_000_000


@pytest_asyncio.fixture
async def transport(kafka):
    async with on_kafka(kafka) as made:
        yield made


@pytest_asyncio.fixture
async def service(contacts_db, transport: OnKafka):
    async with service_on(contacts_db, transport) as made:
        yield made


@asynccontextmanager
async def stranger(transport: OnKafka, **options):
    """A producer that knows nothing of Barid."""
    producer = AIOKafkaProducer(**transport.options.client(), max_request_size=2 * LARGE, **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def take_large_messages(transport: OnKafka) -> None:
    admin = AIOKafkaAdminClient(**transport.options.client())
    await admin.start()
    name, configs = transport.options.prefix + TOPIC, {"max.message.bytes": str(2 * LARGE)}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs)])
    await admin.close()


def changed(head, **given):
    """The headers, some of them with another value."""
    return [(name, given.get(name, value)) for name, value in head]


def kinds(head, payload):
    """Name → value, key, headers, and a word of the error."""
    return {
        "no headers": (b"hello", b"k", [], "is missing"),
        "bad JSON": (b"{", b"k", changed(head, ce_id=b"%s"), "undecodable"),
        "another shape": (b'{"segment_id": 1}', b"k", changed(head, ce_id=b"%s"), "segment_id"),
        "bad UTF-8": (b"\xff\xfe", b"k", head, "codec"),
        "bad id": (payload, b"k", changed(head, ce_id=b"17"), "badly formed"),
        "null key": (payload, None, head, "it has no key"),
        "tombstone": (None, b"k", head, "it has no value"),
        "10 MB": (b'{"name": "' + b"x" * LARGE + b'"}', b"k", head, "10000012 bytes; the bus takes 4194304"),
        "unknown version": (payload, b"k", changed(head, ce_id=b"%s", ce_type=b"segment.changed.v9"), "unknown type"),
        "unknown type": (payload, b"k", changed(head, ce_id=b"%s", ce_type=b"order.placed.v1"), "unknown type"),
        "NUL in the type": (payload, b"k", changed(head, ce_type=b"a\0b"), "a NUL byte"),
        "NUL in the key": (payload, b"a\0b", head, "a NUL byte"),
        "NUL in the trace": (payload, b"k", [*head, ("traceparent", b"\0")], "a NUL byte"),
        "header without a value": (payload, b"k", changed(head, ce_time=None), "a header has no value"),
        "before all times": (payload, b"k", changed(head, ce_time=b"0001-01-01T00:00:00+14:00"), "out of range"),
        "after all times": (payload, b"k", changed(head, ce_time=b"9999-12-31T23:59:59-14:00"), "out of range"),
        "no number": (payload, b"k", [*head, ("ce_lane", b"first")], "invalid literal"),
    }


class TestPoison:
    async def test_each_kind_dies_once_with_its_place_and_the_partition_moves_on_within_five_seconds(
        self, service, transport
    ):
        await take_large_messages(transport)
        (pattern,) = service.segments(1)
        record = as_record(pattern)
        name, longest = transport.options.prefix + TOPIC, 0.0
        async with stranger(transport) as producer, service.running(service.runner()):
            for n, (kind, (value, key, head, word)) in enumerate(
                kinds(record.headers(), record.payload.encode()).items()
            ):
                own = f"00000000-0000-4000-8000-{n:012}".encode()
                pairs = [(header, own if text == b"%s" else text) for header, text in head]
                at = await producer.send_and_wait(name, value, key=key, headers=pairs, partition=1)
                (good,) = service.segments(1)
                after = as_record(good)
                await producer.send_and_wait(
                    name, after.payload.encode(), key=after.key.encode(), headers=after.headers(), partition=1
                )
                sent = time.monotonic()
                await service.until_seen([good], 10)
                longest = max(longest, time.monotonic() - sent)
                await service.until("select count(*) from dead_letters", n + 1)
                async with service.db.connection() as connection:
                    letter = (await dead_letters.list_dead(connection))[0]
                assert word in letter.error, kind
                assert (letter.source, letter.source_offset, letter.consumer) == (f"{TOPIC}:1", at.offset, "test.main")
        assert longest < 5
        assert (
            await service.value("select octet_length(payload) from dead_letters where error like '%bus takes%'") > LARGE
        )

    async def test_one_in_a_thousand_dies_and_the_rest_is_handled_in_order_and_a_replay_after_the_mend_closes_it(
        self, service, transport, in_order
    ):
        events = service.segments(20_000, [event.data.segment_id for event in service.segments(40)])
        records = [as_record(event) for event in events]
        poison = {event.id for event in events[500::1000]}
        newer = [
            dataclasses.replace(record, type="segment.changed.v9") if record.id in poison else record
            for record in records
        ]
        good = [event for event in events if event.id not in poison]
        producer = transport.producer()
        async with service.running(service.runner()):
            for start in range(0, len(newer), 4000):
                await producer.publish(newer[start : start + 4000])
            await service.until_seen(good, 90)  # a wait, not a promise: a starved broker drops its members
            await producer.publish(newer[:1500])  # once more: no second letter, no second effect
            (last,) = service.segments(1)
            await producer.publish([as_record(last)])
            await service.until_seen([last], 20)
        assert await service.value("select count(*) from dead_letters") == len(poison) == 20
        mended = service.runner()
        mended.batches.subscriptions["segment.changed.v9"] = mended.batches.subscriptions["segment.changed.v1"]
        async with service.running(mended):
            async with service.db.transaction() as tx:
                assert await dead_letters.replay(tx, topic=TOPIC) == 20
            await service.until("select count(*) from dead_letters where replayed_at is null", 0)
        assert {event_id for event_id, _, _ in await service.seen()} == {event.id for event in [*events, last]}

    @pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
    async def test_batches_of_every_compression_are_read(self, service, transport, compression):
        """Without its extras aiokafka could not read three of them, and the partition would stand for ever."""
        events = service.segments(30)
        async with stranger(transport, compression_type=compression) as producer:
            for record in map(as_record, events):
                await producer.send(
                    transport.options.prefix + TOPIC,
                    record.payload.encode(), key=record.key.encode(), headers=record.headers(),
                )  # fmt: skip
            await producer.flush()
        async with service.running(service.runner()):
            await service.until_seen(events)


class TestIdle:
    async def test_a_reader_without_events_leaves_nothing_behind(self, service, transport):
        """aiokafka #629: getmany() with a time-out was reported to leak a waiter with every call."""
        reader = transport.reader("test.main", [TOPIC, "campaign.state"])
        service.readers.append(reader)
        async with asyncio.timeout(20):
            while len(held := await reader.assignment()) < BY_NAME[TOPIC].partitions + 1:
                await reader.poll(10, 0.05)
        reader.seek(dict.fromkeys(held, 0))

        def kept() -> tuple[int, int]:
            fetchers = [member._consumer._fetcher for member in reader._members]
            return len(asyncio.all_tasks()), sum(len(one._fetch_waiters) for one in fetchers)

        await reader.poll(10, 0.5)
        before = kept()
        for _ in range(1000):
            await reader.assignment()
            await reader.poll(10, 0.002)
        tasks, waiters = kept()
        assert tasks <= before[0] + 4
        assert waiters <= before[1] + 2
