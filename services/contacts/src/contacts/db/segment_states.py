"""What is known of each segment's live membership."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_PLAN = """
insert into segment_states as s (workspace_id, segment_id, mentions, timed, error) values ($1, $2, $3, $4, $5)
on conflict (workspace_id, segment_id) do update
   set mentions = excluded.mentions, timed = excluded.timed, error = excluded.error, wanted = s.wanted + 1
returning wanted
"""


async def plan(
    tx: Connection, workspace_id: UUID, segment_id: UUID, mentions: Sequence[str], error: str | None, *, timed: bool
) -> int:
    """Note what the rule looks at now, and that everybody must be looked at; which build that is."""
    wanted: int = await tx.fetchval(_PLAN, workspace_id, segment_id, mentions, timed, error)
    return wanted


async def live(tx: Connection, workspace_id: UUID) -> list[asyncpg.Record]:
    """Every stored segment of the workspace with its rule and state."""
    return await tx.fetch(
        "select s.segment_id, s.mentions, s.built, g.rule from segment_states s"
        "  join segments g on g.workspace_id = s.workspace_id and g.id = s.segment_id"
        " where s.workspace_id = $1 and not g.deleted order by s.segment_id",
        workspace_id,
    )


async def get(tx: Connection, workspace_id: UUID, segment_id: UUID) -> asyncpg.Record | None:
    """The state of a segment, and its rule; `deleted` ones too."""
    return await tx.fetchrow(
        "select s.*, g.rule, g.deleted from segment_states s"
        "  join segments g on g.workspace_id = s.workspace_id and g.id = s.segment_id"
        " where s.workspace_id = $1 and s.segment_id = $2",
        workspace_id,
        segment_id,
    )


async def built(tx: Connection, workspace_id: UUID, segment_id: UUID, build: int) -> None:
    """Everybody was looked at."""
    await tx.execute(
        "update segment_states set built = greatest(built, $3) where workspace_id = $1 and segment_id = $2",
        workspace_id,
        segment_id,
        build,
    )


async def fail(tx: Connection, workspace_id: UUID, segment_id: UUID, error: str) -> None:
    """The rule cannot be judged any more; its members stay as they are."""
    await tx.execute(
        "update segment_states set error = $3 where workspace_id = $1 and segment_id = $2"
        " and error is distinct from $3",
        workspace_id,
        segment_id,
        error,
    )


async def unplanned(tx: Connection, limit: int) -> list[asyncpg.Record]:
    """Segments that nobody has planned: made by code that knew no live membership."""
    return await tx.fetch(
        "select g.workspace_id, g.id from segments g where not g.deleted and not exists (select from segment_states s"
        " where s.workspace_id = g.workspace_id and s.segment_id = g.id) limit $1",
        limit,
    )


async def due(tx: Connection, before: datetime, limit: int) -> list[asyncpg.Record]:
    """Segments whose rule looks at the clock, not swept since; the longest ago first."""
    return await tx.fetch(
        "select workspace_id, segment_id from segment_states where timed and swept_at < $1 order by swept_at limit $2",
        before,
        limit,
    )


async def swept(tx: Connection, workspace_id: UUID, segment_id: UUID, at: datetime) -> None:
    """Who crossed a moment until then is in the queue."""
    await tx.execute(
        "update segment_states set swept_at = $3 where workspace_id = $1 and segment_id = $2",
        workspace_id,
        segment_id,
        at,
    )


async def note_sizes(tx: Connection, workspace_id: UUID | None, segment_id: UUID | None, at: datetime) -> None:
    """Keep how large segments are: one, or all."""
    await tx.execute(
        "insert into segment_sizes (workspace_id, segment_id, at, size)"
        " select workspace_id, segment_id, $3, size from segment_states"
        "  where built > 0 and ($1::uuid is null or workspace_id = $1) and ($2::uuid is null or segment_id = $2)"
        " on conflict (workspace_id, segment_id, at) do update set size = excluded.size",
        workspace_id,
        segment_id,
        at,
    )


async def forget_sizes(tx: Connection, age: timedelta) -> None:
    """Drop what is older."""
    await tx.execute("delete from segment_sizes where at < now() - $1::interval", age)


async def sizes(
    tx: Connection, workspace_id: UUID, segment_id: UUID, before: datetime | None, limit: int
) -> list[asyncpg.Record]:
    """How large a segment was, the newest first."""
    return await tx.fetch(
        "select at, size from segment_sizes where workspace_id = $1 and segment_id = $2"
        " and ($3::timestamptz is null or at < $3) order by at desc limit $4",
        workspace_id,
        segment_id,
        before,
        limit,
    )
