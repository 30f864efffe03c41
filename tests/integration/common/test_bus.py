"""The log itself: partitions, retention, bounds, lag, wake-up."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from common.bus.postgres import PostgresBus
from common.bus.postgres import reader as readers
from common.bus.postgres.append import append
from common.bus.postgres.places import ALL, part_of
from common.bus.postgres.upkeep import lag, upkeep
from common.contracts.envelope import Record
from common.ids import new_id


def a_record(topic: str = "segment.changed", key: str = "k", lane: int = 1, payload: str = "{}") -> Record:
    return Record(new_id(), topic, f"{topic}.v1", "contacts", new_id(), datetime.now(UTC), key, payload, lane)


@pytest.fixture
async def bus(bus_db):
    made = await PostgresBus.open(bus_db.worker_url)
    yield made
    await made.close()


async def reader_of(bus, group="g", topics=("segment.changed",), **options):
    reader = bus.reader(group, topics, **options)
    reader.seek(dict.fromkeys(await reader.assignment(), 0))
    return reader


def test_the_partition_of_a_key_never_changes():
    assert [part_of(key) for key in ("", "a", "0190c2f1", "بريد")] == [0, 3, 1, 0]


async def test_ids_are_in_commit_order_over_four_appenders(bus):
    """Whoever has seen an id has seen all lower ones: no reader can step over a late commit."""
    done = asyncio.Event()
    stepped_over = []

    async def watch() -> None:
        seen: set[int] = set()
        while not done.is_set():
            rows = {row[0] for row in await bus.db.pool.fetch("select id from log")}
            if seen and any(i < max(seen) for i in rows - seen):
                stepped_over.append(rows - seen)
            seen |= rows

    async def appender() -> None:
        for _ in range(25):
            async with bus.db.transaction() as tx:
                await append(tx, [a_record() for _ in range(5)])
                await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(appender() for _ in range(4)))
    done.set()
    await watching
    assert stepped_over == []
    assert await bus.db.pool.fetchval("select count(*) from log") == 500
    assert await bus.db.pool.fetchval("select next_id from log_head") == 501


async def test_a_poll_takes_lanes_in_order_and_is_bounded_by_rows_and_bytes(bus, monkeypatch):
    monkeypatch.setattr(readers, "MAX_BYTES", 2_000_000)
    await bus.producer().publish([a_record(lane=lane, key=str(n)) for n in range(10) for lane in (2, 1, 0)])
    reader = await reader_of(bus)
    lanes = []
    while batch := await reader.poll(7, 0):
        assert len(batch) <= 7
        lanes += [one.record.lane for one in batch]
    assert lanes == [0] * 10 + [1] * 10 + [2] * 10
    await bus.producer().publish([a_record(key=str(n), payload="x" * 900_000) for n in range(7)])
    sizes = []
    ids = set()
    while batch := await reader.poll(100, 0):
        sizes.append(len(batch))
        ids |= {one.record.id for one in batch}
    assert sizes == [3, 3, 1]
    assert len(ids) == 7
    await reader.close()


async def test_a_reader_passes_over_foreign_topics_and_says_how_far(bus):
    reader = await reader_of(bus)
    await bus.producer().publish([a_record("list.changed", str(n)) for n in range(100)])
    assert await reader.poll(10, 0) == []
    assert set(reader.positions().values()) == {101}
    await bus.producer().publish([a_record(key="k")])
    assert [one.offset for one in await reader.poll(10, 0)] == [101]
    await reader.close()


async def test_an_append_wakes_the_reader_and_only_for_its_topics(bus):
    reader = await reader_of(bus)
    await asyncio.sleep(0.3)
    took = []
    for _ in range(3):  # the best of them: a busy machine may stand still for one
        polling = asyncio.create_task(reader.poll(10, 5))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await bus.producer().publish([a_record()])
        assert len(await polling) == 1
        took.append(time.monotonic() - started)
    assert min(took) < 0.3
    reader._woken.clear()
    await bus.producer().publish([a_record("list.changed")])
    await asyncio.sleep(0.1)
    assert not reader._woken.is_set()
    await reader.close()


async def test_without_the_wake_up_an_event_waits_at_most_a_second(bus, bus_db):
    reader = await reader_of(bus)
    await asyncio.sleep(0.2)
    await bus.waker.close()
    took = []
    for _ in range(2):
        polling = asyncio.create_task(reader.poll(10, 5))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await bus.producer().publish([a_record()])
        assert len(await polling) == 1
        took.append(time.monotonic() - started)
    assert min(took) < 1.5
    await reader.close()


async def test_personal_rows_leave_after_seven_days_and_the_rest_after_thirty(bus, bus_db):
    owner = await asyncpg.connect(bus_db.owner_url)
    today = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    try:
        for days in (6, 8, 29, 31):
            day = (today - timedelta(days=days)).date()
            await owner.execute(
                f"create table log_{day:%Y%m%d} partition of log for values from ('{day}') "
                f"to ('{day + timedelta(days=1)}')"
            )
            for topic in ("lead.created", "segment.changed"):
                await owner.execute(
                    "insert into log (lane, part, topic, type, source, key, event_id, workspace_id, time, at, payload) "
                    "select 1, 0, $1, $1, 's', 'k', gen_random_uuid(), gen_random_uuid(), $2, $2, '{}' "
                    "from generate_series(1, 3)",
                    topic,
                    today - timedelta(days=days),
                )
        assert await upkeep(bus.db) == 6
        left = await owner.fetch("select topic, at, count(*) from log group by 1, 2 order by 1, 2")
        assert [(row[0], (today - row[1]).days, row[2]) for row in left] == [
            ("lead.created", 6, 3),
            ("segment.changed", 29, 3),
            ("segment.changed", 8, 3),
            ("segment.changed", 6, 3),
        ]
        assert await owner.fetchval("select to_regclass($1)", f"log_{today - timedelta(days=31):%Y%m%d}") is None
        for ahead in range(4):
            assert await owner.fetchval("select to_regclass($1)", f"log_{today + timedelta(days=ahead):%Y%m%d}")
        assert await upkeep(bus.db) == 0
    finally:
        await owner.close()


async def test_lag_is_what_the_groups_told(bus):
    await bus.producer().publish([a_record(key=str(n)) for n in range(40)])
    reader = await reader_of(bus, lease_s=0.3)
    await reader.poll(100, 0)
    reader.committed(dict.fromkeys(reader.positions(), 11))
    await asyncio.sleep(0.4)
    async with bus.db.connection() as connection:
        (found,) = await lag(connection)
    assert (found.group, found.behind) == ("g", 30)
    await reader.close()


async def test_members_beyond_the_partitions_stay_idle_and_nobody_shares_one(bus):
    made = [bus.reader("g", ["segment.changed"], lease_s=0.3) for _ in range(15)]
    for reader in made:
        await reader.assignment()
    deadline = time.monotonic() + 10
    while True:
        shares = [await reader.assignment() for reader in made]
        if sum(map(len, shares)) == len(ALL) and max(map(len, shares)) == 1:
            break
        assert time.monotonic() < deadline, shares
        await asyncio.sleep(0.05)
    assert len(frozenset().union(*shares)) == len(ALL)
    for reader in made:
        await reader.close()
