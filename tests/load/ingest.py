"""Bus → facts, statuses, touches and reports; and bus → scores. Floor: the same facts by one bare INSERT a batch."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta

from analytics.consumers.subscriptions import ingest, scoring
from analytics.db import facts
from analytics.use_cases.scoring import BATCH, score_due_contacts
from common.bus.port import Reader
from common.bus.postgres import PostgresBus
from common.bus.postgres.append import append
from common.consumer.decode import topics
from common.consumer.runner import Runner
from common.consumer.subscription import Consumer
from common.contracts.email import EmailClickedV1, EmailOpenedV1, EmailSentV1
from common.contracts.envelope import Received
from common.db.pool import Database
from common.ids import new_id
from common.memory import settle
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record

from tests.load.figures import Figure
from tests.load.server import database

MESSAGES = 40_000
STEP = 2000


async def run() -> list[Figure]:
    """One consumer of each kind, each on a full bus."""
    events = campaign_events(MESSAGES)
    touched = [event for event in events if not isinstance(event.data, EmailSentV1)]
    settle()  # as every process does when it is loaded: what is prepared here is not its own
    async with database("analytics") as analytics, database("bus") as bus_db:
        bus = await PostgresBus.open(bus_db.worker_url)
        try:
            floor = await bare_inserts(analytics.worker, events)
            for start in range(0, len(events), STEP):
                async with bus.db.transaction() as tx:
                    await append(tx, [as_record(event) for event in events[start : start + STEP]])
            ingested = await consume(reader_of(bus, ingest()), analytics.worker, ingest(), "facts", len(events))
            started = time.perf_counter()
            await consume(reader_of(bus, scoring(0)), analytics.worker, scoring(0), "score_events", len(touched))
            await score_all(analytics.worker)
            scored = time.perf_counter() - started
        finally:
            await bus.close()
    return [
        Figure("ingest", len(events) / ingested, "events/s", len(events), round(ingested, 3), floor),
        Figure("scoring", len(touched) / scored, "events/s", len(touched), round(scored, 3)),
    ]


def campaign_events(messages: int) -> list[Outgoing]:
    """A campaign's facts: everyone got it, half opened, a fifth clicked, a tenth of those at once: machines."""
    chance = random.Random(1)
    workspace, campaign, purpose = new_id(), new_id(), new_id()
    now = datetime.now(UTC)
    found: list[Outgoing] = []
    for _ in range(messages):
        about = {
            "message_id": new_id(), "kind": "campaign", "contact_id": new_id(), "campaign_id": campaign,
            "purpose_id": purpose, "variant_id": "fa",
        }  # fmt: skip
        sent = EmailSentV1(**about, attempt=1, revision=2, provider="other")
        found.append(Outgoing(workspace, sent, time=now - timedelta(hours=1)))
        if chance.random() < 0.5:
            found.append(Outgoing(workspace, EmailOpenedV1(**about)))
        if chance.random() < 0.2:
            clicked = EmailClickedV1(**about, link=chance.randrange(5), url="https://x.example/")
            at_once = chance.random() < 0.1
            found.append(Outgoing(workspace, clicked, time=now - timedelta(hours=1) if at_once else now))
    chance.shuffle(found)
    return found


async def bare_inserts(db: Database, events: list[Outgoing]) -> float:
    """Events a second when the facts are only stored, in batches; nothing is decoded or counted."""
    batches: list[tuple[str, list[Received[object]]]] = []
    by_type: dict[str, list[Received[object]]] = {}
    for event in events:
        kind = type(event.data).__name__
        by_type.setdefault(kind, []).append(
            Received(event.id, event.workspace_id, event.time, str(event.id), event.data)  # type: ignore[type-var]
        )
    for kind, found in by_type.items():
        batches += [(kind, found[start : start + STEP]) for start in range(0, len(found), STEP)]
    started = time.perf_counter()
    for kind, batch in batches:
        async with db.transaction() as tx:
            await facts.insert_new(tx, kind, batch)  # type: ignore[arg-type]
    rate = len(events) / (time.perf_counter() - started)
    async with db.transaction() as tx:
        await tx.execute("delete from facts")
    return rate


def reader_of(bus: PostgresBus, consumer: Consumer) -> Reader:
    """A member of the consumer's group."""
    return bus.reader(consumer.name, topics(consumer))


async def consume(reader: Reader, db: Database, consumer: Consumer, table: str, wanted: int) -> float:
    """Seconds until the consumer has committed everything on the bus that is for it: rows of a table."""
    stop = asyncio.Event()
    started = time.perf_counter()
    task = asyncio.create_task(Runner(consumer, db, reader).run(stop))
    while True:
        async with db.connection() as connection:
            if await connection.fetchval(f"select count(*) from {table}") >= wanted:
                break
        await asyncio.sleep(0.1)
        if task.done():
            task.result()
    took = time.perf_counter() - started
    stop.set()
    await task
    await reader.close()
    return took


async def score_all(db: Database) -> None:
    """Score everyone who is due, as the scoring worker does."""
    async with db.transaction() as tx:
        await tx.execute("update score_due set due_at = due_at - interval '1 minute'")
    while True:
        async with db.transaction() as tx:
            if await score_due_contacts(tx, datetime.now(UTC)) < BATCH:
                return
