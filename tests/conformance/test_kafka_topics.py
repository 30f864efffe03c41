"""Topics from the contracts, and one clear line for every way a cluster can be unusable."""

import asyncio
import dataclasses
import os
import subprocess
import sys

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from common.bus import open_producer, open_reader, reach
from common.bus.kafka import KafkaOptions, KafkaProducer
from common.bus.kafka.topics import Found, apply, check, plan, wanted
from common.bus.port import BusUnavailable
from common.contracts.topics import BY_NAME, TOPICS
from common.errors import Misconfigured
from common.ids import new_id
from common.settings import SharedSettings

from tests.conformance.transports import delete_topics
from tools.kafka import PASSWORD, USER

SEGMENT, STATE = BY_NAME["segment.changed"], BY_NAME["campaign.state"]


@pytest_asyncio.fixture
async def options(kafka):
    made = KafkaOptions(kafka.address, prefix=f"a{new_id().hex[-10:]}.")
    yield made
    await delete_topics(made, [topic.name for topic in TOPICS])


async def admin(options: KafkaOptions) -> AIOKafkaAdminClient:
    made = AIOKafkaAdminClient(**options.client())
    await made.start()
    return made


async def create(options: KafkaOptions, name: str, partitions: int, configs: dict[str, str]) -> None:
    one = await admin(options)
    await one.create_topics([NewTopic(options.prefix + name, partitions, 1, topic_configs=configs)])
    while options.prefix + name not in await one.list_topics():
        pass
    await one.close()


async def configs(options: KafkaOptions, name: str) -> dict[str, str]:
    one = await admin(options)
    (answer,) = await one.describe_configs([ConfigResource(ConfigResourceType.TOPIC, options.prefix + name)])
    await one.close()
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


class TestApply:
    async def test_all_topics_are_made_once_and_a_second_time_nothing_is_done(self, options):
        planned = await apply(options, TOPICS, dry_run=True)
        assert [change.kind for change in planned] == ["create"] * len(TOPICS)
        with pytest.raises(Misconfigured, match=r"no topic a\w+\.access.revoked: run `barid topics apply`"):
            await check(options, BY_NAME)
        assert await apply(options, TOPICS) == planned
        assert await apply(options, TOPICS) == []
        await check(options, BY_NAME)
        made = await configs(options, "lead.updated")
        assert made["retention.ms"] == str(7 * 86_400_000)
        assert made["min.insync.replicas"] == "1"
        one = await admin(options)
        there = {t["topic"]: len(t["partitions"]) for t in await one.describe_topics()}
        await one.close()
        assert {t.name: there[options.prefix + t.name] for t in TOPICS} == {t.name: t.partitions for t in TOPICS}

    async def test_what_is_too_small_grows_and_what_else_was_set_stays(self, options):
        await create(options, SEGMENT.name, 2, {"retention.ms": "1000", "segment.ms": "77777777"})
        with pytest.raises(Misconfigured, match=r"has 2 of 4 partitions"):
            await check(options, [SEGMENT.name])
        changes = await apply(options, [SEGMENT])
        assert [change.kind for change in changes] == ["widen", "configure"]
        assert await apply(options, [SEGMENT]) == []
        assert (await configs(options, SEGMENT.name))["segment.ms"] == "77777777"
        await check(options, [SEGMENT.name])

    async def test_what_is_larger_is_kept_and_told(self, options):
        await create(options, STATE.name, 3, {**wanted(STATE, options), "retention.ms": str(90 * 86_400_000)})
        changes = await apply(options, [STATE])
        assert [change.kind for change in changes] == ["keep", "keep"]
        assert "never taken away" in changes[0].text
        assert "not shrunk" in changes[1].text
        assert (await configs(options, STATE.name))["retention.ms"] == str(90 * 86_400_000)

    async def test_too_short_a_retention_is_told_by_who_reads(self, options):
        await create(options, STATE.name, 1, {"retention.ms": "86400000"})
        with pytest.raises(Misconfigured, match="keeps events for 1 of 30 days: run `barid topics apply`"):
            await check(options, [STATE.name])

    @pytest.mark.parametrize(
        ("wrong", "line"),
        [
            ({"cleanup.policy": "compact"}, "is compacted, which takes away all but the last event of a key"),
            ({"cleanup.policy": "compact,delete"}, "is compacted"),
            ({"min.insync.replicas": "2"}, "asks for 2 copies in sync and has 1, so nothing can be written to it"),
            ({"max.message.bytes": "1048588"}, "takes 1048588 bytes for a message; an event may have 4194304"),
        ],
    )
    async def test_what_would_lose_or_never_take_an_event_is_told_and_mended(self, options, wrong, line):
        await create(options, STATE.name, 1, {**wanted(STATE, options), **wrong})
        with pytest.raises(
            Misconfigured, match=rf"the topic {options.prefix}campaign.state {line}.*barid topics apply"
        ):
            await check(options, [STATE.name])
        planned = await apply(options, [STATE], dry_run=True)
        with pytest.raises(Misconfigured):
            await check(options, [STATE.name])
        assert [change.kind for change in planned] == ["configure"]
        assert await apply(options, [STATE]) == planned
        await check(options, [STATE.name])
        assert await apply(options, [STATE]) == []

    def test_copies_in_sync_are_never_fewer(self):
        have = {**wanted(STATE, KafkaOptions("x:1")), "min.insync.replicas": "2"}
        (kept,) = plan([STATE], {STATE.name: Found(1, 3, have, have)}, KafkaOptions("x:1"))
        assert (kept.kind, "min.insync.replicas is 2" in kept.text) == ("keep", True)

    async def test_more_copies_than_brokers_and_more_in_sync_than_copies_are_refused(self, options):
        with pytest.raises(Misconfigured, match=r"cannot be made so at .*[Rr]eplication"):
            await apply(dataclasses.replace(options, replication=3), [STATE])
        with pytest.raises(Misconfigured, match="BARID_KAFKA_MIN_INSYNC=2 is more than BARID_KAFKA_REPLICATION=1"):
            await apply(dataclasses.replace(options, min_insync=2), [STATE])

    def test_unlimited_retention_is_never_less(self):
        options = KafkaOptions("x:1")
        have = {**wanted(STATE, options), "retention.ms": "-1"}
        assert [c.kind for c in plan([STATE], {STATE.name: Found(1, 1, have, have)}, options)] == ["keep"]


async def assigned(settings, group, topics):
    async with open_reader(settings, group, topics) as reader, asyncio.timeout(20):
        while not await reader.assignment():  # noqa: ASYNC110 - it must be asked
            await asyncio.sleep(0.05)


class TestUnusable:
    async def test_an_unreachable_broker_is_one_line_that_names_the_setting(self):
        settings = SharedSettings(bus="kafka", kafka_bootstrap="127.0.0.1:1")
        with pytest.raises(BusUnavailable, match=r"BARID_KAFKA_BOOTSTRAP=127\.0\.0\.1:1 cannot be used") as raised:
            await reach(settings, ["email.sent"])
        assert "\n" not in raised.value.message
        with pytest.raises(BusUnavailable, match=r"BARID_KAFKA_BOOTSTRAP=127\.0\.0\.1:1"):
            async with open_producer(settings) as producer:
                await producer.ready()
        with pytest.raises(BusUnavailable, match=r"BARID_KAFKA_BOOTSTRAP=127\.0\.0\.1:1"):
            await assigned(settings, "contacts.main", ["email.sent"])

    async def test_an_address_that_is_none(self):
        for address in ("nonsense", "host:port", ""):
            with pytest.raises(Misconfigured, match="BARID_KAFKA_BOOTSTRAP"):
                KafkaOptions(address).client()

    async def test_wrong_credentials_are_one_line_that_names_the_settings(self, kafka):
        if kafka.sasl is None:
            pytest.skip("the given broker has no listener for this")
        wrong = KafkaOptions(kafka.sasl, security="SASL_PLAINTEXT", mechanism="PLAIN", username=USER, password="wrong")
        with pytest.raises(Misconfigured, match="refuses BARID_KAFKA_USERNAME='barid'"):
            await check(wrong, [])
        producer = KafkaProducer(wrong)
        with pytest.raises(Misconfigured, match="refuses BARID_KAFKA_USERNAME"):
            await producer.ready()
        await check(dataclasses.replace(wrong, password=PASSWORD), [])
        with pytest.raises(Misconfigured, match="needs BARID_KAFKA_USERNAME"):
            dataclasses.replace(wrong, username="").client()

    async def test_a_missing_authority_file(self):
        with pytest.raises(Misconfigured, match="BARID_KAFKA_CA_FILE=/nowhere cannot be used"):
            KafkaOptions("h:1", security="SSL", ca_file="/nowhere").client()


class TestCommand:
    async def run(self, kafka: str, *words: str, **settings: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "barid", "topics", "apply", *words,
            env={**os.environ, "BARID_KAFKA_BOOTSTRAP": kafka, **settings},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 40)
        return process.returncode, out.decode(), err.decode()

    async def test_it_tells_each_step_and_does_none_in_a_dry_run(self, kafka, options):
        for words in (["--dry-run"], []):
            code, out, err = await self.run(kafka.address, *words, BARID_KAFKA_PREFIX=options.prefix)
            assert (code, err) == (0, "")
            assert f"create\t{options.prefix}campaign.started\t1 partitions × 1, 30 days" in out
            assert len(out.splitlines()) == len(TOPICS)
        code, out, _ = await self.run(kafka.address, BARID_KAFKA_PREFIX=options.prefix)
        assert (code, out) == (0, f"{len(TOPICS)} topics at {kafka.address} are as the contracts ask\n")

    async def test_what_is_wrong_is_one_line(self, kafka):
        code, _, err = await self.run("127.0.0.1:1")
        assert (code, err.count("\n")) == (1, 1)
        assert "BARID_KAFKA_BOOTSTRAP=127.0.0.1:1 cannot be used" in err
        code, _, err = await self.run(kafka.address, BARID_KAFKA_MIN_INSYNC="3")
        assert (code, err) == (2, "barid: BARID_KAFKA_MIN_INSYNC=3 is more than BARID_KAFKA_REPLICATION=1\n")
