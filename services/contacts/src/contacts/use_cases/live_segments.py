"""Keeping who is in each stored segment up to date.

A change of a contact leaves a row in `segment_touched`, in its own transaction. One process takes these rows, judges
the contacts anew for the segments that mention what changed, and writes who entered and who left with their events, all
in one transaction. Judging looks at what is there, not at what changed: so doing it twice, late or in another order
ends in the same members, and a process killed at any line leaves its rows for the next one.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from common.db.pool import Connection, Database
from common.errors import BaridError
from common.jobs import JobContext, JobKind, enqueue

from contacts.db import segment_members, segment_states, segments
from contacts.db.segment_members import Cause, Touched
from contacts.domain.segment_binding import Attribute, Bound
from contacts.domain.segment_mentions import EVERYTHING, leaves, looks_at_clock, mentions, timed
from contacts.use_cases import searching
from contacts.use_cases.segment_rules import usable

BUILD_JOB = "build_segment"
FOLLOW_S = 20.0  # one turn of the periodic; then another process may take it
POLL_S = 0.1
AT_ONCE = 2_000  # contacts judged in one transaction: short, as a single change may be waiting behind it
RANGE = 20_000  # contacts of one step of a build
SWEEP_EVERY = timedelta(seconds=55)
KEEP_SIZES = timedelta(days=800)
_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)
_CLOCK = "clock:"
_SINGLE, _BULK = 1, 2

_log = structlog.get_logger("barid.contacts")


async def plan(tx: Connection, workspace_id: UUID, segment_id: UUID, rule: Bound | str) -> None:
    """Let the segment's members be found, all of them anew. `rule`: a text says why it cannot be judged."""
    if isinstance(rule, str):
        await segment_states.plan(tx, workspace_id, segment_id, [], rule, timed=False)
        return
    wanted = await segment_states.plan(tx, workspace_id, segment_id, sorted(mentions(rule)), None, timed=timed(rule))
    await _enqueue(tx, workspace_id, segment_id, wanted)


async def forget(tx: Connection, workspace_id: UUID, segment_id: UUID) -> None:
    """Let the members of a deleted segment be dropped. Who deletes a segment has told; nobody leaves it."""
    await _enqueue(tx, workspace_id, segment_id, 0)


async def _enqueue(tx: Connection, workspace_id: UUID, segment_id: UUID, build: int) -> None:
    args = {"segment_id": str(segment_id), "build": build}
    await enqueue(tx, BUILD_JOB, args, workspace_id=workspace_id, unique_key=f"{segment_id}:{build}")


async def build_segment(ctx: JobContext) -> None:
    """The job: look at every contact, range by range. A later build makes this one superfluous."""
    assert ctx.workspace_id is not None  # noqa: S101
    segment_id = UUID(ctx.args["segment_id"])
    while await _build_step(ctx, ctx.workspace_id, segment_id):
        pass


async def _build_step(ctx: JobContext, workspace_id: UUID, segment_id: UUID) -> bool:
    after = UUID(ctx.checkpoint["after"]) if "after" in ctx.checkpoint else _FIRST
    async with ctx.db.transaction(workspace_id) as tx:
        await segment_members.lock(tx, workspace_id)
        state = await segment_states.get(tx, workspace_id, segment_id)
        if state is None or ctx.cancelled:
            return False
        if state["deleted"]:
            more = await segment_members.drop(tx, workspace_id, segment_id, RANGE)
            await ctx.save(tx, checkpoint={})
            return more
        if state["wanted"] != ctx.args["build"]:
            return False
        rule = await _bound(tx, workspace_id, segment_id, state["rule"])
        if rule is None:
            return False
        last = await segment_members.last_of_range(tx, workspace_id, after, RANGE)
        lane = _BULK if state["built"] else None
        scope, now = (after, last or _LAST), datetime.now(UTC)
        await segments.limit_time(tx, 300)
        await segment_members.move(tx, workspace_id, segment_id, rule, now, scope, cause="rule", lane=lane)
        if last is None:
            await segment_states.built(tx, workspace_id, segment_id, state["wanted"])
            await segment_states.note_sizes(tx, workspace_id, segment_id, now)
        seen = ctx.progress.get("seen", 0) + RANGE
        await ctx.save(tx, checkpoint={"after": str(last or _LAST)}, progress={"seen": seen})
    return last is not None


BUILD_SEGMENT = JobKind(BUILD_JOB, build_segment, lease_s=20)


async def follow(db: Database, for_s: float = FOLLOW_S) -> None:
    """Bring members up to date, again and again: what waits is looked for ten times a second."""
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        if not await catch_up(db):
            await asyncio.sleep(POLL_S)


async def catch_up(db: Database) -> bool:
    """One step for every workspace where something waits; whether there was any."""
    async with db.connection() as connection:
        workspaces = await segment_members.waiting(connection)
    for workspace_id in workspaces:
        await step(db, workspace_id)
    return bool(workspaces)


async def step(db: Database, workspace_id: UUID) -> None:
    """All single changes that wait, and after them some of the bulk."""
    for bulk in (False, True):
        async with db.transaction(workspace_id) as tx:
            await segment_members.lock(tx, workspace_id)
            touched = await segment_members.take(tx, workspace_id, AT_ONCE, bulk=bulk)
            if touched:
                await searching.note(tx, workspace_id, touched)
                await _judge(tx, workspace_id, touched, _BULK if bulk else _SINGLE)


async def _judge(tx: Connection, workspace_id: UUID, touched: Sequence[Touched], lane: int) -> None:
    attributes = await segments.attributes(tx, workspace_id)
    now = datetime.now(UTC)
    for state in await segment_states.live(tx, workspace_id):
        segment_id, clock = state["segment_id"], f"{_CLOCK}{state['segment_id']}"
        changed = _concerned(touched, {EVERYTHING, *state["mentions"]})
        by_time = _concerned(touched, {clock}) - changed
        if not changed and not by_time:
            continue
        rule = await _bound(tx, workspace_id, segment_id, state["rule"], attributes)
        if rule is None:
            continue
        moves: tuple[tuple[Cause, set[UUID]], ...] = (("changed", changed), ("time", by_time))
        for cause, ids in moves:
            if ids:
                told = lane if state["built"] else None
                await segment_members.move(tx, workspace_id, segment_id, rule, now, list(ids), cause=cause, lane=told)


def _concerned(touched: Sequence[Touched], names: set[str]) -> set[UUID]:
    return {one for change in touched if not names.isdisjoint(change.what) for one in change.contact_ids}


async def _bound(
    tx: Connection,
    workspace_id: UUID,
    segment_id: UUID,
    document: Any,
    attributes: Mapping[str, Attribute] | None = None,
) -> Bound | None:
    """The stored rule; None if what it names is gone: its members stay, and the segment says why."""
    try:
        return await usable(tx, workspace_id, document, attributes)
    except BaridError as error:
        await segment_states.fail(tx, workspace_id, segment_id, error.message)
        return None


async def sweep(db: Database) -> None:
    """Let people enter and leave by time alone: whoever crossed a moment that a rule names is looked at anew.

    Segments that nobody has planned yet are planned.
    """
    async with db.transaction() as tx:
        for row in await segment_states.unplanned(tx, 100):
            await plan_stored(tx, row["workspace_id"], row["id"])
        due = await segment_states.due(tx, datetime.now(UTC) - SWEEP_EVERY, 1000)
    for row in due:
        await _sweep(db, row["workspace_id"], row["segment_id"])


async def plan_stored(tx: Connection, workspace_id: UUID, segment_id: UUID) -> None:
    """The same for the rule that is stored."""
    row = await segments.find(tx, workspace_id, segment_id)
    if row is None:
        return
    try:
        await plan(tx, workspace_id, segment_id, await usable(tx, workspace_id, row["rule"]))
    except BaridError as error:
        await plan(tx, workspace_id, segment_id, error.message)


async def _sweep(db: Database, workspace_id: UUID, segment_id: UUID) -> None:
    async with db.transaction(workspace_id) as tx:
        await segment_members.lock(tx, workspace_id)
        state = await segment_states.get(tx, workspace_id, segment_id)
        if state is None or state["deleted"]:
            return
        now = datetime.now(UTC)
        rule = await _bound(tx, workspace_id, segment_id, state["rule"])
        for leaf in () if rule is None else leaves(rule):
            if looks_at_clock(leaf):
                ids = await segment_members.crossing(tx, workspace_id, leaf, state["swept_at"], now)
                await segment_members.touch(tx, workspace_id, ids, f"{_CLOCK}{segment_id}")
        await segment_states.swept(tx, workspace_id, segment_id, now)


async def note_sizes(db: Database) -> None:
    """How large each segment is, by the hour."""
    async with db.transaction() as tx:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        await segment_states.note_sizes(tx, None, None, hour)
        await segment_states.forget_sizes(tx, KEEP_SIZES)
