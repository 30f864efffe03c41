"""`analytics worker` processes as production runs them, on a lag that waits on Kafka."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from common.bus.kafka import KafkaOptions
from common.db.pool import Connection

from tests.fixtures.databases import ServiceDatabase
from tests.load.processes import reached, running

_JOINED = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
# Whose second has not come yet is no lag: a contact is scored once a second at most.
_LEFT = """
select coalesce(sum(next_offset), 0) < $2 or exists (select from score_due where due_at <= now())
from consumer_offsets where consumer = $1
"""

_PERIOD_S = 0.1
_LOOK_S = 0.003


async def work_off(
    db: ServiceDatabase, options: KafkaOptions, only: str, lag: int, workers: int = 1, share: float = 1
) -> float:
    """Seconds from when all workers hold partitions until the lag is read, and everyone who is due is scored.

    `share`: the part of a core that each worker may use.
    """
    pids: list[int] = []
    async with AsyncExitStack() as stack, db.worker.connection() as watching:
        async with db.worker.transaction() as gate:
            # Nobody learns where to read before all have joined: starting is not what is measured.
            await gate.execute("lock table consumer_offsets in access exclusive mode")
            for _ in range(workers):
                pid = await stack.enter_async_context(worker(db, options, only))
                pids.append(pid)
            await until(watching, f"select ({_JOINED}) >= $1", workers)
            if share < 1:
                for pid in pids:
                    await stack.enter_async_context(limited(pid, share))
        started = time.perf_counter()
        await until(watching, f"select not ({_LEFT})", f"analytics.{only}", lag)
        return time.perf_counter() - started


async def until(watching: Connection, query: str, *arguments: object) -> None:
    """Wait until it answers true."""
    async with asyncio.timeout(300):
        while not await watching.fetchval(query, *arguments):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@asynccontextmanager
async def worker(db: ServiceDatabase, bus: KafkaOptions | str, only: str) -> AsyncIterator[int]:
    """One process, by its id. Clicks need not settle: what is measured is work, not waiting."""
    env = {"ANALYTICS_WORKER_DATABASE_URL": db.worker_url, "ANALYTICS_CLICK_SETTLE_S": "0"}
    async with running("analytics", "worker", "--only", only, env=reached(bus) | env) as pid:
        yield pid


@asynccontextmanager
async def limited(pid: int, share: float) -> AsyncIterator[None]:
    """Stop a process for the rest of every tenth of a second in which it used its share, as its CPU limit would."""

    async def throttle() -> None:
        while True:
            ends, allowed = time.perf_counter() + _PERIOD_S, _used_s(pid) + _PERIOD_S * share
            while time.perf_counter() < ends:
                if _used_s(pid) >= allowed:
                    os.kill(pid, signal.SIGSTOP)
                    await asyncio.sleep(max(0.0, ends - time.perf_counter()))
                    os.kill(pid, signal.SIGCONT)
                    break
                await asyncio.sleep(_LOOK_S)

    task = asyncio.create_task(throttle())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ProcessLookupError, FileNotFoundError):
            await task
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _used_s(pid: int) -> float:
    """CPU of all threads so far, to the nanosecond: the ticks of /proc/<pid>/stat are too coarse for a limit."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
