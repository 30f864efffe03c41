"""Claiming rows, keeping the lease, and writing down how an attempt ended. All by the database's clock."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog

from common import metrics
from common.db.pool import TRANSIENT, Connection, Database
from common.jobs.context import JobContext

log = structlog.get_logger(__name__)

_CLAIM = """
with due as materialized (
  select id, lease_until is not null as expired from jobs
  where state in ('queued', 'running') and run_at <= now() and (lease_until is null or lease_until < clock_timestamp())
    and kind = any($1)
  order by run_at limit 1 for update skip locked
)
update jobs j set state = 'running', attempt = j.attempt + 1, lease_epoch = j.lease_epoch + 1,
  lease_until = clock_timestamp() + make_interval(secs => k.lease_s)
from due d, unnest($1::text[], $2::float8[]) as k (kind, lease_s)
where j.id = d.id and j.kind = k.kind
returning j.*, d.expired
"""
_RENEW = """
update jobs set lease_until = clock_timestamp() + make_interval(secs => $3)
where id = $1 and lease_epoch = $2 and state = 'running' returning cancel
"""
_RELEASE = """
update jobs set lease_until = null, attempt = greatest(attempt - 1, 0)
where id = $1 and lease_epoch = $2 and state = 'running'
"""
_AGAIN = """
update jobs set state = 'queued', lease_until = null, run_at = clock_timestamp() + make_interval(secs => $3),
  attempt = case when $4 then attempt else greatest(attempt - 1, 0) end, error = $5
where id = $1 and lease_epoch = $2 and state = 'running'
"""
_FINISH = """
update jobs set state = $3, lease_until = null, finished_at = now(), error = $4
where id = $1 and lease_epoch = $2 and state = 'running' returning 1
"""


async def claim(db: Database, kinds: Sequence[tuple[str, float]]) -> Any | None:
    """The oldest due job of these (kind, lease) that nobody runs. One whose lease has run out counts as such."""
    async with db.connection() as connection:
        row = await connection.fetchrow(_CLAIM, [name for name, _ in kinds], [lease for _, lease in kinds])
    if row is not None and row["expired"]:
        metrics.LEASES_EXPIRED.labels("job").inc()
    return row


async def release(db: Database, job_id: UUID, epoch: int) -> None:
    """Give it up unharmed: another process may go on at once, and the attempt does not count."""
    async with db.connection() as connection:
        await connection.execute(_RELEASE, job_id, epoch)


async def again(db: Database, context: JobContext, wait_s: float, *, counts: bool, error: str | None) -> None:
    """Run it again later."""
    async with db.connection() as connection:
        await connection.execute(_AGAIN, context.job_id, context.epoch, wait_s, counts, error)


async def finish(tx: Connection, context: JobContext, state: str, error: str | None = None) -> bool:
    """Write the end down; False when another attempt has taken over."""
    return bool(await tx.fetchval(_FINISH, context.job_id, context.epoch, state, error))


async def keep(db: Database, context: JobContext) -> None:
    """Renew the lease until it is lost; then return. The caller ends the attempt."""
    until = time.monotonic() + context.lease_s
    while True:
        await asyncio.sleep(context.lease_s / 3)
        asked = time.monotonic()
        try:
            async with db.connection() as connection:
                wanted = await connection.fetchval(
                    _RENEW, context.job_id, context.epoch, context.lease_s, timeout=context.lease_s / 3
                )
        except TRANSIENT as error:
            log.warning("job_renewal_failed", job_id=str(context.job_id), error=str(error))
            if time.monotonic() + context.lease_s / 3 > until:
                return
            continue
        if wanted is None:
            return
        context.cancelled = context.cancelled or wanted
        until = asked + context.lease_s
