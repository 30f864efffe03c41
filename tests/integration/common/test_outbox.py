"""The relay on a real outbox, at the moments where a simpler one loses or stalls."""

import asyncio
import time

import asyncpg
import pytest
from common import metrics
from common.bus.postgres import PostgresBus
from common.contracts.leads import SegmentChangedV1
from common.ids import new_id
from common.outbox import relay as relays
from common.outbox.frontier import Frontier
from common.outbox.relay import LANES, RELAY_LOCK, Relay
from common.outbox.writer import Outgoing, record
from prometheus_client import REGISTRY


class Collecting:
    def __init__(self) -> None:
        self.batches: list[list] = []

    async def publish(self, records) -> None:
        self.batches.append(list(records))

    @property
    def ids(self):
        return [one.id for batch in self.batches for one in batch]


def event(workspace_id, key=None, revision=1, name="s", lane=None) -> Outgoing:
    return Outgoing(workspace_id, SegmentChangedV1(segment_id=key or new_id(), name=name, revision=revision), lane=lane)


@pytest.fixture
def one_round(contacts_db):
    """Rounds of one relay, one after the other, on a connection of its own."""
    frontiers = {lane: Frontier() for lane in LANES}

    async def run(producer, **options) -> int:
        async with contacts_db.worker.connection() as connection:
            return await Relay(contacts_db.worker, producer, "contacts", **options).round(connection, frontiers)

    run.frontiers = frontiers
    return run


async def test_an_event_committed_after_higher_ids_were_published_is_published(contacts_db, workspace_id, one_round):
    producer = Collecting()
    early, late = event(workspace_id), event(workspace_id)
    async with contacts_db.worker.transaction() as slow:
        await record(slow, [late])
        async with contacts_db.worker.transaction() as tx:
            await record(tx, [early])
        assert await one_round(producer) == 1
        assert await one_round(producer) == 0
        assert one_round.frontiers[1].gaps
    assert await one_round(producer) == 1
    assert producer.ids == [early.id, late.id]
    for _ in range(3):
        await one_round(producer)
    assert not one_round.frontiers[1].gaps


async def test_a_writer_that_has_drawn_its_id_but_has_no_transaction_id_yet_is_waited_for(
    contacts_db, workspace_id, one_round
):
    """The moment between nextval and the row: no snapshot shows this transaction, the table's lock does."""
    producer = Collecting()
    async with contacts_db.worker.transaction() as frozen:
        await frozen.execute("lock table outbox in row exclusive mode")
        drawn = await frozen.fetchval("select nextval(pg_get_serial_sequence('outbox', 'id'))")
        async with contacts_db.worker.transaction() as tx:
            await record(tx, [event(workspace_id)])
        for _ in range(5):
            await one_round(producer)
        last = new_id()
        await frozen.execute(
            "insert into outbox (id, lane, topic, type, key, event_id, workspace_id, payload) overriding system value "
            "values ($1, 1, 'segment.changed', 'segment.changed.v1', 'k', $2, $3, '{}')",
            drawn,
            last,
            workspace_id,
        )
    await one_round(producer)
    assert last in producer.ids


async def test_lanes_go_strictly_by_priority(contacts_db, workspace_id, one_round):
    producer = Collecting()
    async with contacts_db.worker.transaction() as tx:
        await record(tx, [event(workspace_id, lane=lane) for lane in (2, 1, 0, 2, 1, 0)])
    while await one_round(producer, batch=2):
        pass
    assert [[one.lane for one in batch] for batch in producer.batches] == [[0, 0], [1, 1], [2, 2]]


async def test_large_events_go_in_batches_bounded_by_bytes(contacts_db, workspace_id, one_round, monkeypatch):
    monkeypatch.setattr(relays, "MAX_BYTES", 1_000_000)
    producer = Collecting()
    async with contacts_db.worker.transaction() as tx:
        await record(tx, [event(workspace_id, name="x" * 400_000) for _ in range(7)])
    while await one_round(producer):
        pass
    assert [len(batch) for batch in producer.batches] == [3, 3, 1]
    assert len(set(producer.ids)) == 7


async def test_deleted_rows_are_not_read_again_while_an_old_snapshot_keeps_them(contacts_db, workspace_id):
    """With an old snapshot open the dead rows stay; the pages one round touches must not grow with them."""
    producer = Collecting()
    frontiers = {lane: Frontier() for lane in LANES}
    relay = Relay(contacts_db.worker, producer, "contacts", batch=2000)
    old = await asyncpg.connect(contacts_db.worker_url)
    writer = await asyncpg.connect(contacts_db.worker_url)
    try:
        await old.execute("begin isolation level repeatable read; select count(*) from outbox")
        await writer.execute("begin; create temp table held (a int)")
        async with contacts_db.worker.connection() as connection:
            await connection.execute("set enable_seqscan = off; set enable_bitmapscan = off")
            for _ in range(6):
                async with contacts_db.worker.transaction() as tx:
                    await record(tx, [event(workspace_id) for _ in range(2000)])
                assert await relay.round(connection, frontiers) == 2000
            lanes, firsts, lasts = [], [], []
            for lane, frontier in frontiers.items():
                a, b = frontier.ranges()
                lanes, firsts, lasts = lanes + [lane] * len(a), firsts + a, lasts + b
            plan = await connection.fetchval(
                f"explain (analyze, buffers, format json) {relays._READ}", lanes, firsts, lasts, 2000, 1_000_000
            )
            await connection.execute("reset all")
        buffers = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
        assert await contacts_db.worker.pool.fetchval("select count(*) from outbox") == 0
        assert buffers < 40, buffers
    finally:
        await old.close()
        await writer.close()


async def test_only_one_of_two_relays_is_active(contacts_db, workspace_id):
    first, second = Collecting(), Collecting()
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(Relay(contacts_db.worker, producer, "contacts").run(stop)) for producer in (first, second)
    ]
    for _ in range(30):
        async with contacts_db.worker.transaction() as tx:
            await record(tx, [event(workspace_id)])
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    stop.set()
    await asyncio.gather(*tasks)
    assert sorted((len(first.ids), len(second.ids))) == [0, 30]


async def shows(metric: str, wanted: float | None, **labels: str) -> None:
    async with asyncio.timeout(10):
        while REGISTRY.get_sample_value(metric, labels) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_relay_that_stands_by_says_nothing_of_an_age_it_cannot_know(contacts_db):
    name = f"r{new_id().hex}"
    metrics.OUTBOX_AGE.labels(name).set(7)  # from when it was the active one
    stop = asyncio.Event()
    async with contacts_db.worker.connection() as other:
        assert await other.fetchval("select pg_try_advisory_lock($1)", RELAY_LOCK)
        relay = asyncio.create_task(Relay(contacts_db.worker, Collecting(), name).run(stop))
        await shows("barid_outbox_age_seconds", None, service=name)
        await shows("barid_outbox_relay_active", 0, service=name)
        await other.execute("select pg_advisory_unlock_all()")
    await shows("barid_outbox_relay_active", 1, service=name)
    await shows("barid_outbox_age_seconds", 0, service=name)
    await shows("barid_dead_letters", 0, consumer=f"{name}.relay")
    stop.set()
    await relay


async def test_an_idle_relay_notices_an_event_within_a_tenth_of_a_second(contacts_db, workspace_id):
    producer = Collecting()
    stop = asyncio.Event()
    task = asyncio.create_task(Relay(contacts_db.worker, producer, "contacts").run(stop))
    waits = []
    for n in range(5):
        await asyncio.sleep(0.1)
        async with contacts_db.worker.transaction() as tx:
            await record(tx, [event(workspace_id)])
        started = time.monotonic()
        while len(producer.ids) <= n:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        waits.append(time.monotonic() - started)
    stop.set()
    await task
    assert min(waits) < 0.05
    assert max(waits) < 0.5


async def test_with_the_bus_down_events_wait_and_go_out_when_it_is_back(contacts_db, bus_db, workspace_id):
    events = [event(workspace_id) for _ in range(20)]
    bus = await PostgresBus.open(bus_db.worker_url)
    away = asyncio.Event()

    class Away:
        async def publish(self, records) -> None:
            if not away.is_set():
                raise ConnectionRefusedError("the bus is down")
            await bus.producer().publish(records)

    stop = asyncio.Event()
    task = asyncio.create_task(Relay(contacts_db.worker, Away(), "contacts").run(stop))
    async with contacts_db.worker.transaction() as tx:
        await record(tx, events)
    await asyncio.sleep(0.3)
    assert await contacts_db.worker.pool.fetchval("select count(*) from outbox") == 20
    away.set()
    for _ in range(500):
        if await bus.db.pool.fetchval("select count(*) from log") == 20:
            break
        await asyncio.sleep(0.02)
    stop.set()
    await task
    assert await bus.db.pool.fetchval("select count(distinct event_id) from log") == 20
    await bus.close()
