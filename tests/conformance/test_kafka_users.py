"""Kafka only: what the manifests' users may do is enough for what the processes do, and for nothing else.

A broker with Kafka's own authorizer gets the KafkaUsers of deploy/k8s as ACLs; each user then does with the code of its
process what that does, against the whole list of topics.
"""

import asyncio
from datetime import UTC, datetime

import pytest
from common.bus import open_producer, open_reader, reach
from common.bus.kafka import KafkaOptions, KafkaProducer, groups_of
from common.bus.kafka.topics import apply
from common.contracts.envelope import Record
from common.contracts.topics import BY_NAME, TOPICS, owned_by
from common.errors import BaridError
from common.ids import new_id
from common.settings import SharedSettings

from tests.conformance.guarded import PASSWORDS, admin_of
from tools.manifests import RELAYS, WORKERS

pytestmark = pytest.mark.xdist_group("kafka rights")


def settings_of(broker, user):
    return SharedSettings(
        bus="kafka",
        kafka_bootstrap=broker.sasl_address,
        kafka_security="SASL_PLAINTEXT",
        kafka_mechanism="PLAIN",
        kafka_username=user,
        kafka_password=PASSWORDS[user],
    )


def record(topic):
    key, now = str(new_id()), datetime.now(UTC)
    return Record(new_id(), topic, f"{topic}.v1", "/test", new_id(), now, key, "{}")


def consumers_of(worker):
    return {name: [one.name for one in TOPICS if name in one.consumers] for name in WORKERS[worker]}


@pytest.mark.parametrize("service", RELAYS)
async def test_a_relay_writes_what_its_service_owns_and_nothing_else(guarded, service):
    settings, owned = settings_of(guarded, f"{service}-relay"), [topic.name for topic in owned_by(service)]
    await reach(settings, owned)
    async with open_producer(settings) as producer:
        await producer.ready()
        await producer.publish([record(name) for name in owned])
        for name in sorted(BY_NAME.keys() - set(owned)):
            with pytest.raises(BaridError, match=f"may not do this .*TopicAuthorizationFailedError: {name}"):
                await KafkaProducer(KafkaOptions.of(settings)).publish([record(name)])


@pytest.mark.parametrize("worker", WORKERS)
async def test_a_worker_reads_what_its_consumers_consume_in_their_groups(guarded, worker):
    settings = settings_of(guarded, worker)
    async with open_producer(SharedSettings(bus="kafka", kafka_bootstrap=guarded.address)) as anybody:
        written = [record(name) for names in consumers_of(worker).values() for name in names]
        await anybody.publish(written)
    async with open_producer(settings) as readiness:
        await readiness.ready()
    for consumer, names in consumers_of(worker).items():
        wanted = {f"{name}:{n}" for name in names for n in range(BY_NAME[name].partitions)}
        await reach(settings, names)
        async with open_reader(settings, consumer, names) as reader, asyncio.timeout(60):
            while (held := await reader.assignment()) != wanted:
                assert held <= wanted
                await asyncio.sleep(0.05)
            reader.seek(dict.fromkeys(held, 0))
            missing = {one.id for one in written if one.topic in names}
            while missing:
                await reader.assignment()
                missing -= {polled.record.id for polled in await reader.poll(500, 0.5) if polled.record}
            reader.committed(reader.positions())
            for member in reader._members:
                await member.lag.tell()
        async with admin_of(bootstrap_servers=guarded.address) as admin:
            for group in groups_of(consumer, names):
                told = await admin.list_consumer_group_offsets(group)
                assert sum(one.offset for one in told.values()) > 0, f"the broker was not told the offsets of {group}"


@pytest.mark.parametrize("worker", WORKERS)
async def test_a_worker_writes_nothing_and_reads_nothing_else(guarded, worker):
    settings = settings_of(guarded, worker)
    mine = sorted({name for names in consumers_of(worker).values() for name in names})
    foreign = next(topic.name for topic in TOPICS if topic.name not in mine)
    with pytest.raises(BaridError, match=f"no topic {foreign}"):
        await reach(settings, [foreign])
    with pytest.raises(BaridError, match=r"may not do this .*GroupAuthorizationFailedError"):
        await join(settings, "contacts.other", mine[:1])
    with pytest.raises(BaridError, match=r"may not do this .*TopicAuthorizationFailedError"):
        await KafkaProducer(KafkaOptions.of(settings)).publish([record(mine[0])])


async def join(settings, consumer, topics):
    async with open_reader(settings, consumer, topics) as reader, asyncio.timeout(20):
        while not await reader.assignment():  # noqa: ASYNC110 - it must be asked
            await asyncio.sleep(0.05)


async def test_the_topics_job_makes_and_changes_every_topic(guarded):
    options = KafkaOptions.of(settings_of(guarded, "topics-apply"))
    assert await apply(options, TOPICS) == []
    async with admin_of(bootstrap_servers=guarded.address) as admin, asyncio.timeout(20):
        await admin.delete_topics(["sender.changed"])
        while "sender.changed" in await admin.list_topics():  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.1)
    changes = await apply(options, TOPICS)
    assert [(one.kind, one.topic) for one in changes] == [("create", "sender.changed")]
    async with admin_of(**options.client()) as admin:
        answer = await admin.delete_topics(["sender.changed"])
        assert [code for _, code in answer.topic_error_codes] == [29], "it may delete"  # TOPIC_AUTHORIZATION_FAILED


async def test_keda_sees_topics_and_lag_and_reads_nothing(guarded):
    options = KafkaOptions.of(settings_of(guarded, "keda"))
    groups = {g for worker in WORKERS for name, topics in consumers_of(worker).items() for g in groups_of(name, topics)}
    async with admin_of(**options.client()) as admin:
        assert set(await admin.list_topics()) == set(BY_NAME)
        for group in sorted(groups):
            await admin.list_consumer_group_offsets(group)
    with pytest.raises(BaridError, match="may not do this"):
        await join(settings_of(guarded, "keda"), "contacts.main", ["email.sent"])
