"""kill -9 of relay and consumer at random moments, while four writers write: nothing lost, nothing done twice."""

import asyncio
import os
import random
import signal
import sys
import textwrap
import time

from common.contracts.leads import SegmentChangedV1
from common.db.pool import Database
from common.ids import new_id
from common.outbox.writer import Outgoing, record

PROCESS = textwrap.dedent(
    """
    import asyncio, sys
    from common.bus.postgres import PostgresBus
    from common.consumer.runner import Runner
    from common.consumer.subscription import Consumer, Subscription
    from common.contracts.leads import SegmentChangedV1
    from common.db.pool import Database
    from common.outbox.relay import Relay

    async def store(tx, events):
        await tx.execute("insert into seen (event_id, key, n) select * from unnest($1::uuid[], $2::text[], $3::int[])",
            [e.id for e in events], [e.key for e in events], [e.data.revision for e in events])

    async def main(what, url, bus_url):
        db = await Database.open(url, name=what)
        bus = await PostgresBus.open(bus_url)
        stop = asyncio.Event()
        if what == "relay":
            await Relay(db, bus.producer(), "contacts", batch=20).run(stop)
        consumer = Consumer("campaigns.main", (Subscription(SegmentChangedV1, store),), max_batch=25)
        await Runner(consumer, db, bus.reader(consumer.name, ["segment.changed"], lease_s=0.5)).run(stop)

    asyncio.run(main(*sys.argv[1:]))
    """
)


async def test_killed_relays_and_consumers_lose_nothing_and_repeat_nothing(contacts_db, bus_db, workspace_id):
    chance = random.Random(11)
    db: Database = contacts_db.worker
    async with db.connection() as connection:
        await connection.execute(
            "create table seen (place bigint generated always as identity, event_id uuid, key text, n int)"
        )

    async def start(what: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROCESS,
            what,
            contacts_db.worker_url,
            bus_db.worker_url,
            stdout=-3,
            env={**os.environ},
        )

    written: list[Outgoing] = []
    until = time.monotonic() + 5

    async def writer() -> None:
        key, n = new_id(), 0
        while time.monotonic() < until:
            events = [
                Outgoing(workspace_id, SegmentChangedV1(segment_id=key, name="s", revision=n + i + 1)) for i in range(3)
            ]
            n += 3
            async with db.transaction() as tx:
                await record(tx, events)
                await asyncio.sleep(chance.random() * 0.02)
            written.extend(events)

    processes = {what: await start(what) for what in ("relay", "consumer")}
    kills = 0
    try:
        writing = asyncio.gather(*(writer() for _ in range(4)))
        while time.monotonic() < until:
            await asyncio.sleep(0.5 + chance.random() * 0.5)
            what = chance.choice(sorted(processes))
            processes[what].send_signal(signal.SIGKILL)
            await processes[what].wait()
            kills += 1
            processes[what] = await start(what)
        await writing
        deadline = time.monotonic() + 20
        while await db.pool.fetchval("select count(*) from seen") < len(written):
            assert time.monotonic() < deadline, "events are missing"
            await asyncio.sleep(0.05)
    finally:
        for process in processes.values():
            process.kill()
            await process.wait()
    rows = await db.pool.fetch("select event_id, key, n from seen order by place")
    assert kills >= 4
    assert len(written) > 300
    assert sorted(row["event_id"] for row in rows) == sorted(event.id for event in written)
    last: dict[str, int] = {}
    for row in rows:
        assert row["n"] == last.get(row["key"], 0) + 1
        last[row["key"]] = row["n"]
