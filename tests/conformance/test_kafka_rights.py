"""Kafka only: a broker with an authorizer, and a user that may do less than it needs."""

import asyncio
import dataclasses

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest
from common.bus.kafka import KafkaOptions, KafkaProducer
from common.bus.kafka.topics import apply, check
from common.contracts.topics import BY_NAME
from common.errors import Misconfigured
from common.testing.deliver import as_record

from tests.conformance.conftest import Service, service_on
from tests.conformance.transports import OnKafka, on_kafka
from tools.kafka import PASSWORD, STRANGER

TOPIC, GROUP = 2, 3
READ, WRITE, DESCRIBE = 3, 4, 8
_PREFIXED, _ALLOW = 4, 3


class Rights:
    """What the stranger may do with everything under the test's prefix."""

    def __init__(self, options: KafkaOptions, sasl: str) -> None:
        self.boss = options
        self.options = dataclasses.replace(
            options,
            bootstrap=sasl, security="SASL_PLAINTEXT", mechanism="PLAIN", username=STRANGER, password=PASSWORD,
        )  # fmt: skip

    async def allow(self, kind: int, operation: int) -> None:
        admin = AIOKafkaAdminClient(**self.boss.client())
        await admin.start()
        try:
            right = CreateAclsRequest(kind, self.boss.prefix, _PREFIXED, f"User:{STRANGER}", "*", operation, _ALLOW)
            answer = await admin._send_to_controller(right)
            assert [made[0] for made in answer.creation_responses] == [0], answer
        finally:
            await admin.close()


@pytest_asyncio.fixture
async def transport(kafka):
    if kafka.sasl is None:
        pytest.skip("the given broker has no listener for this")
    async with on_kafka(kafka) as made:
        yield made


@pytest.fixture
def rights(kafka, transport: OnKafka) -> Rights:
    return Rights(transport.options, kafka.sasl)


@pytest_asyncio.fixture
async def service(contacts_db, transport: OnKafka):
    async with service_on(contacts_db, transport) as made:
        yield made


async def eventually_refused(work, words: str, seconds: float = 15) -> str:
    """An authorizer hears of a new right a moment later."""
    async with asyncio.timeout(seconds):
        while True:
            with pytest.raises(Misconfigured) as refused:
                await work()
            if words in refused.value.message:
                assert "\n" not in refused.value.message
                return refused.value.message
            await asyncio.sleep(0.1)


async def eventually_allowed(work, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await work()
            except Misconfigured:
                await asyncio.sleep(0.1)


def worker(service: Service, options: KafkaOptions):
    runner = service.runner()
    reader = OnKafka(options, service.transport.timing).reader(
        "test.main", ["segment.changed", "campaign.state", "audience.rejected"]
    )
    service.readers[-1] = runner._reader = reader
    return runner


class TestRights:
    async def test_topics_that_may_not_be_seen_are_told_apart_from_missing_ones(self, rights):
        full = f"{rights.boss.prefix}segment.changed"
        with pytest.raises(
            Misconfigured, match=rf"BARID_KAFKA_USERNAME='stranger' sees no topic {full} at .*describe it"
        ):
            await check(rights.options, ["segment.changed"])
        with pytest.raises(Misconfigured, match="has no topic nowhere"):
            await check(dataclasses.replace(rights.boss, prefix="nowhere."), ["segment.changed"])
        await rights.allow(TOPIC, DESCRIBE)
        # Without the right to see the configuration, partitions are all there is to look at.
        await eventually_allowed(lambda: check(rights.options, ["segment.changed"]))

    async def test_who_may_not_make_topics_is_told(self, rights):
        with pytest.raises(Misconfigured, match=r"[Aa]uthoriz"):
            await apply(rights.options, [BY_NAME["segment.changed"]])

    async def test_a_producer_without_the_right_to_write_is_told_and_writes_again_once_it_has_it(self, rights, service):
        (event,) = service.segments(1)
        await rights.allow(TOPIC, DESCRIBE)
        producer = KafkaProducer(rights.options, publish_s=5)
        try:
            await eventually_refused(
                lambda: producer.publish([as_record(event)]), "BARID_KAFKA_USERNAME='stranger' may not"
            )
            await rights.allow(TOPIC, WRITE)
            await eventually_allowed(lambda: producer.publish([as_record(event)]))
        finally:
            await producer.close()
        async with service.running(service.runner()):
            await service.until_seen([event])

    @pytest.mark.parametrize(
        ("given", "missing"), [([(TOPIC, READ)], "Group"), ([(TOPIC, DESCRIBE), (GROUP, READ)], "Topic")]
    )
    async def test_a_worker_without_the_right_to_read_ends_with_one_line_and_loses_nothing(
        self, rights, service, given, missing
    ):
        events = service.segments(20)
        await service.transport.producer().publish([as_record(event) for event in events])
        for right in given:
            await rights.allow(*right)

        async def run() -> None:
            runner = worker(service, rights.options)
            try:
                await asyncio.wait_for(runner.run(asyncio.Event()), 20)
            finally:
                await service.readers[-1].close()

        line = await eventually_refused(run, f"{missing}AuthorizationFailedError", 40)
        assert line.startswith("BARID_KAFKA_USERNAME='stranger' may not do this at ")
        assert await service.value("select count(*) from seen") == 0
        for right in ((TOPIC, READ), (GROUP, READ)):
            await rights.allow(*right)
        await asyncio.sleep(1)
        async with service.running(worker(service, rights.options)):
            await service.until_seen(events)
