"""The runner's own matters: traces, restarts, what it remembers, how the process ends."""

import asyncio
import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from common.bus.postgres import PostgresBus
from common.bus.postgres.append import append
from common.consumer import inbox
from common.consumer.decode import topics
from common.consumer.limit import DeadLetterLimit, TooManyDeadLetters
from common.consumer.runner import Runner
from common.consumer.subscription import Consumer, Subscription
from common.contracts.leads import ListChangedV1, SegmentChangedV1
from common.db.faults import passes
from common.ids import new_id
from common.outbox.writer import Outgoing, record
from common.testing import deliver, deliver_shuffled, doubled_and_permuted, outbox_events
from common.testing.deliver import as_record


def segment(workspace_id, key=None, revision=1, **more) -> Outgoing:
    return Outgoing(
        workspace_id, SegmentChangedV1(segment_id=key or new_id(), name=f"r{revision}", revision=revision), **more
    )


@pytest.fixture
async def bus(bus_db):
    made = await PostgresBus.open(bus_db.worker_url)
    yield made
    await made.close()


def forwarding(name: str = "campaigns.main") -> Consumer:
    """A consumer that publishes a list for each segment."""

    async def forward(tx, events) -> None:
        await record(
            tx,
            [Outgoing(event.workspace_id, ListChangedV1(list_id=new_id(), name="l", revision=1)) for event in events],
        )

    return Consumer(name, (Subscription(SegmentChangedV1, forward),))


async def step(bus, db, consumer) -> int:
    reader = bus.reader(consumer.name, topics(consumer))
    try:
        return await Runner(consumer, db, reader).step()
    finally:
        await reader.close()


TRACE = "00-{:032x}-00000000000000aa-01"


async def test_what_a_single_event_causes_carries_its_trace(bus, contacts_db, workspace_id):
    caused = as_record(segment(workspace_id, traceparent=TRACE.format(7)))
    await bus.producer().publish([caused])
    await step(bus, contacts_db.worker, forwarding())
    (published,) = await outbox_events(contacts_db.worker)
    assert published.traceparent.split("-")[1] == f"{7:032x}"


async def test_what_a_batch_causes_shares_one_new_trace(bus, contacts_db, workspace_id):
    await bus.producer().publish([as_record(segment(workspace_id, traceparent=TRACE.format(n))) for n in range(1, 41)])
    assert await step(bus, contacts_db.worker, forwarding()) == 40
    traces = {event.traceparent.split("-")[1] for event in await outbox_events(contacts_db.worker)}
    assert len(traces) == 1
    assert not traces & {f"{n:032x}" for n in range(41)}


def test_a_batch_span_links_to_at_most_32_sampled_traces():
    """In a process of its own: a tracer provider is set once."""
    program = textwrap.dedent(
        """
        from datetime import UTC, datetime
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from common.bus.port import Polled
        from common.consumer.tracing import process_span
        from common.contracts.envelope import Record
        from common.ids import new_id

        seen = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(seen))
        trace.set_tracer_provider(provider)
        def one(n, flags):
            context = f"00-{n:032x}-00000000000000aa-{flags}"
            return Polled(Record(new_id(), "t", "t", "s", new_id(), datetime.now(UTC), "k", "{}", 1, context), "s", n)
        many = [one(n, "01") for n in range(1, 50)] + [one(n, "00") for n in range(90, 95)]
        with process_span("campaigns.main", many):
            pass
        with process_span("campaigns.main", [one(5, "01")]):
            pass
        batch, alone = seen.get_finished_spans()
        assert len(batch.links) == 32, batch.links
        assert all(link.context.trace_flags.sampled for link in batch.links)
        assert batch.parent is None
        assert (alone.context.trace_id, len(alone.links)) == (5, 0)
        assert batch.name == "process campaigns.main"
        assert batch.attributes["messaging.batch.message_count"] == 54
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


async def test_a_restarted_consumer_begins_where_its_own_database_says(bus, contacts_db, workspace_id):
    """A database restored from a backup reads on from its own past, whatever the bus shows."""
    await bus.producer().publish([as_record(segment(workspace_id)) for _ in range(10)])
    assert await step(bus, contacts_db.worker, forwarding()) == 10
    async with contacts_db.worker.transaction() as tx:
        await tx.execute("update consumer_offsets set next_offset = 0; delete from inbox; delete from outbox")
    assert await step(bus, contacts_db.worker, forwarding()) == 10
    assert len(await outbox_events(contacts_db.worker)) == 10


async def test_how_far_a_consumer_passed_over_foreign_topics_is_kept(bus, contacts_db, workspace_id, monkeypatch):
    monkeypatch.setattr("common.consumer.runner.SKIPPED_EVERY_S", -1.0)
    monkeypatch.setattr("common.consumer.runner.POLL_S", 0.05)
    foreign = [Outgoing(workspace_id, ListChangedV1(list_id=new_id(), name="l", revision=1)) for _ in range(30)]
    await bus.producer().publish([as_record(event) for event in foreign])
    await step(bus, contacts_db.worker, forwarding())
    offsets = await contacts_db.worker.pool.fetch("select distinct next_offset from consumer_offsets")
    assert [row[0] for row in offsets] == [31]


async def test_restarts_do_not_hide_that_too_much_dies(contacts_db, bus, workspace_id):
    async def fail(tx, events) -> None:
        raise ValueError("no")

    consumer = Consumer("campaigns.main", (Subscription(SegmentChangedV1, fail),))
    await bus.producer().publish([as_record(segment(workspace_id)) for _ in range(12)])
    for buried in (5, 5):
        reader = bus.reader(consumer.name, topics(consumer))
        runner = Runner(consumer, contacts_db.worker, reader, limit=DeadLetterLimit(consumer.name, most=5, window=50))
        with pytest.raises(TooManyDeadLetters):
            await asyncio.wait_for(runner.run(asyncio.Event()), 20)
        await reader.close()
        assert await contacts_db.worker.pool.fetchval("select count(*) from dead_letters") == buried


def test_the_limit_forgets_what_is_long_past():
    limit = DeadLetterLimit("a", most=3, window=10)
    for _ in range(20):
        limit.check(1)
        limit.count(0, 1)
        limit.count(9, 0)
    limit.count(0, 3)
    with pytest.raises(TooManyDeadLetters, match="4 of the last 10"):
        limit.check(1, "ValueError: x")


def test_misuse_of_the_driver_never_passes_by_itself():
    assert passes(asyncpg.InterfaceError("connection is closed"))
    assert passes(asyncpg.ConnectionDoesNotExistError("gone"))
    assert not passes(asyncpg.InterfaceError("the server expects 2 arguments for this query, 1 was passed"))
    assert not passes(asyncpg.UniqueViolationError("twice"))
    assert not passes(ValueError())


async def test_the_inbox_keeps_days_apart_and_drops_old_ones(contacts_db, workspace_id):
    today = datetime.now(UTC)
    owner = await asyncpg.connect(contacts_db.owner_url)
    try:
        for days in (32, 33):
            day = (today - timedelta(days=days)).date()
            await owner.execute(
                f"create table inbox_{day:%Y%m%d} partition of inbox for values from ('{day}') "
                f"to ('{day + timedelta(days=1)}')"
            )
    finally:
        await owner.close()
    fresh, old, ancient = (segment(workspace_id, time=today - timedelta(days=days)) for days in (0, 20, 40))
    consumer = forwarding()
    assert await deliver(contacts_db.worker, consumer, [fresh, old, ancient]) == 3
    assert await deliver(contacts_db.worker, consumer, [fresh, old, ancient]) == 0
    places = "select tableoid::regclass::text from inbox order by day desc"
    assert [row[0] for row in await contacts_db.worker.pool.fetch(places)] == [
        f"inbox_{today:%Y%m%d}",
        "inbox_other",
        "inbox_other",
    ]
    await inbox.upkeep(contacts_db.worker)
    assert len(await contacts_db.worker.pool.fetch(places)) == 2
    left = await contacts_db.worker.pool.fetchval(
        "select count(*) from pg_class where relname ~ '^inbox_2' and relkind = 'r' and relname < $1",
        f"inbox_{today - timedelta(days=31):%Y%m%d}",
    )
    assert left == 0


@pytest.mark.parametrize("seed", range(5))
async def test_doubled_and_permuted_events_leave_the_same_state(contacts_db, workspace_id, seed):
    async with contacts_db.worker.transaction() as tx:
        await tx.execute("create table state (key text primary key, revision int, name text)")

    async def keep(tx, events) -> None:
        newest = {event.key: event for event in events}
        await tx.execute(
            "insert into state select * from unnest($1::text[], $2::int[], $3::text[]) on conflict (key) do update "
            "set revision = excluded.revision, name = excluded.name where excluded.revision > state.revision",
            list(newest),
            [event.data.revision for event in newest.values()],
            [event.data.name for event in newest.values()],
        )

    consumer = Consumer("campaigns.main", (Subscription(SegmentChangedV1, keep, keyed_by_event=True),))
    keys = [new_id() for _ in range(5)]
    events = [segment(workspace_id, key, revision) for revision in range(1, 9) for key in keys]
    shuffled = doubled_and_permuted(events, seed)
    assert len(shuffled) == 2 * len(events)
    assert [e.id for e in shuffled[:40]] != [e.id for e in events]
    for key in keys:
        own = [event.data.revision for event in shuffled if event.data.segment_id == key]
        assert list(dict.fromkeys(own)) == list(range(1, 9))
    await deliver_shuffled(contacts_db.worker, consumer, events, seed)
    rows = await contacts_db.worker.pool.fetch("select revision, name from state")
    assert [tuple(row) for row in rows] == [(8, "r8")] * 5


PROCESS = textwrap.dedent(
    """
    import asyncio
    from pydantic_settings import SettingsConfigDict
    from common.consumer.process import run_consumers
    from common.consumer.subscription import Consumer, Subscription
    from common.contracts.leads import SegmentChangedV1
    from common.db.pool import Database
    from common.process import dispatch
    from common.settings import ServiceSettings

    class Settings(ServiceSettings):
        model_config = SettingsConfigDict(env_prefix="CONTACTS_")

    async def fail(tx, events):
        raise ValueError("a bad deploy")

    async def worker(settings, stop, only: str | None = None):
        db = await Database.open(settings.require_url("worker"), name="worker")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                run_consumers([Consumer("campaigns.main", (Subscription(SegmentChangedV1, fail),))], db, settings, stop)
            )

    dispatch("demo", Settings, {"worker": worker}, guarded=False)
    """
)


async def test_a_process_whose_events_die_ends_with_a_failure_and_one_clear_line(
    bus, bus_db, contacts_db, workspace_id, service_env, tmp_path
):
    async with bus.db.transaction() as tx:
        await append(tx, [as_record(segment(workspace_id)) for _ in range(150)])
    service_env("contacts", contacts_db, BUS_DATABASE_URL=bus_db.worker_url)
    program = tmp_path / "demo.py"
    program.write_text(PROCESS)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), "worker", stdout=-1, stderr=-1, env={**os.environ}
    )
    _, err = await asyncio.wait_for(process.communicate(), 60)
    last = err.decode().strip().splitlines()[-1]
    assert process.returncode == 1, err.decode()
    assert "campaigns.main stops: 101 of the last 1000 events could not be handled" in last
    assert "ValueError: a bad deploy" in last
    assert "Traceback" not in err.decode()
    assert await contacts_db.worker.pool.fetchval("select count(*) from dead_letters") == 100
