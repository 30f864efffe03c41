"""Moving events from a service's outbox to the bus: in order per key, nothing lost, at worst twice."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import structlog

from common import metrics
from common.batch_size import BatchSize
from common.bus.port import Producer
from common.contracts.envelope import Record, too_large
from common.db.pool import TRANSIENT, Connection, Database
from common.outbox.aside import held, letters_of, put_back, set_aside
from common.outbox.frontier import Frontier
from common.outbox.tracing import publish_span

log = structlog.get_logger(__name__)

LANES = (0, 1, 2)
RELAY_LOCK = 7_262_002
BATCH = 5000
MAX_BYTES = 8 * 1024 * 1024
IDLE_S = 0.03
STANDBY_S = 0.5
AGE_EVERY_S = 1.0
_BACKOFF_S = (0.05, 5.0)

# The session belongs to the relay alone. A deletion lost in a crash is a duplicate, so it need not wait for the
# disk; and only the index gives the order, whatever old statistics make the planner think.
_PREPARE = "set synchronous_commit = off; set enable_seqscan = off; set enable_bitmapscan = off; set jit = off"
_RESET = "select pg_advisory_unlock_all(); reset all"
_LOCK = "select pg_try_advisory_lock($1)"
# Lanes in order, stopped at the limit: a lower lane only gets what the higher ones leave.
_READ = """
select * from (
  select o.*, count(*) over () as found,
         sum(octet_length(o.payload)) over (rows between unbounded preceding and current row)
           - octet_length(o.payload) as before
  from (
    select e.* from unnest($1::smallint[], $2::bigint[], $3::bigint[]) as open (lane, first, last)
    cross join lateral (
      select id, lane, topic, type, key, event_id, workspace_id, time, traceparent, payload from outbox
      where outbox.lane = open.lane and outbox.id between open.first and open.last order by outbox.id limit $4
    ) e limit $4
  ) o
) w where before < $5
"""
_DELETE = "delete from outbox where id = any($1::bigint[])"
_WRITERS = """
select virtualtransaction from pg_locks
where locktype = 'relation' and relation = 'outbox'::regclass and mode = 'RowExclusiveLock' and pid <> pg_backend_pid()
  and database = (select oid from pg_database where datname = current_database())
"""
_AGE = """
select extract(epoch from now() - min(time))::float8 from unnest($1::smallint[], $2::bigint[]) as l (lane, high)
cross join lateral (select time from outbox where outbox.lane = l.lane and id > l.high order by id limit 1) oldest
"""


@dataclass(slots=True)
class Relay:
    """One service's relay. Only the process that holds the database's relay lock reads and publishes."""

    db: Database
    producer: Producer
    name: str
    batch: int = BATCH
    idle_s: float = IDLE_S
    size: BatchSize = field(init=False)

    def __post_init__(self) -> None:
        self.size = BatchSize(self.batch)

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped: wait for the lock, relay, begin again after any fault."""
        metrics.OUTBOX_FAILURES.labels(self.name)
        failures = 0
        while not stop.is_set():
            try:
                if await self._hold(stop):
                    failures = 0
                else:
                    # Only who relays knows these now; what was known before is no news.
                    metrics.OUTBOX_AGE.remove(self.name)
                    metrics.DEAD_LETTERS.remove(letters_of(self.name))
                await _pause(stop, STANDBY_S)
            except TRANSIENT as error:
                metrics.OUTBOX_FAILURES.labels(self.name).inc()
                failures += 1
                wait = min(_BACKOFF_S[0] * 2**failures, _BACKOFF_S[1]) * random.uniform(0.5, 1)  # noqa: S311
                log.warning("relay_failed", service=self.name, error=str(error), again_in_s=round(wait, 2))
                await _pause(stop, wait)
            finally:
                metrics.OUTBOX_ACTIVE.labels(self.name).set(0)

    async def _hold(self, stop: asyncio.Event) -> bool:
        """Relay while this connection holds the lock; False when another process does."""
        async with self.db.connection() as connection:
            clean = False
            try:
                if not await connection.fetchval(_LOCK, RELAY_LOCK):
                    clean = True
                    return False
                await connection.execute(_PREPARE)
                metrics.OUTBOX_ACTIVE.labels(self.name).set(1)
                log.info("relay_active", service=self.name)
                await self._relay(connection, stop)
                await connection.execute(_RESET)
                clean = True
                return True
            finally:
                if not clean:
                    # The lock lives as long as the session, and the pool must not hand it to others.
                    # One that was cut off has left the pool already.
                    with contextlib.suppress(asyncpg.InterfaceError):
                        connection.terminate()

    async def _relay(self, connection: Connection, stop: asyncio.Event) -> None:
        frontiers = {lane: Frontier() for lane in LANES}
        age_due = 0.0
        while not stop.is_set():
            if time.monotonic() >= age_due:
                age = await connection.fetchval(_AGE, list(LANES), [frontiers[lane].high for lane in LANES])
                metrics.OUTBOX_AGE.labels(self.name).set(age or 0.0)
                age_due = time.monotonic() + AGE_EVERY_S
                await put_back(connection, self.name)
                metrics.DEAD_LETTERS.labels(letters_of(self.name)).set(await held(connection, self.name))
            if not await self.round(connection, frontiers):
                await _pause(stop, self.idle_s)

    async def round(self, connection: Connection, frontiers: dict[int, Frontier]) -> int:
        """Read a batch, publish it, delete it. Returns how many events it moved."""
        batch = self.size.now
        started = time.monotonic()
        rows = await self._read(connection, frontiers, batch)
        if rows:
            records = [_record(row, self.name) for row in rows]
            refused = [(row, why) for row, record in zip(rows, records, strict=True) if (why := too_large(record))]
            if refused:
                await set_aside(connection, self.name, refused)
                kept = {row["id"] for row, _ in refused}
                records = [record for row, record in zip(rows, records, strict=True) if row["id"] not in kept]
            with publish_span(self.name, records):
                await self.producer.publish(records)
            await connection.execute(_DELETE, [row["id"] for row in rows])
            for lane in LANES:
                if moved := sum(record.lane == lane for record in records):
                    metrics.OUTBOX_PUBLISHED.labels(self.name, str(lane)).inc(moved)
            self.size.took(len(rows), time.monotonic() - started)
        # After the deletion: what was noted as read is never looked at again.
        found = rows[0]["found"] if rows else 0
        whole = found == len(rows) and found < batch
        last = rows[-1]["lane"] if rows else LANES[-1]
        for lane, frontier in frontiers.items():
            ids = [row["id"] for row in rows if row["lane"] == lane]
            frontier.read(ids, complete=whole or lane < last)
        if any(frontier.gaps for frontier in frontiers.values()):
            writers = [row[0] for row in await connection.fetch(_WRITERS)]
            for frontier in frontiers.values():
                frontier.writers(writers)
        return len(rows)

    async def _read(self, connection: Connection, frontiers: dict[int, Frontier], batch: int) -> Sequence[Any]:
        lanes: list[int] = []
        starts: list[int] = []
        ends: list[int] = []
        for lane, frontier in frontiers.items():
            first, last = frontier.ranges()
            lanes += [lane] * len(first)
            starts += first
            ends += last
        return await connection.fetch(_READ, lanes, starts, ends, batch, MAX_BYTES)


async def run_relay(db: Database, producer: Producer, stop: asyncio.Event, name: str) -> None:
    """Relay the outbox of the service `name` until stopped. A second one waits until the first is gone."""
    await Relay(db, producer, name).run(stop)


def _record(row: Any, source: str) -> Record:
    return Record(
        id=row["event_id"],
        topic=row["topic"],
        type=row["type"],
        source=source,
        workspace_id=row["workspace_id"],
        time=row["time"],
        key=row["key"],
        payload=row["payload"],
        lane=row["lane"],
        traceparent=row["traceparent"],
    )


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
