"""What an urgent event waits for behind an import: outbox → relay → bus → `analytics worker` → its database.

The value is the worst of the waits, from its commit to the commit of its effect. Floor: the second that no lane may
wait for a lower one, so a ratio below 1 keeps the promise.
"""

import asyncio
import time

from common.bus.kafka import KafkaOptions
from common.bus.port import Producer
from common.bus.postgres import PostgresBus
from common.contracts.campaigns import CampaignStateV1
from common.contracts.leads import ConsentChangedV1
from common.ids import new_id
from common.outbox.relay import Relay
from common.outbox.writer import Outgoing, record
from common.testing.deliver import as_record

from tests.fixtures.databases import ServiceDatabase
from tests.load.figures import Figure
from tests.load.relay import fill
from tests.load.server import database
from tests.load.workers import until, worker

BACKLOG = 400_000
URGENT = 20
PROMISED_S = 1.0


async def run() -> list[Figure]:
    """Over the log in PostgreSQL."""
    async with database("bus") as bus_db:
        bus = await PostgresBus.open(bus_db.worker_url)
        try:
            return [await measured("lane_wait", bus.producer(), bus_db.worker_url)]
        finally:
            await bus.close()


async def measured(name: str, producer: Producer, bus: KafkaOptions | str) -> Figure:
    """Urgent events, one after the other, while the import's consents are being worked off."""
    async with database("contacts") as contacts, database("analytics") as analytics:
        workspace, purpose = new_id(), new_id()
        imported = [
            Outgoing(
                workspace,
                ConsentChangedV1(contact_id=new_id(), purpose_id=purpose, status="subscribed", revision=1),
                lane=2,
            )
            for _ in range(BACKLOG)
        ]
        await fill(contacts.worker, [as_record(event) for event in imported])
        stop = asyncio.Event()
        async with worker(analytics, bus, "ingest"), analytics.worker.connection() as watching:
            relay = asyncio.create_task(Relay(contacts.worker, producer, "contacts").run(stop))
            try:
                await until(watching, "select exists (select from consents)")
                await wait_of_one(contacts, analytics)  # by now the readers of all lanes have joined
                waits = [await wait_of_one(contacts, analytics) for _ in range(URGENT)]
                done = await watching.fetchval("select count(*) from consents")
            finally:
                stop.set()
                await relay
    if done >= BACKLOG:
        raise AssertionError("the backlog was worked off before the last urgent event was written")
    return Figure(name, max(waits), "s worst", URGENT, round(sum(waits), 3), PROMISED_S)


async def wait_of_one(contacts: ServiceDatabase, analytics: ServiceDatabase) -> float:
    """Seconds from the commit of a campaign's new state to the commit of its effect."""
    told = Outgoing(new_id(), CampaignStateV1(campaign_id=new_id(), state="paused", revision=1))
    started = time.perf_counter()
    async with contacts.worker.transaction() as tx:
        await record(tx, [told])
    async with analytics.worker.connection() as watching:
        while not await watching.fetchval(  # noqa: ASYNC110
            "select exists (select from campaigns where campaign_id = $1)", told.data.campaign_id
        ):
            await asyncio.sleep(0.005)
    return time.perf_counter() - started
