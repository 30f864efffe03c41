"""What a consumer and the jobs tell of themselves, on a real log."""

import asyncio
import time

import pytest
import pytest_asyncio
from common.bus.postgres import PostgresBus
from common.consumer.decode import topics
from common.consumer.runner import Runner
from common.consumer.subscription import Consumer, Subscription
from common.contracts.leads import ListChangedV1, SegmentChangedV1
from common.ids import new_id
from common.jobs import JobKind, enqueue, run_jobs
from common.jobs.backlog import backlog
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record
from prometheus_client import REGISTRY


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def until(holds, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def bus(bus_db):
    opened = await PostgresBus.open(bus_db.worker_url)
    yield opened
    await opened.close()


@pytest.fixture
def name() -> str:
    """A consumer of its own: the registry is the process's."""
    return f"contacts.m{new_id().hex}"


def segment(workspace_id) -> Outgoing:
    return Outgoing(workspace_id, SegmentChangedV1(segment_id=new_id(), name="s", revision=1))


async def test_lag_age_and_dead_letters_of_a_consumer(contacts_db, bus, workspace_id, name, monkeypatch) -> None:
    monkeypatch.setattr("common.consumer.meter.EVERY_S", 0.05)
    monkeypatch.setattr("common.consumer.runner.POLL_S", 0.1)
    go = asyncio.Event()

    async def handle(tx, events) -> None:
        await go.wait()
        if any(event.data.name == "bad" for event in events):
            raise ValueError("no")

    consumer = Consumer(name, (Subscription(SegmentChangedV1, handle),), max_batch=10)
    reader, stop = bus.reader(name, topics(consumer)), asyncio.Event()
    running = asyncio.create_task(Runner(consumer, contacts_db.worker, reader).run(stop))
    await until(lambda: value("barid_consumer_partitions", consumer=name) == 12)
    await until(lambda: value("barid_consumer_lag_events", consumer=name) == 0)

    await bus.producer().publish([as_record(segment(workspace_id)) for _ in range(30)])
    await until(lambda: (value("barid_consumer_lag_events", consumer=name) or 0) >= 30)  # the batch at hand counts
    age = value("barid_consumer_oldest_event_age_seconds", consumer=name)
    await asyncio.sleep(0.2)
    assert value("barid_consumer_oldest_event_age_seconds", consumer=name) > age + 0.1, "it grows while a batch hangs"

    go.set()
    await until(lambda: value("barid_consumer_lag_events", consumer=name) == 0)
    await until(lambda: value("barid_consumer_oldest_event_age_seconds", consumer=name) == 0)
    assert value("barid_consumer_event_seconds_count", consumer=name) >= 3
    assert value("barid_consumer_events_total", consumer=name, outcome="handled") == 30
    assert value("barid_dead_letters", consumer=name) == 0

    bad = Outgoing(workspace_id, SegmentChangedV1(segment_id=new_id(), name="bad", revision=1))
    await bus.producer().publish([as_record(bad)])
    await until(lambda: value("barid_dead_letters", consumer=name) == 1)
    await until(lambda: value("barid_consumer_lag_events", consumer=name) == 0)

    # What is not subscribed is passed over, and is no lag.
    foreign = Outgoing(workspace_id, ListChangedV1(list_id=new_id(), name="l", revision=1))
    await bus.producer().publish([as_record(foreign)])
    await asyncio.sleep(0.4)
    await until(lambda: value("barid_consumer_lag_events", consumer=name) == 0)
    stop.set()
    await running
    await reader.close()


async def test_a_batch_that_is_rolled_back_again_and_again_is_still_behind(
    contacts_db, bus, workspace_id, name, monkeypatch
) -> None:
    monkeypatch.setattr("common.consumer.meter.EVERY_S", 0.02)

    async def lock(tx, events) -> None:
        raise ConnectionResetError

    consumer = Consumer(name, (Subscription(SegmentChangedV1, lock),))
    await bus.producer().publish([as_record(segment(workspace_id)) for _ in range(5)])
    reader, stop = bus.reader(name, topics(consumer)), asyncio.Event()
    running = asyncio.create_task(Runner(consumer, contacts_db.worker, reader).run(stop))
    await until(lambda: (value("barid_consumer_retries_total", consumer=name, why="transient") or 0) >= 2)
    assert value("barid_consumer_lag_events", consumer=name) >= 5
    assert value("barid_consumer_oldest_event_age_seconds", consumer=name) > 0
    stop.set()
    await running
    await reader.close()


async def test_jobs_that_wait_and_a_lease_that_ran_out(contacts_db) -> None:
    db, kind = contacts_db.worker, f"k{new_id().hex}"
    async with db.transaction() as tx:
        first = await enqueue(tx, kind, {})
        await enqueue(tx, kind, {}, workspace_id=new_id())
        await tx.execute("update jobs set run_at = now() - interval '90 seconds' where id = $1", first)
    await backlog("test", [kind, "idle"])(db)
    assert value("barid_jobs_waiting", service="test", kind=kind) == 2
    assert 89 < value("barid_jobs_oldest_age_seconds", service="test", kind=kind) < 120
    assert value("barid_jobs_waiting", service="test", kind="idle") == 0

    # One was begun by a process that is gone.
    async with db.transaction() as tx:
        await tx.execute(
            "update jobs set state = 'running', lease_until = now() - interval '3 seconds' where id = $1", first
        )
    await backlog("test", [kind])(db)
    assert 2 < value("barid_jobs_oldest_age_seconds", service="test", kind=kind) < 30
    before = value("barid_leases_expired_total", kind="job") or 0

    async def run(ctx) -> None:
        """Done at once."""

    stop = asyncio.Event()
    task = asyncio.create_task(run_jobs(db, [JobKind(kind, run)], (), stop, service="test"))
    await until(lambda: value("barid_jobs_finished_total", service="test", kind=kind, outcome="completed") == 2)
    stop.set()
    await task
    assert value("barid_leases_expired_total", kind="job") == before + 1
    await backlog("test", [kind])(db)
    assert value("barid_jobs_waiting", service="test", kind=kind) == 0
