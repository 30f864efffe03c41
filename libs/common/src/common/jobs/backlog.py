"""What every jobs process tells of itself, whoever claims the work: how much waits, and for how long."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import structlog

from common import metrics
from common.db.pool import TRANSIENT, Database

log = structlog.get_logger(__name__)

EVERY_S = 10.0

Measure = Callable[[Database], Awaitable[None]]

_WAITING = """
select kind, count(*) as n, extract(epoch from clock_timestamp() - min(greatest(run_at, lease_until)))::float8 as age
from jobs
where state in ('queued', 'running') and run_at <= now() and (lease_until is null or lease_until < clock_timestamp())
  and kind = any($1)
group by kind
"""


def backlog(service: str, kinds: Sequence[str]) -> Measure:
    """Measures the jobs of these kinds that are due and that nobody runs."""

    async def measure(db: Database) -> None:
        async with db.connection() as connection:
            found = {row["kind"]: row for row in await connection.fetch(_WAITING, list(kinds))}
        for kind in kinds:
            row = found.get(kind)
            metrics.JOBS_WAITING.labels(service, kind).set(row["n"] if row else 0)
            metrics.JOBS_OLDEST.labels(service, kind).set(row["age"] if row else 0.0)

    return measure


async def keep_measuring(db: Database, measure: Measure, stop: asyncio.Event) -> None:
    """Measure until stopped. While the database is away the last figures stand."""
    while not stop.is_set():
        try:
            await measure(db)
        except TRANSIENT as error:
            log.info("not_measured", error=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY_S)
