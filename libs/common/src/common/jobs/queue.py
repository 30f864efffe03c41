"""The jobs table as its users see it: put in, look at, cancel."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db.pool import Connection
from common.ids import new_id
from common.telemetry import current_traceparent

_ENQUEUE = """
insert into jobs (id, workspace_id, kind, unique_key, args, run_at, traceparent)
values ($1, $2, $3, $4, $5, coalesce($6, now()), $7)
on conflict (kind, unique_key) where state in ('queued', 'running') do nothing
returning id
"""
_EXISTING = "select id from jobs where kind = $1 and unique_key = $2 and state in ('queued', 'running')"
_GET = """
select id, workspace_id, kind, args, state, progress, checkpoint, cancel as cancelling, attempt, run_at, error,
       created_at, finished_at
from jobs where id = $1
"""
_CANCEL = """
update jobs set cancel = true,
  state = case when state = 'queued' and lease_epoch = 0 then 'cancelled' else state end,
  finished_at = case when state = 'queued' and lease_epoch = 0 then now() end,
  run_at = least(run_at, now())
where id = $1 and state in ('queued', 'running') returning 1
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One row. `cancelling`: a cancel was asked for."""

    id: UUID
    workspace_id: UUID | None
    kind: str
    args: dict[str, Any]
    state: str
    progress: dict[str, Any]
    checkpoint: dict[str, Any]
    cancelling: bool
    attempt: int
    run_at: datetime
    error: str | None
    created_at: datetime
    finished_at: datetime | None


async def enqueue(
    tx: Connection,
    kind: str,
    args: Mapping[str, Any],
    *,
    workspace_id: UUID | None = None,
    unique_key: str | None = None,
    run_at: datetime | None = None,
) -> UUID:
    """Add a job in the caller's transaction. With a key that a waiting or running job has: that job's id."""
    while True:
        added: UUID | None = await tx.fetchval(
            _ENQUEUE, new_id(), workspace_id, kind, unique_key, dict(args), run_at, current_traceparent()
        )
        if added is not None:
            return added
        # It may end between the two statements: then there is room for a new one.
        existing: UUID | None = await tx.fetchval(_EXISTING, kind, unique_key)
        if existing is not None:
            return existing


async def get_job(tx: Connection, job_id: UUID) -> Job | None:
    """The job, if it exists. The caller checks its workspace."""
    row = await tx.fetchrow(_GET, job_id)
    return Job(**dict(row)) if row else None


async def cancel(tx: Connection, job_id: UUID) -> bool:
    """Ask for a stop: one never begun is cancelled at once, another sees `cancelled`. False when it has ended."""
    return bool(await tx.fetchval(_CANCEL, job_id))
