"""Members of a group: sharing, taking over, and a member that does not know it is dead."""

import asyncio
import dataclasses
import math
import time

from common.consumer.decode import topics
from common.contracts.leads import SegmentChangedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record

from tests.conformance.kafka_load import eventually


class TestSignsOfLife:
    async def test_a_consumer_says_that_it_hears_from_the_bus_and_nothing_once_it_is_stopped(self, service):
        said: list[str] = []

        async def alive(tx, name) -> None:
            said.append(name)

        runner = service.runner(dataclasses.replace(service.consumer(), alive=alive))
        assert service.readers[0].silence_s() == math.inf
        async with service.running(runner):
            await eventually(lambda: len(said) >= 3)
            assert service.readers[0].silence_s() < 2
        assert set(said) == {"test.main"}
        await service.readers[0].close()
        assert service.readers[0].silence_s() > 0


class TestMembers:
    async def test_two_members_share_the_partitions_and_the_survivor_takes_over(self, service, in_order):
        producer = service.transport.producer()
        one, two = service.runner(), service.runner()
        async with service.running(one):
            async with service.running(two):
                everything = service.transport.sources(topics(one.consumer))
                deadline = time.monotonic() + 10
                while True:
                    shares = [service.transport.share(reader) for reader in service.readers]
                    balanced = abs(len(shares[0]) - len(shares[1])) <= 1 and not shares[0] & shares[1]
                    if balanced and shares[0] | shares[1] == everything:
                        break
                    assert time.monotonic() < deadline, shares
                    await asyncio.sleep(0.05)
                keys = [new_id() for _ in range(40)]
                events = service.segments(200, keys)
                await producer.publish([as_record(event) for event in events])
                in_order(await service.until_seen(events))
            await service.transport.die(service.readers[1])
            more = [
                Outgoing(service.workspace_id, SegmentChangedV1(segment_id=key, name="s", revision=6)) for key in keys
            ]
            started = time.monotonic()
            await producer.publish([as_record(event) for event in more])
            in_order(await service.until_seen(more, 10))
            # On Kafka the dead member was in two groups, a lane each; their sessions end one after the other.
            await eventually(lambda: service.transport.share(service.readers[0]) == everything)
            took = time.monotonic() - started
        assert took < 5

    async def test_a_member_that_was_taken_for_dead_cannot_commit(self, service):
        entered, go = asyncio.Event(), asyncio.Event()

        async def freeze(tx, events) -> None:
            entered.set()
            await go.wait()

        events = service.segments(30)
        await service.transport.producer().publish([as_record(event) for event in events])
        zombie = service.runner(service.consumer(freeze))
        step = asyncio.create_task(zombie.run(stop := asyncio.Event()))
        await asyncio.wait_for(entered.wait(), 10)
        held = await service.value("select count(*) from consumer_offsets")
        # Its leases run out while it hangs in a handler, its transaction still open.
        await service.transport.die(service.readers[0])
        async with service.running(service.runner()) as (heir,):
            await asyncio.sleep(2)
            assert not heir.done()
            # The heir waits for the row locks of the zombie's offsets; the zombie's connection dies.
            await service.value(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                "where datname = current_database() and state = 'idle in transaction'"
            )
            await service.until_seen(events, 10)
            go.set()
            await asyncio.sleep(0.3)
        stop.set()
        await asyncio.wait_for(step, 15)
        assert held > 0
        assert len(await service.seen()) == 30

    async def test_two_members_that_read_the_same_source_do_its_events_once(self, service, in_order):
        """Both believe they own everything and have no inbox: only the offsets decide."""
        events = service.segments(400, [new_id() for _ in range(8)])
        await service.transport.producer().publish([as_record(event) for event in events])

        async def dawdle(tx, events) -> None:
            await asyncio.sleep(0.003)

        first = service.runner(service.consumer(dawdle, max_batch=20, keyed=True))
        second = service.runner(service.consumer(dawdle, max_batch=30, keyed=True))
        while not (everything := await service.readers[0].assignment()):
            pass
        await service.transport.usurp(service.readers[1], everything)
        async with service.running(first, second):
            in_order(await service.until_seen(events))
            await asyncio.sleep(0.2)
        assert len(await service.seen()) == 400
