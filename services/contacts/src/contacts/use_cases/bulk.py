"""Changing all contacts of a segment, a rule or a list: a job that may be killed at any line.

A page of ids is looked up by the rule; each range of it is changed, counted and checkpointed in one transaction, so
nobody is changed or announced twice. Whoever the rule holds for when their range comes is changed.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from common.db.pool import Connection
from common.jobs import Job, JobContext, JobKind, cancel, enqueue, get_job

from contacts.db import bulk, contacts, exports, lists, segments
from contacts.db.bulk import Change
from contacts.domain.segment_binding import Bound
from contacts.errors import BulkChangeNotFound, BulkChangeOver, ListUnknown, SegmentUnknown
from contacts.use_cases.consents import Actor
from contacts.use_cases.lists import full, own_list
from contacts.use_cases.segment_rules import usable

BULK_JOB = "bulk_change"
RANGE = 2_000
IDS_AT_ONCE = 100_000
LOOKUP_S = 60.0


@dataclass(frozen=True, slots=True)
class NewBulkChange:
    """Whom to change — one of segment, rule, list — and how."""

    change: Change
    segment_id: UUID | None = None
    list_id: UUID | None = None
    rule: Any = None
    add_to_list: UUID | None = None
    remove_from_list: UUID | None = None


async def start_bulk_change(
    tx: Connection, workspace_id: UUID, wanted: NewBulkChange, actor: Actor, only_of: str | None
) -> Job:
    """Queue the job. A segment's rule is kept as it is now.

    Raises SegmentUnknown, ListUnknown, ListFull, InvalidRule, Forbidden.
    """
    rule = wanted.rule
    if wanted.segment_id is not None:
        segment = await segments.find(tx, workspace_id, wanted.segment_id)
        if segment is None:
            raise SegmentUnknown
        rule = segment["rule"]
    if wanted.list_id is not None:
        if await lists.unknown(tx, workspace_id, [wanted.list_id], only_of):
            raise ListUnknown
        rule = {"list": str(wanted.list_id)}
    # A stored segment may name lists that a contributor does not see.
    await usable(tx, workspace_id, rule, only_of=None if wanted.segment_id is not None else only_of)
    for list_id in filter(None, (wanted.add_to_list, wanted.remove_from_list)):
        await own_list(tx, workspace_id, list_id, only_of, shared=True)
    if wanted.add_to_list is not None:
        await _require_room(tx, workspace_id, wanted.add_to_list, rule)
    args = {
        "rule": rule,
        "change": asdict(wanted.change),
        "add_to_list": str(wanted.add_to_list) if wanted.add_to_list else None,
        "remove_from_list": str(wanted.remove_from_list) if wanted.remove_from_list else None,
        "actor": actor.name,
        "now": datetime.now(UTC).isoformat(),
    }
    job = await get_job(tx, await enqueue(tx, BULK_JOB, args, workspace_id=workspace_id))
    assert job is not None  # noqa: S101
    return job


async def _require_room(tx: Connection, workspace_id: UUID, list_id: UUID, rule: Any) -> None:
    limit = (await lists.lock_limited(tx, workspace_id, [list_id])).get(list_id)
    if limit is None:
        return
    newcomers = await usable(tx, workspace_id, {"all": [rule, {"list": str(list_id), "op": "not_member"}]})
    await segments.limit_time(tx, LOOKUP_S)
    if await segments.count(tx, workspace_id, newcomers, datetime.now(UTC)) > limit - await lists.size(
        tx, workspace_id, list_id
    ):
        raise full(limit)


async def find_bulk_change(tx: Connection, workspace_id: UUID, job_id: UUID) -> Job:
    """Raises BulkChangeNotFound."""
    job = await get_job(tx, job_id)
    if job is None or job.workspace_id != workspace_id or job.kind != BULK_JOB:
        raise BulkChangeNotFound
    return job


async def cancel_bulk_change(tx: Connection, workspace_id: UUID, job_id: UUID) -> Job:
    """Stop after the present range; what is changed stays. Raises BulkChangeNotFound, BulkChangeOver."""
    await find_bulk_change(tx, workspace_id, job_id)
    if not await cancel(tx, job_id):
        raise BulkChangeOver
    return await find_bulk_change(tx, workspace_id, job_id)


async def run_bulk_change(ctx: JobContext) -> None:
    """The job kind `bulk_change`."""
    assert ctx.workspace_id is not None  # noqa: S101
    workspace_id, now = ctx.workspace_id, datetime.fromisoformat(ctx.args["now"])
    change = Change(**ctx.args["change"])
    after = UUID(ctx.checkpoint["after"]) if "after" in ctx.checkpoint else None
    while not ctx.cancelled:
        async with ctx.db.transaction(workspace_id) as tx:
            rule = await usable(tx, workspace_id, ctx.args["rule"])
            if after is None:
                await _count(ctx, tx, rule, now)
            await segments.limit_time(tx, LOOKUP_S)
            found = await exports.ids(tx, workspace_id, rule, now, after, IDS_AT_ONCE)
        if not found:
            return
        for start in range(0, len(found), RANGE):
            ids = [UUID(bytes=one) for one in found[start : start + RANGE]]
            async with ctx.db.transaction(workspace_id) as tx:
                changed, members = await _change_range(tx, ctx, workspace_id, ids, change)
                counts = {"done": len(ids), "changed": changed, "members": members}
                progress = ctx.progress | {name: ctx.progress[name] + n for name, n in counts.items()}
                await ctx.save(tx, checkpoint={"after": str(ids[-1])}, progress=progress)
            after = ids[-1]
            if ctx.cancelled:
                return


async def _count(ctx: JobContext, tx: Connection, rule: Bound, now: datetime) -> None:
    assert ctx.workspace_id is not None  # noqa: S101
    await segments.limit_time(tx, LOOKUP_S)
    total = await segments.count(tx, ctx.workspace_id, rule, now)
    await ctx.save(tx, progress={"total": total, "done": 0, "changed": 0, "members": 0})


async def _change_range(
    tx: Connection, ctx: JobContext, workspace_id: UUID, ids: Sequence[UUID], change: Change
) -> tuple[int, int]:
    added_to = ctx.args["add_to_list"]
    # Lists before contacts, as everywhere. Of who came to match since, only those are added for whom there is room.
    limits = await lists.lock_limited(tx, workspace_id, [UUID(added_to)] if added_to else [])
    there = await contacts.lock_all(tx, [workspace_id] * len(ids), ids)
    kept = sorted(contact_id for _, contact_id in there)
    members, changed = 0, await bulk.change(tx, workspace_id, kept, change, ctx.args["actor"], "bulk")
    # A list that was deleted meanwhile gets no members.
    for key, act in (("add_to_list", lists.add), ("remove_from_list", lists.remove)):
        if ctx.args[key] and await lists.kept(tx, workspace_id, UUID(ctx.args[key])):
            list_id = UUID(ctx.args[key])
            if act is lists.add and list_id in limits:
                members += await lists.add_within(tx, workspace_id, list_id, kept, limits[list_id])
            else:
                members += await act(tx, workspace_id, list_id, kept)
    return changed, members


BULK_CHANGE = JobKind(BULK_JOB, run_bulk_change, lease_s=20)
