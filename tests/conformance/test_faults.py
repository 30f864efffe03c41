"""Events that cannot be handled, and faults that pass."""

import asyncio
import dataclasses
from uuid import UUID

import asyncpg
import pytest
from common.consumer import dead_letters
from common.consumer.limit import DeadLetterLimit, TooManyDeadLetters
from common.contracts.leads import SegmentChangedV1
from common.db.schema import UnfitSchema
from common.errors import TooLarge
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record


def poison(bad):
    async def check(tx, events) -> None:
        if any(event.id in bad for event in events):
            await tx.execute("insert into seen (event_id, key, n) values (gen_random_uuid(), 'half done', 0)")
            raise ValueError("cannot be handled")

    return check


class TestPoison:
    async def test_a_poison_event_is_buried_and_its_partition_moves_on(self, service, in_order):
        keys = [new_id() for _ in range(7)]
        events = service.segments(350, keys)
        bad = {events[5 + 7 * 20].id, events[0].id, events[-1].id}
        good = [event for event in events if event.id not in bad]
        trace = f"00-{7:032x}-{9:016x}-01"
        records = [dataclasses.replace(as_record(event), traceparent=trace) for event in events]
        await service.transport.producer().publish(records)
        async with service.running(service.runner(service.consumer(poison(bad)))):
            seen = await service.until_seen(good)
            await service.until("select count(*) from dead_letters", 3)
        assert len(seen) == 347
        async with service.db.connection() as connection:
            dead = await dead_letters.list_dead(connection, consumer="test.main")
            shown = await dead_letters.show(connection, dead[0].id)
        assert {letter.event_id for letter in dead} == bad
        assert {letter.error for letter in dead} == {"ValueError: cannot be handled"}
        assert all(letter.source and letter.source_offset >= 0 for letter in dead)
        assert {letter.traceparent for letter in dead} == {trace}, "the trace leads to who caused it"
        assert '"revision"' in shown.payload

    async def test_unknown_types_and_unreadable_payloads_are_buried_without_stopping_the_batch(self, service):
        events = service.segments(12)
        records = [as_record(event) for event in events]
        records[3] = dataclasses.replace(records[3], type="segment.changed.v9")
        records[4] = dataclasses.replace(records[4], payload="{not json")
        records[5] = dataclasses.replace(records[5], payload='{"segment_id": 1}')
        await service.transport.producer().publish(records)
        async with service.running(service.runner()):
            await service.until_seen(events[:3] + events[6:])
            await service.until("select count(*) from dead_letters", 3)
        async with service.db.connection() as connection:
            errors = {letter.event_id: letter.error for letter in await dead_letters.list_dead(connection)}
        assert "unknown type" in errors[events[3].id]
        assert "undecodable" in errors[events[4].id]
        assert "segment_id" in errors[events[5].id]

    async def test_a_replay_keeps_the_event_and_reaches_only_the_consumer_that_failed(self, service):
        events = service.segments(5)
        bad = {events[2].id, events[3].id}
        await service.transport.producer().publish([as_record(event) for event in events])
        async with service.running(service.runner(service.consumer(poison(bad)))):
            await service.until("select count(*) from dead_letters", 2)
            bad.discard(events[2].id)
            async with service.db.transaction() as tx:
                assert await dead_letters.replay(tx, consumer="test.main", topic="segment.changed") == 2
            await service.until_seen([events[2]])
            await service.until("select count(*) from dead_letters where replayed_at is not null", 1)
            await service.until("select attempts from dead_letters where replayed_at is null", 1)
        assert await service.value("select count(*) from outbox") == 0
        assert len(await service.seen()) == 4

    async def test_the_consumer_stops_before_it_buries_too_many(self, service):
        events = service.segments(60)
        await service.transport.producer().publish([as_record(event) for event in events])
        bad = {event.id for event in events[20:]}
        runner = service.runner(service.consumer(poison(bad)), limit=DeadLetterLimit("test.main", most=10, window=100))
        with pytest.raises(TooManyDeadLetters, match="11 of the last 100 events"):
            await asyncio.wait_for(runner.run(asyncio.Event()), 20)
        assert await service.value("select count(*) from dead_letters") == 10
        # What was not buried is still there for the mended consumer.
        await service.readers[0].close()
        async with service.running(service.runner()):
            await service.until("select count(*) from seen", 50)

    async def test_a_batch_of_unreadable_events_is_not_passed(self, service):
        events = service.segments(300)
        records = [dataclasses.replace(as_record(event), payload="nonsense") for event in events]
        await service.transport.producer().publish(records)
        with pytest.raises(TooManyDeadLetters):
            await asyncio.wait_for(service.runner().run(asyncio.Event()), 20)
        assert await service.value("select count(*) from dead_letters") == 0
        assert await service.value("select max(next_offset) from consumer_offsets") == 0


class TestTooLarge:
    """Ten megabytes in the outbox, put there by a statement: no bus takes them, and nothing else waits for them."""

    async def put(self, service, key: str, characters: int) -> UUID:
        event_id = new_id()
        async with service.db.transaction() as tx:
            await tx.execute(
                "insert into outbox (lane, topic, type, key, event_id, workspace_id, payload)"
                " values (1, 'segment.changed', 'segment.changed.v1', $1, $2, $3, repeat('\u0628', $4))",
                key, event_id, service.workspace_id, characters,
            )  # fmt: skip
        return event_id

    async def test_it_is_set_aside_and_the_events_around_it_go_on_in_order(self, service, in_order):
        keys = [new_id() for _ in range(3)]
        events = service.segments(90, keys)
        async with service.running(service.relay(batch=20), service.runner()):
            await service.write(events[:40])
            large = await self.put(service, str(keys[0]), 5_000_000)
            await service.write(events[40:])
            in_order(await service.until_seen(events))
            await service.until("select count(*) from outbox", 0)
        async with service.db.connection() as connection:
            (letter,) = await dead_letters.list_dead(connection)
            assert len((await dead_letters.show(connection, letter.id)).payload.encode()) == 10_000_000
        assert (letter.event_id, letter.consumer, letter.source) == (large, "contacts.relay", "outbox")
        assert letter.error == "TooLarge: 10000000 bytes without its headers; the bus takes 4194304 with them"

    async def test_asked_for_again_it_is_tried_again(self, service):
        async with service.running(service.relay(), service.runner()):
            large = await self.put(service, str(new_id()), 5_000_000)
            await service.until("select count(*) from dead_letters", 1)
            for tried in (1, 2):
                async with service.db.transaction() as tx:
                    assert await dead_letters.replay(tx, consumer="contacts.relay") == 1
                await service.until("select attempts from dead_letters where replayed_at is null", tried)
            # Whoever mends it makes it smaller where it is kept.
            payload = SegmentChangedV1(segment_id=new_id(), name="s", revision=1).model_dump_json()
            await service.value("update dead_letters set payload = $1", payload)
            async with service.db.transaction() as tx:
                assert await dead_letters.replay(tx, ids=None) == 1
            await service.until("select count(*) from seen", 1)
        assert await service.value("select event_id from seen") == large
        assert await service.value("select count(*) from dead_letters where replayed_at is null") == 0

    async def test_who_writes_one_is_told_and_nothing_is_written(self, service):
        huge = SegmentChangedV1.model_construct(segment_id=new_id(), name="x" * 10_000_000, revision=1)
        with pytest.raises(
            TooLarge, match=r"an event segment\.changed of 100000\d\d bytes; at most 4190208 can be told"
        ):
            await service.write([*service.segments(1), Outgoing(service.workspace_id, huge)])
        assert await service.value("select count(*) from outbox") == 0


class TestSchema:
    @pytest.mark.parametrize("statement", ["select * from nowhere", "select nothing from seen", "drop table seen"])
    async def test_a_statement_that_does_not_fit_the_database_buries_nothing_and_ends_the_consumer(
        self, service, statement
    ):
        """As on a schema of another release: no event is at fault."""
        events = service.segments(5)
        await service.transport.producer().publish([as_record(event) for event in events])

        async def misfit(tx, events) -> None:
            await tx.execute("set local role contacts_worker")
            await tx.execute(statement)

        runner = service.runner(service.consumer(misfit))
        with pytest.raises(UnfitSchema, match=r"test\.main stops: \w+Error: "):
            await asyncio.wait_for(runner.run(asyncio.Event()), 20)
        assert await service.value("select count(*) from dead_letters") == 0
        assert await service.value("select max(next_offset) from consumer_offsets") == 0
        await service.readers[0].close()
        async with service.running(service.runner()):
            await service.until_seen(events)


class TestPassingFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            asyncpg.SerializationError("could not serialize"),
            asyncpg.DeadlockDetectedError("deadlock"),
            asyncpg.LockNotAvailableError("lock timeout"),
            asyncpg.DiskFullError("no space left"),
            asyncpg.ConnectionDoesNotExistError("closed"),
        ],
        ids=lambda fault: type(fault).__name__,
    )
    async def test_they_are_retried_and_bury_nothing(self, service, in_order, fault):
        left = 3

        async def fail(tx, events) -> None:
            nonlocal left
            left -= 1
            if left >= 0:
                raise fault

        events = service.segments(40, [new_id() for _ in range(4)])
        await service.transport.producer().publish([as_record(event) for event in events])
        async with service.running(service.runner(service.consumer(fail))):
            in_order(await service.until_seen(events))
        assert await service.value("select count(*) from dead_letters") == 0
        assert left < 0

    async def test_a_consumer_cut_off_from_its_database_reads_on_where_it_committed(self, service, in_order):
        events = service.segments(600, [new_id() for _ in range(6)])
        producer = service.transport.producer()
        async with service.running(service.runner(service.consumer(max_batch=20))):
            for start in range(0, 600, 60):
                await producer.publish([as_record(event) for event in events[start : start + 60]])
                await service.value(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
                await asyncio.sleep(0.02)
            in_order(await service.until_seen(events, 20))
