"""`barid drain`: from the log in PostgreSQL to Kafka, nothing lost, nothing done twice, killed at any moment."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from common.bus.kafka import KafkaOptions, KafkaProducer
from common.bus.kafka.topics import apply
from common.bus.postgres.append import append
from common.contracts.topics import TOPICS
from common.errors import Misconfigured
from common.guard import guard
from common.ids import new_id
from common.settings import ServiceSettings
from common.testing.examples import examples

from tests.conformance.transports import delete_topics
from tests.fixtures.inventory import groups
from tests.integration.barid.drain_scene import Installation, expected, installation

ALL = [topic.name for topic in TOPICS]
NOWHERE = KafkaOptions("127.0.0.1:9", prefix="nowhere.")


@pytest_asyncio.fixture
async def moving(postgres, kafka) -> AsyncIterator[Installation]:
    """An installation with topics to move to."""
    options = KafkaOptions(kafka.address, prefix=f"d{new_id().hex[-10:]}.")
    await apply(options, TOPICS)
    async with installation(postgres, options) as made:
        yield made
    await delete_topics(options, ALL)


async def test_every_group_sees_every_event_once_across_the_move(moving):
    written = await moving.write(40)
    async with moving.on_postgres(held=True):
        await moving.until_logged(len(written))
        process = await moving.start("drain", "--timeout", "60")
        await moving.until_sealed()
        written |= await moving.write(20)  # what the APIs accept meanwhile
        assert not (await moving.seen())["delivery.main"], "all of it is unread when the log is sealed"
        moving.go.set()
        out, errors = await process.communicate()
        assert process.returncode == 0, errors
        assert f"all {len(groups())} groups have read the log to its end" in out.decode()
        logged, seen = await moving.logged(), await moving.seen()
        assert all(ids <= seen[name].keys() for name, ids in expected(logged).items())
        written |= await moving.write(5)
    assert await moving.logged() == logged, "nothing is appended any more"
    async with moving.on_kafka():
        await moving.until_complete(written)


async def test_drain_killed_at_any_moment_is_run_again(moving):
    chance = random.Random(5)
    written = await moving.write(30)
    async with moving.on_postgres(held=True):
        await moving.until_logged(len(written))
        for n in range(4):
            process = await moving.start("drain")
            await asyncio.sleep(chance.uniform(0.3, 3))
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
            if n == 2:
                moving.go.set()
        status, out, errors = await moving.barid("drain", "--timeout", "60")
        assert status == 0, errors
    again, repeated, _ = await moving.barid("drain")
    assert (again, repeated) == (0, out), "once drained, it is drained"
    async with moving.on_kafka():
        await moving.until_complete(written)


async def test_a_group_that_nobody_reads_is_named_with_what_it_has_left_and_the_log_stays_sealed(moving):
    written = await moving.write(10, "email.opened")
    others = {"contacts.main", "analytics.ingest"}
    async with moving.on_postgres(consumers=others):
        await moving.until_logged(10)
        status, _, errors = await moving.barid("drain", "--timeout", "6")
        assert status == 1
        told = [line for line in errors.splitlines() if line.startswith("analytics.scoring: 10 events left (lane/part")]
        assert len(told) == 1, errors
        assert "nobody reads: start `analytics worker --only scoring` with BARID_BUS=postgres" in told[0]
        assert "not drained within 6 s; the log stays sealed" in errors.splitlines()[-1]
        late = await moving.write(3, "email.opened")
        await asyncio.sleep(1)
        assert len(await moving.logged()) == 10
    async with moving.on_postgres():
        assert (await moving.barid("drain", "--timeout", "60"))[0] == 0
        assert await moving.complete(written)
    async with moving.on_kafka():
        await moving.until_complete(written | late)


async def test_dead_letters_from_before_the_move_are_replayed_after_it(moving):
    written = await moving.write(3, "list.changed")
    campaigns = moving.services["campaigns"].worker.pool
    await campaigns.execute("alter table seen add constraint full_up check (false) not valid")
    async with moving.on_postgres(consumers={"campaigns.main"}):
        while await campaigns.fetchval("select count(*) from dead_letters") < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        status, out, errors = await moving.barid("drain", "--timeout", "20")
        assert status == 0, errors
        assert "dead letters: campaigns 3 stay where they are" in out
    await campaigns.execute("alter table seen drop constraint full_up")
    async with moving.on_kafka():
        assert (await moving.barid("dlq", "replay", "campaigns", "--all"))[0] == 0
        await moving.until_complete(written)


async def test_cancelled_before_the_switch_the_log_goes_on(moving):
    written = await moving.write(2)
    async with moving.on_postgres():
        assert (await moving.barid("drain", "--timeout", "60"))[0] == 0
        later = await moving.write(2)
        status, out, _ = await moving.barid("drain", "--cancel")
        assert (status, "the log is open again" in out) == (0, True)
        await moving.until_complete(written | later)


async def test_cancel_is_refused_once_events_are_on_kafka(moving):
    async with moving.on_postgres():
        assert (await moving.barid("drain", "--timeout", "60"))[0] == 0
    sample = next(examples(TOPICS[0])).record()
    producer = KafkaProducer(moving.kafka)
    await producer.publish([sample])
    await producer.close()
    status, _, errors = await moving.barid("drain", "--cancel")
    assert status == 1
    assert f"{moving.kafka.prefix}lead.created at {moving.kafka.bootstrap} holds events (1)" in errors


async def test_a_dry_run_tells_what_is_unread_and_seals_nothing(moving):
    await moving.write(4, "email.sent")
    async with moving.on_postgres(consumers=set()):
        await moving.until_logged(4)
    status, out, _ = await moving.barid("drain", "--dry-run")
    assert status == 0
    assert "analytics.ingest\t4 to read\t0 reading now" in out
    assert await moving.bus.worker.pool.fetchval("select sealed_at from log_head") is None


class TestRefusals:
    """Nothing is sealed when there is nowhere to go."""

    async def refused(self, installation: Installation, *arguments: str) -> str:
        status, out, errors = await installation.barid("drain", *arguments)
        assert status != 0, out
        assert len(errors.strip().splitlines()) == 1, errors
        assert await installation.bus.worker.pool.fetchval("select sealed_at from log_head") is None
        return errors

    async def test_without_topics(self, postgres, kafka):
        async with installation(postgres, KafkaOptions(kafka.address, prefix="none.")) as made:
            assert "has no topic none.access.revoked: run `barid topics apply`" in await self.refused(made)

    async def test_without_a_broker(self, postgres):
        async with installation(postgres, NOWHERE) as made:
            assert "BARID_KAFKA_BOOTSTRAP=127.0.0.1:9 cannot be used" in await self.refused(made)

    async def test_where_somebody_elses_events_are(self, moving):
        producer = KafkaProducer(moving.kafka)
        await producer.publish([next(examples(TOPICS[0])).record()])
        await producer.close()
        told = await self.refused(moving)
        assert "holds events (1), which nobody here has read: name an empty place with BARID_KAFKA_PREFIX" in told

    async def test_with_a_database_of_older_migrations(self, postgres):
        async with installation(postgres, NOWHERE) as made:
            owner = await asyncpg.connect(made.bus.owner_url)
            await owner.execute("update alembic_version set version_num = '0001'")
            await owner.close()
            told = await self.refused(made)
            assert "is at revision 0001; this code needs" in told
            assert "(run `barid migrate`)" in told

    async def test_with_a_database_that_is_away(self, postgres):
        async with installation(postgres, NOWHERE) as made:
            made.others["DELIVERY_WORKER_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/delivery"
            assert "DELIVERY_WORKER_DATABASE_URL: the database cannot be used" in await self.refused(made)


class TestTheOtherBus:
    """Processes that would leave events behind do not start."""

    async def begin(self, contacts_db, bus_db, bus: str) -> None:
        settings = ServiceSettings(
            bus=bus,
            kafka_bootstrap="127.0.0.1:9",
            bus_database_url=bus_db.worker_url,
            worker_database_url=contacts_db.worker_url,
            start_wait_s=0,
        )
        await guard(asyncio.Event(), settings, [("contacts", "relay", settings), ("contacts", "worker", settings)])

    async def test_kafka_is_refused_while_the_log_is_not_drained(self, contacts_db, bus_db, monkeypatch):
        monkeypatch.setattr("common.guard.reach", nothing_to_reach)
        await self.begin(contacts_db, bus_db, "kafka")
        async with bus_db.worker.transaction() as tx:
            await append(tx, [next(examples(TOPICS[0])).record()])
        with pytest.raises(
            Misconfigured, match="was not drained: start with BARID_BUS=postgres, and run `barid drain`"
        ):
            await self.begin(contacts_db, bus_db, "kafka")
        await bus_db.worker.pool.execute("update log_head set sealed_at = now(), drained_at = now()")
        await self.begin(contacts_db, bus_db, "kafka")

    async def test_postgres_is_refused_once_it_is_drained(self, contacts_db, bus_db):
        await self.begin(contacts_db, bus_db, "postgres")
        await bus_db.worker.pool.execute("update log_head set sealed_at = now(), drained_at = now()")
        with pytest.raises(Misconfigured, match=r"moved this installation to Kafka at .*: set BARID_BUS=kafka"):
            await self.begin(contacts_db, bus_db, "postgres")


async def nothing_to_reach(*_arguments) -> None:
    """No broker is needed for this."""
