"""Freezing who is in a segment at one moment, by a job."""

from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.errors import BaridError
from common.ids import new_id
from common.jobs import JobContext, JobKind, enqueue

from contacts.db import segment_snapshots, segments
from contacts.errors import SegmentUnknown
from contacts.use_cases.segment_rules import usable

FREEZE_S = 3600.0


async def create_snapshot(
    tx: Connection, workspace_id: UUID, segment_id: UUID, name: str, created_by: str
) -> asyncpg.Record:
    """Let whom the segment's rule holds for be kept. Raises SegmentUnknown."""
    segment = await segments.find(tx, workspace_id, segment_id)
    if segment is None:
        raise SegmentUnknown
    row = await segment_snapshots.insert(tx, workspace_id, new_id(), segment_id, name, segment["rule"], created_by)
    args = {"snapshot_id": str(row["id"])}
    await enqueue(tx, FREEZE_SNAPSHOT.name, args, workspace_id=workspace_id, unique_key=str(row["id"]))
    return row


async def freeze_snapshot(ctx: JobContext) -> None:
    """The job: one statement, so a snapshot is of one moment, whole or not there."""
    assert ctx.workspace_id is not None  # noqa: S101
    snapshot_id = UUID(ctx.args["snapshot_id"])
    async with ctx.db.transaction(ctx.workspace_id) as tx:
        row = await segment_snapshots.locked(tx, ctx.workspace_id, snapshot_id)
        if row is None:
            return
        try:
            rule = await usable(tx, ctx.workspace_id, row["rule"])
        except BaridError as error:
            await segment_snapshots.fail(tx, ctx.workspace_id, snapshot_id, error.message)
            return
        await segments.limit_time(tx, FREEZE_S)
        size = await segment_snapshots.freeze(tx, ctx.workspace_id, snapshot_id, rule, datetime.now(UTC))
        await ctx.save(tx, progress={"size": size})


async def _give_up(tx: Connection, ctx: JobContext, error: str) -> None:
    assert ctx.workspace_id is not None  # noqa: S101
    told = f"freezing failed again and again: {error[:200]}"
    await segment_snapshots.fail(tx, ctx.workspace_id, UUID(ctx.args["snapshot_id"]), told)


FREEZE_SNAPSHOT = JobKind("freeze_snapshot", freeze_snapshot, lease_s=20, on_failed=_give_up)
