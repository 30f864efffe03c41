"""Merging a staged file: fold, merge range by range, tidy up. Killed at any line, another process goes on.

A dry run does the same and takes each range back, so it cannot say anything else.
Each range is one transaction with its effects, events, counts and checkpoint, so it happens exactly once. Two lanes
merge at a time (rows of one address were folded, so ranges share no contact).
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.jobs import JobContext

from contacts.db import imports, lists
from contacts.db.merge import PREPARE_FOLD, PREPARE_TRANSACTION, Merge

RANGE_ROWS = 5000
LANES = 2
_CLEAR_ROWS = 50_000


async def run_import(ctx: JobContext) -> None:
    """The job kinds `import` and `import_trial`."""
    import_id = UUID(ctx.args["import_id"])
    workspace_id = ctx.workspace_id
    assert workspace_id is not None  # noqa: S101
    async with ctx.db.transaction() as tx:
        await imports.start(tx, workspace_id, import_id)
        row = await imports.get(tx, workspace_id, import_id)
        last = await imports.last_row(tx, import_id)
    if row is not None and row["status"] == "running":
        await _merge_all(ctx, dict(row), last)
    for end in range(_CLEAR_ROWS, last + _CLEAR_ROWS, _CLEAR_ROWS):
        async with ctx.db.transaction() as tx:
            await imports.clear_stage(tx, import_id, end)


async def _merge_all(ctx: JobContext, row: dict[str, Any], last: int) -> None:
    workspace_id, import_id = row["workspace_id"], row["id"]
    merge = Merge(workspace_id, import_id, row["plan"], _consent(row))
    state = _State(ctx)
    if not state.folded:
        async with ctx.db.transaction() as tx:
            await tx.execute(PREPARE_FOLD)
            await merge.fold(tx)
            await state.save_folded(tx)
    try:
        async with asyncio.TaskGroup() as group:
            for lane in range(LANES):
                group.create_task(_merge_lane(ctx, merge, state, row, lane, last))
    except BaseExceptionGroup as failures:
        # The runner of jobs tells errors apart by their class.
        raise failures.exceptions[0] from failures
    async with ctx.db.transaction() as tx:
        await imports.finish(tx, workspace_id, import_id, "completed")


async def fail_import(tx: Connection, ctx: JobContext, error: str) -> None:
    """The job was given up: its import failed. What was merged stays, counted."""
    assert ctx.workspace_id is not None  # noqa: S101
    await imports.finish(tx, ctx.workspace_id, UUID(ctx.args["import_id"]), "failed", error[:1000])


async def _merge_lane(
    ctx: JobContext, merge: Merge, state: "_State", row: dict[str, Any], lane: int, last: int
) -> None:
    update = row["options"]["on_conflict"] != "skip"
    while True:
        start = (state.done[lane] * LANES + lane) * RANGE_ROWS
        if start > last:
            return
        for retry in range(5):
            try:
                await _merge_range(ctx, merge, state, row, lane, start, update=update)
                break
            except _NotRunning:
                return
            except (asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError):
                # Another import or a caller was faster with the same person: look again.
                if retry == 4:
                    raise


async def _merge_range(
    ctx: JobContext, merge: Merge, state: "_State", row: dict[str, Any], lane: int, start: int, *, update: bool
) -> None:
    async with AsyncExitStack() as until_committed:
        async with ctx.db.transaction() as tx:
            await tx.execute(PREPARE_TRANSACTION)
            # Nobody else adds to these meanwhile: who comes when the list is full is not put on it.
            limits = await lists.lock_limited(
                tx, row["workspace_id"], [UUID(one) for one in row["options"]["list_ids"]]
            )
            do = merge.rehearse if row["dry_run"] else merge.merge
            merged = await do(tx, start, start + RANGE_ROWS, update=update)
            for list_id, limit in limits.items():
                await lists.trim(tx, row["workspace_id"], list_id, row["id"], limit)
            if not await imports.count(tx, row["workspace_id"], row["id"], merged):
                raise _NotRunning
            await until_committed.enter_async_context(state.lock)
            await state.save_done(tx, lane)
        state.done[lane] += 1


class _NotRunning(Exception):
    """The import was cancelled."""


class _State:
    """The checkpoint: whether the file was folded, and how many ranges each lane has committed."""

    def __init__(self, ctx: JobContext) -> None:
        self._ctx = ctx
        self.folded: bool = ctx.checkpoint.get("folded", False)
        self.done: list[int] = list(ctx.checkpoint.get("done", [0] * LANES))
        self.lock = asyncio.Lock()

    async def save_folded(self, tx: Connection) -> None:
        self.folded = True
        await self._ctx.save(tx, checkpoint={"folded": True, "done": self.done})

    async def save_done(self, tx: Any, lane: int) -> None:
        done = [count + (n == lane) for n, count in enumerate(self.done)]
        await self._ctx.save(tx, checkpoint={"folded": True, "done": done})


def _consent(row: dict[str, Any]) -> list[Any]:
    options, plan = row["options"], row["plan"]
    consent = options["consent"] or {}
    return [
        consent.get("status"),
        UUID(plan["purpose_id"]) if "purpose_id" in plan else None,
        consent.get("tracking"),
        options["tags"],
        [UUID(one) for one in options["list_ids"]],
        consent.get("source"),
        consent.get("evidence"),
        plan.get("wording_version"),
        row["created_by"],
    ]
