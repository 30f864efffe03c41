"""Kafka only: rebalances under load, members that die, freeze or have nothing to do."""

import asyncio
import dataclasses

import pytest_asyncio
from aiokafka import TopicPartition
from common.testing.deliver import as_record

from tests.conformance.conftest import Service, service_on
from tests.conformance.kafka_load import eventually, load
from tests.conformance.transports import FAST, OnKafka, on_kafka


@pytest_asyncio.fixture
async def transport(kafka):
    async with on_kafka(kafka) as made:
        yield made


@pytest_asyncio.fixture
async def service(contacts_db, transport: OnKafka):
    async with service_on(contacts_db, transport) as made:
        yield made


def shares(service: Service) -> list[frozenset[str]]:
    return [service.transport.share(reader) for reader in service.readers]


def whole(service: Service, *members: int) -> bool:
    """Whether these members hold all nine partitions between them, none twice and none without."""
    held = [shares(service)[n] for n in members]
    return all(held) and sum(map(len, held)) == len(frozenset().union(*held)) == 9


class TestRebalance:
    async def test_three_members_join_and_leave_under_load_and_nothing_is_lost_or_handled_twice(
        self, service, in_order
    ):
        producer = service.transport.producer()
        async with load(service, producer) as events, service.running(service.runner()):
            await eventually(lambda: len(shares(service)[0]) == 9)
            async with service.running(service.runner()):
                await eventually(lambda: whole(service, 0, 1))
                async with service.running(service.runner()):
                    await eventually(lambda: all(shares(service)) and whole(service, 0, 1, 2))
                    await asyncio.sleep(0.5)
                await service.readers[2].close()
                await eventually(lambda: whole(service, 0, 1))
            await service.readers[1].close()
            await eventually(lambda: len(shares(service)[0]) == 9)
            await asyncio.sleep(0.3)
            in_order(await service.until_seen(list(events)))
        assert len(events) > 300
        assert await service.value("select count(*) from dead_letters") == 0

    async def test_a_member_killed_under_load_is_followed_by_the_other(self, service, in_order):
        producer = service.transport.producer()
        one, two = service.runner(), service.runner()
        async with load(service, producer) as events, service.running(one):
            dying = asyncio.create_task(two.run(asyncio.Event()))
            await eventually(lambda: whole(service, 0, 1))
            await asyncio.sleep(0.3)
            dying.cancel()
            await asyncio.gather(dying, return_exceptions=True)
            await service.transport.die(service.readers[1])
            await eventually(lambda: len(shares(service)[0]) == 9, 6)
            await asyncio.sleep(0.3)
            in_order(await service.until_seen(list(events)))

    async def test_a_revocation_waits_for_the_batch_at_hand(self, service, in_order):
        entered, go = asyncio.Event(), asyncio.Event()

        async def wait(tx, events) -> None:
            entered.set()
            await go.wait()

        events = service.segments(40)
        await service.transport.producer().publish([as_record(event) for event in events])
        async with service.running(service.runner(service.consumer(wait))):
            await asyncio.wait_for(entered.wait(), 10)
            async with service.running(service.runner()):
                await asyncio.sleep(1)
                # The group waits: nobody else has got these partitions.
                assert not any(source.startswith("segment.changed") for source in shares(service)[1])
                assert await service.value("select count(*) from seen") == 0
                go.set()
                in_order(await service.until_seen(events))
                await eventually(lambda: whole(service, 0, 1))
        assert len(await service.seen()) == 40

    async def test_a_zombie_that_wakes_after_its_partitions_moved_does_nothing_twice(self, service, in_order):
        entered, go = asyncio.Event(), asyncio.Event()

        async def freeze(tx, events) -> None:
            entered.set()
            await go.wait()

        events = service.segments(60, None)
        await service.transport.producer().publish([as_record(event) for event in events])
        async with service.running(service.runner(service.consumer(freeze))):
            await asyncio.wait_for(entered.wait(), 10)
            async with service.running(service.runner()):
                # Longer than the drain may take: the partitions move although the batch is open.
                await eventually(lambda: shares(service)[1] and not shares(service)[0] & shares(service)[1], 10)
                await asyncio.sleep(0.3)
                go.set()
                in_order(await service.until_seen(events))
                more = service.segments(60)
                await service.transport.producer().publish([as_record(event) for event in more])
                await service.until_seen(more)
        assert len(await service.seen()) == 120


class TestMembership:
    async def test_the_restart_of_a_static_member_moves_no_partitions(self, service, in_order):
        """KIP-345: aiokafka sends no LeaveGroup for it, and it takes its own partitions up again."""
        patient = dataclasses.replace(FAST, session_s=8.0)

        def member(instance: str):
            runner = service.runner()
            reader = service.transport.reader(
                "test.main",
                ["segment.changed", "campaign.state", "audience.rejected"],
                instance=instance,
                timing=patient,
            )
            service.readers[-1] = runner._reader = reader
            return runner

        one = member("a")
        async with service.running(one):
            # The first is the group's leader; aiokafka's JoinGroup is too old for a leader to come back unnoticed.
            await eventually(lambda: len(shares(service)[0]) == 9)
            async with service.running(member("b")):
                await eventually(lambda: whole(service, 0, 1))
            before, revoked = shares(service), []
            for of_one in service.readers[0]._members:
                original = of_one.on_partitions_revoked

                async def note(places, original=original) -> None:
                    revoked.append(places)
                    await original(places)

                of_one.on_partitions_revoked = note
            await service.readers[1].close()
            events = service.segments(80)
            await service.transport.producer().publish([as_record(event) for event in events])
            async with service.running(member("b")):
                in_order(await service.until_seen(events))
                await eventually(lambda: shares(service)[2] == before[1])
        assert revoked == []

    async def test_a_member_without_partitions_begins_again_and_can_take_over(self, service, monkeypatch):
        """aiokafka #1187: idle for longer than max_poll_interval, it could never join again."""
        short = dataclasses.replace(FAST, max_poll_s=1.0)
        for n in range(2):
            service.runner()
            reader = service.transport.reader("test.main", ["campaign.state"], timing=short)
            service.readers[n] = reader
        first, second = service.readers

        async def turn(*readers) -> None:
            for reader in readers:
                await reader.assignment()
                await reader.poll(10, 0.05)

        async with asyncio.timeout(10):
            while not any(shares(service)):
                await turn(first, second)
        if not shares(service)[0]:
            first, second = second, first
        begun = second._members[0]._opening
        async with asyncio.timeout(10):
            while second._members[0]._opening in (begun, None):
                await turn(first, second)
        await service.transport.die(first)
        async with asyncio.timeout(10):
            while not service.transport.share(second):
                await turn(second)

    async def test_a_closed_reader_and_one_that_never_joined_leave_nothing_behind(self, service):
        reader = service.transport.reader("test.main", ["campaign.state"])
        await reader.close()
        await reader.close()
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        assert not any(name.startswith(("join ", "kafka lag")) for name in tasks)

    async def test_positions_of_what_was_revoked_meanwhile_are_passed_over(self, service):
        """seek(), pause() and resume() raise IllegalStateError for a partition that left."""
        reader = service.transport.reader("test.main", ["campaign.state"])
        service.readers.append(reader)
        async with asyncio.timeout(20):
            while not (held := await reader.assignment()):
                await reader.poll(10, 0.05)
        (member,) = reader._members
        gone = TopicPartition(next(iter(member._held)).topic, 7)
        member._held.add(gone)
        reader.seek({**dict.fromkeys(held, 0), reader._source(gone): 5})
        assert set(reader.positions()) == held
        member.positions[gone] = 5
        member.hold_back(frozenset({gone.topic}), hold=True)
        member.hold_back(frozenset({gone.topic}), hold=False)
        assert member.lags() is False
