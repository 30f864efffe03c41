"""The jobs process: claims rows, runs them, gives them back when it stops."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from common import metrics
from common.db.faults import passes
from common.db.pool import TRANSIENT, Database
from common.ids import new_id
from common.jobs import lease
from common.jobs.backlog import Measure, backlog, keep_measuring
from common.jobs.context import JobContext, JobKind, LeaseLost, Periodic
from common.telemetry import span

log = structlog.get_logger(__name__)

IDLE_S = 0.25
PERIODIC = "periodic:"
_MOST_BACKOFF_S = 300.0
_PURGE_DAYS = 90
_BEGIN = """
insert into jobs (id, kind, unique_key) values ($1, $2, '')
on conflict (kind, unique_key) where state in ('queued', 'running') do nothing
"""
_PURGE = "delete from jobs where finished_at < now() - make_interval(days => $1)"

Attempt = Callable[[JobContext], Awaitable[None]]


async def run_jobs(
    db: Database,
    kinds: Sequence[JobKind],
    periodics: Sequence[Periodic],
    stop: asyncio.Event,
    *,
    service: str,
    measures: Sequence[Measure] = (),
    concurrency: int = 2,
) -> None:
    """Until stopped. At the stop running attempts are interrupted and given back: others resume them at once.

    `measures` set gauges every few seconds, in every process: who reads a gauge cannot know who claimed what.
    """
    repeated = (*periodics, Periodic("jobs.purge", 86_400, _purge))
    names = [kind.name for kind in kinds] + [PERIODIC + periodic.name for periodic in repeated]
    loops = [_loop(db, service, {kind.name: kind for kind in kinds}, stop) for _ in range(concurrency if kinds else 0)]
    loops += [_repeat(db, service, one, stop) for one in repeated]
    loops += [keep_measuring(db, measure, stop) for measure in (backlog(service, names), *measures)]
    metrics.LEASES_EXPIRED.labels("job")
    for name in names:  # shown from the start, so that the first failure is an increase
        for outcome in ("completed", "failed"):
            metrics.JOBS_FINISHED.labels(service, name, outcome)
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(loop)


async def _purge(db: Database) -> None:
    async with db.connection() as connection:
        await connection.execute(_PURGE, _PURGE_DAYS)


async def _loop(db: Database, service: str, kinds: dict[str, JobKind], stop: asyncio.Event) -> None:
    wanted = [(kind.name, kind.lease_s) for kind in kinds.values()]
    while not stop.is_set():
        try:
            row = await lease.claim(db, wanted)
            if row is not None:
                await _attempt(db, service, kinds[row["kind"]], row, stop)
                continue
        except TRANSIENT as error:
            log.warning("jobs_database_away", error=str(error))
            await _pause(stop, 1.0)
        await _pause(stop, IDLE_S * random.uniform(0.8, 1.2))  # noqa: S311


async def _attempt(db: Database, service: str, kind: JobKind, row: Any, stop: asyncio.Event) -> None:
    context = _context(db, service, row, kind.lease_s)
    if context.attempt > kind.max_attempts:
        await _give_up(db, kind, context, row["error"] or f"ended {kind.max_attempts} times without a result")
        return
    try:
        ended = await _supervised(kind.run, context, kind.name, stop)
    except LeaseLost:
        log.info("job_lease_lost", job=kind.name, job_id=str(context.job_id))
    except Exception as error:
        if passes(error):
            log.warning("job_retries", job=kind.name, job_id=str(context.job_id), error=str(error))
            await lease.again(db, context, _backoff(kind, context.attempt), counts=False, error=str(error))
            return
        log.exception("job_attempt_failed", job=kind.name, job_id=str(context.job_id), attempt=context.attempt)
        told = f"{type(error).__name__}: {error}"
        if context.attempt >= kind.max_attempts:
            await _give_up(db, kind, context, told)
        else:
            await lease.again(db, context, _backoff(kind, context.attempt), counts=True, error=told)
    else:
        if not ended:
            await lease.release(db, context.job_id, context.epoch)
            return
        state = "cancelled" if context.cancelled else "completed"
        async with db.transaction() as tx:
            await lease.finish(tx, context, state)
        metrics.JOBS_FINISHED.labels(service, kind.name, state).inc()


async def _supervised(run: Attempt, context: JobContext, name: str, stop: asyncio.Event) -> bool:
    """Run under a lease that is renewed. False when stopped before the end. Raises LeaseLost."""
    started = time.monotonic()
    running = metrics.JOBS_RUNNING.labels(context.service, name)
    running.inc()
    about = {"job": name, "job_id": str(context.job_id)}
    if context.workspace_id is not None:
        about["workspace_id"] = str(context.workspace_id)
    with (
        bound_contextvars(**about),
        span(f"job {name}", parent=context.traceparent, attributes={"barid.service": context.service}),
    ):
        work = asyncio.ensure_future(run(context))
        keeper = asyncio.ensure_future(lease.keep(context.db, context))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((work, keeper, stopped), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return True
            if keeper.done():
                keeper.result()
                raise LeaseLost(job=str(context.job_id))
            return False
        finally:
            for task in (work, keeper, stopped):
                task.cancel()
            await asyncio.wait((work, keeper, stopped))
            running.dec()
            metrics.JOB_SECONDS.labels(context.service, name).observe(time.monotonic() - started)


async def _give_up(db: Database, kind: JobKind, context: JobContext, error: str) -> None:
    async with db.transaction() as tx:
        if await lease.finish(tx, context, "failed", error) and kind.on_failed is not None:
            await kind.on_failed(tx, context, error)
    log.error("job_failed", job=kind.name, job_id=str(context.job_id), error=error)
    metrics.JOBS_FINISHED.labels(context.service, kind.name, "failed").inc()


async def _repeat(db: Database, service: str, periodic: Periodic, stop: asyncio.Event) -> None:
    """A periodic is a job that is queued again whenever it ends; whoever claims the row runs it."""
    name = PERIODIC + periodic.name
    begun = False

    async def run(context: JobContext) -> None:
        await periodic.run(context.db)

    while not stop.is_set():
        try:
            if not begun:
                async with db.connection() as connection:
                    await connection.execute(_BEGIN, new_id(), name)
                begun = True
            row = await lease.claim(db, [(name, periodic.lease_s)])
            if row is not None:
                context = _context(db, service, row, periodic.lease_s)
                error = None
                try:
                    if not await _supervised(run, context, name, stop):
                        await lease.release(db, context.job_id, context.epoch)
                        return
                except LeaseLost:
                    continue
                except Exception as failure:
                    if passes(failure):
                        log.warning("periodic_failed", periodic=periodic.name, error=str(failure))
                    else:
                        log.exception("periodic_failed", periodic=periodic.name)
                    error = f"{type(failure).__name__}: {failure}"
                metrics.JOBS_FINISHED.labels(service, name, "failed" if error else "completed").inc()
                await lease.again(db, context, periodic.every_s, counts=False, error=error)
        except TRANSIENT as error:
            log.warning("jobs_database_away", error=str(error))
        await _pause(stop, min(max(periodic.every_s / 2, 0.05), 5.0))


def _context(db: Database, service: str, row: Any, lease_s: float) -> JobContext:
    return JobContext(
        db=db,
        job_id=row["id"],
        workspace_id=row["workspace_id"],
        args=row["args"],
        checkpoint=row["checkpoint"],
        cancelled=row["cancel"],
        attempt=row["attempt"],
        epoch=row["lease_epoch"],
        lease_s=lease_s,
        progress=row["progress"],
        traceparent=row["traceparent"],
        service=service,
    )


def _backoff(kind: JobKind, attempt: int) -> float:
    most = min(kind.backoff_s * 2.0 ** max(attempt - 1, 0), _MOST_BACKOFF_S)
    return random.uniform(most / 2, most)  # noqa: S311


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
