"""Jobs on real rows: claimed once, resumed from the checkpoint after a kill -9 at any line."""

import asyncio
import os
import signal
import sys
import textwrap
import time
from uuid import UUID

import pytest
from common.db.pool import Database
from common.jobs import JobContext, JobKind, LeaseLost, Periodic, cancel, enqueue, get_job, run_jobs

STEPS = 12

WORKER = textwrap.dedent(
    """
    import asyncio, os, signal, sys
    from common.db.pool import Database
    from common.jobs import JobKind, run_jobs

    url, die_at = sys.argv[1], int(sys.argv[2])
    place = 0

    def here():
        global place
        place += 1
        if place == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def count(ctx):
        here()
        for step in range(ctx.checkpoint.get("next", 0), 12):
            here()
            async with ctx.db.transaction() as tx:
                await tx.execute("insert into steps (job, step) values ($1, $2)", ctx.job_id, step)
                here()
                await ctx.save(tx, checkpoint={"next": step + 1}, progress={"done": step + 1})
                here()
            here()

    async def main():
        db = await Database.open(url, name="jobs")
        await run_jobs(db, [JobKind("count", count, lease_s=0.6)], [], asyncio.Event(), service="test", concurrency=1)

    asyncio.run(main())
    """
)


@pytest.fixture
async def db(contacts_db):
    async with contacts_db.worker.connection() as connection:
        await connection.execute("create table steps (job uuid, step int)")
    return contacts_db.worker


async def put(db: Database, kind: str, **more) -> UUID:
    async with db.transaction() as tx:
        return await enqueue(tx, kind, more.pop("args", {}), **more)


async def state(db: Database, job_id: UUID):
    async with db.connection() as connection:
        return await get_job(connection, job_id)


async def until(db: Database, job_id: UUID, *states: str, seconds: float = 20):
    deadline = time.monotonic() + seconds
    while (job := await state(db, job_id)).state not in states:
        assert time.monotonic() < deadline, f"still {job}"
        await asyncio.sleep(0.02)
    return job


class Running:
    def __init__(self, db, kinds, periodics=(), **options) -> None:
        self.stop = asyncio.Event()
        self._work = lambda: run_jobs(db, kinds, periodics, self.stop, service="test", **options)

    async def __aenter__(self):
        self.task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_):
        self.stop.set()
        await asyncio.wait_for(self.task, 10)


async def test_a_job_killed_at_any_line_is_resumed_from_its_checkpoint_and_does_each_step_once(db, contacts_db):
    job_id = await put(db, "count")
    for die_at in (1, 2, 3, 4, 5, 11, 7, 0):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, contacts_db.worker_url, str(die_at), env={**os.environ}
        )
        if die_at:
            assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGKILL
        else:
            job = await until(db, job_id, "completed", "failed")
            process.kill()
            await process.wait()
    assert job.state == "completed"
    assert job.progress == {"done": STEPS}
    async with db.connection() as connection:
        steps = await connection.fetch("select step from steps order by step")
    assert [row["step"] for row in steps] == list(range(STEPS))


async def test_two_processes_never_run_the_same_job(db):
    ran: list[UUID] = []

    async def run(ctx: JobContext) -> None:
        ran.append(ctx.job_id)
        await asyncio.sleep(0.02)

    ids = [await put(db, "once") for _ in range(20)]
    async with Running(db, [JobKind("once", run)], concurrency=3), Running(db, [JobKind("once", run)], concurrency=3):
        for job_id in ids:
            await until(db, job_id, "completed")
    assert sorted(ran) == sorted(ids)


async def test_an_attempt_whose_lease_was_taken_cannot_save(db):
    lost = asyncio.Event()
    entered = asyncio.Event()

    async def run(ctx: JobContext) -> None:
        entered.set()
        async with db.connection() as connection:
            await connection.execute("update jobs set lease_epoch = lease_epoch + 1 where id = $1", ctx.job_id)
        try:
            async with db.transaction() as tx:
                await tx.execute("insert into steps values ($1, 1)", ctx.job_id)
                await ctx.save(tx, checkpoint={"next": 1})
        except LeaseLost:
            lost.set()
            raise

    job_id = await put(db, "zombie")
    async with Running(db, [JobKind("zombie", run, lease_s=30)], concurrency=1):
        await asyncio.wait_for(lost.wait(), 10)
    assert (await state(db, job_id)).state == "running"
    async with db.connection() as connection:
        assert await connection.fetchval("select count(*) from steps") == 0


async def test_a_failing_job_is_tried_again_and_then_given_up_with_its_error(db):
    told: list[str] = []

    async def run(ctx: JobContext) -> None:
        raise ValueError(f"no {ctx.attempt}")

    async def on_failed(tx, ctx: JobContext, error: str) -> None:
        told.append(error)
        await tx.execute("insert into steps values ($1, -1)", ctx.job_id)

    job_id = await put(db, "bad")
    kind = JobKind("bad", run, max_attempts=3, backoff_s=0.02, on_failed=on_failed)
    async with Running(db, [kind], concurrency=1):
        job = await until(db, job_id, "failed", "completed")
    assert (job.state, job.error, job.attempt) == ("failed", "ValueError: no 3", 3)
    assert told == ["ValueError: no 3"]


async def test_a_connection_fault_is_no_attempt(db):
    attempts: list[int] = []

    async def run(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        if len(attempts) < 5:
            raise ConnectionResetError("gone")

    job_id = await put(db, "flaky")
    async with Running(db, [JobKind("flaky", run, max_attempts=2, backoff_s=0.01)], concurrency=1):
        await until(db, job_id, "completed")
    assert attempts == [1] * 5


async def test_a_job_asked_to_stop_sees_it_and_one_never_begun_is_cancelled_at_once(db):
    async def run(ctx: JobContext) -> None:
        while not ctx.cancelled:
            async with db.transaction() as tx:
                await ctx.save(tx, progress={"at": 1})
            await asyncio.sleep(0.01)

    running = await put(db, "long")
    waiting = await put(db, "other")
    async with db.transaction() as tx:
        assert await cancel(tx, waiting)
    assert (await state(db, waiting)).state == "cancelled"
    async with Running(db, [JobKind("long", run)], concurrency=1):
        await until(db, running, "running")
        async with db.transaction() as tx:
            assert await cancel(tx, running)
        await until(db, running, "cancelled")
        async with db.transaction() as tx:
            assert not await cancel(tx, running)


async def test_a_unique_key_gives_one_job_until_it_ends(db):
    async def run(ctx: JobContext) -> None:
        """Nothing to do."""

    first = await put(db, "only", unique_key="a")
    assert await put(db, "only", unique_key="a") == first
    assert await put(db, "only", unique_key="b") != first
    async with Running(db, [JobKind("only", run)]):
        await until(db, first, "completed")
    assert await put(db, "only", unique_key="a") != first


async def test_a_stopped_process_gives_its_job_back_without_counting_the_attempt(db):
    entered = asyncio.Event()

    async def wait(ctx: JobContext) -> None:
        entered.set()
        await asyncio.sleep(60)

    async def done(ctx: JobContext) -> None:
        """Nothing left."""

    job_id = await put(db, "slow")
    async with Running(db, [JobKind("slow", wait, lease_s=60)]):
        await asyncio.wait_for(entered.wait(), 10)
    assert (await state(db, job_id)).attempt == 0
    async with Running(db, [JobKind("slow", done, lease_s=60)]):
        assert (await until(db, job_id, "completed", seconds=5)).attempt == 1


async def test_periodic_work_is_done_by_one_process_at_a_time_and_outlives_its_errors(db):
    at_once = 0
    most = 0
    runs = 0

    async def tick(_: Database) -> None:
        nonlocal at_once, most, runs
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.03)
        at_once -= 1
        runs += 1
        if runs == 6:
            enough.set()
        if runs == 2:
            raise ValueError("once")

    enough = asyncio.Event()
    periodic = Periodic("tick", 0.1, tick)
    async with Running(db, (), [periodic]), Running(db, (), [periodic]):
        began = time.monotonic()
        await asyncio.wait_for(enough.wait(), 30)
        took = time.monotonic() - began
    assert most == 1
    assert runs <= took / periodic.every_s + 2, "no faster than asked for"
