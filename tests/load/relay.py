"""Outbox → relay → log → consumer, with the bus on the same machine. Floor: a bare COPY into the log."""

import asyncio
import time
from uuid import UUID

from common.bus.postgres import PostgresBus
from common.bus.postgres.append import append
from common.consumer.runner import Runner
from common.consumer.subscription import Consumer, Subscription
from common.contracts.email import EmailSentV1, SmtpReply
from common.contracts.envelope import Record
from common.db.pool import Database
from common.ids import new_id
from common.memory import settle
from common.outbox.relay import BATCH, Relay
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record

from tests.load.figures import Figure
from tests.load.server import database

EVENTS = 100_000
TOPIC = "email.sent"


async def run() -> list[Figure]:
    """The relay alone, on a backlog; then everything at once, until the last effect is committed."""
    workspace = new_id()
    events = [as_record(sent(workspace)) for _ in range(EVENTS)]
    settle()  # as every process does when it is loaded: what is prepared here is not its own
    async with database("contacts") as contacts, database("analytics") as analytics, database("bus") as bus_db:
        bus = await PostgresBus.open(bus_db.worker_url)
        try:
            floor = await bare_copy(bus, events)
            alone = await relay_backlog(bus, contacts.worker, events)
            whole = await end_to_end(bus, contacts.worker, analytics.worker, events)
        finally:
            await bus.close()
    return [
        Figure("relay", EVENTS / alone, "events/s", EVENTS, round(alone, 3), floor),
        Figure("relay_to_effect", EVENTS / whole, "events/s", EVENTS, round(whole, 3), floor),
    ]


def sent(workspace: UUID) -> Outgoing:
    """A typical event: about 420 bytes of JSON."""
    return Outgoing(
        workspace,
        EmailSentV1(
            message_id=new_id(),
            kind="campaign",
            contact_id=new_id(),
            campaign_id=workspace,
            purpose_id=workspace,
            attempt=1,
            revision=1,
            provider="example.org",
            smtp=SmtpReply(code=250, enhanced="2.0.0", text="queued"),
        ),
    )


async def bare_copy(bus: PostgresBus, events: list[Record]) -> float:
    """Nothing but the appends: the same rows, in batches of the relay's size, under the lock."""
    started = time.perf_counter()
    for start in range(0, len(events), BATCH):
        async with bus.db.transaction() as tx:
            await append(tx, events[start : start + BATCH])
    rate = len(events) / (time.perf_counter() - started)
    async with bus.db.transaction() as tx:
        await tx.execute("delete from log")
    return rate


async def fill(db: Database, events: list[Record]) -> None:
    """Put them into the outbox."""
    async with db.transaction() as tx:
        await tx.copy_records_to_table(
            "outbox",
            columns=("lane", "topic", "type", "key", "event_id", "workspace_id", "time", "payload"),
            records=[(e.lane, e.topic, e.type, e.key, e.id, e.workspace_id, e.time, e.payload) for e in events],
        )


async def empty(db: Database) -> None:
    """Wait until the relay has moved everything."""
    while True:
        async with db.connection() as connection:
            if not await connection.fetchval("select exists (select from outbox)"):
                return
        await asyncio.sleep(0.02)


async def relay_backlog(bus: PostgresBus, db: Database, events: list[Record]) -> float:
    """Seconds until a full outbox is on the bus and empty."""
    await fill(db, events)
    stop = asyncio.Event()
    started = time.perf_counter()
    task = asyncio.create_task(Relay(db, bus.producer(), "contacts").run(stop))
    await empty(db)
    took = time.perf_counter() - started
    stop.set()
    await task
    return took


async def end_to_end(bus: PostgresBus, db: Database, other: Database, events: list[Record]) -> float:
    """Seconds until a consumer with a set-based handler, inbox and offsets has committed the last event.

    Relay and consumer share one process, as on one machine.
    """
    async with other.connection() as connection:
        await connection.execute("create table effect (event_id uuid primary key, key text, url text)")
    handled = 0
    done = asyncio.Event()

    async def store(tx, batch) -> None:
        nonlocal handled
        await tx.execute(
            "insert into effect (event_id, key) select * from unnest($1::uuid[], $2::text[]) on conflict do nothing",
            [event.id for event in batch],
            [event.key for event in batch],
        )
        handled += len(batch)
        if handled >= len(events):
            done.set()

    consumer = Consumer("bench.main", (Subscription(EmailSentV1, store),))
    reader = bus.reader(consumer.name, [TOPIC])
    async with bus.db.transaction() as tx:
        await tx.execute("delete from log")
    fresh = [as_record(sent(new_id())) for _ in events]
    await fill(db, fresh)
    stop = asyncio.Event()
    started = time.perf_counter()
    tasks = [
        asyncio.create_task(Relay(db, bus.producer(), "contacts").run(stop)),
        asyncio.create_task(Runner(consumer, other, reader).run(stop)),
    ]
    await done.wait()
    stop.set()
    await asyncio.gather(*tasks)
    took = time.perf_counter() - started
    await reader.close()
    async with other.connection() as connection:
        stored = await connection.fetchval("select count(*) from effect")
    if stored != len(events):
        raise AssertionError(f"{stored} effects of {len(events)} events")
    return took
