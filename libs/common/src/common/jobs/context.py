"""What a job gets while it runs."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from common.db.pool import Connection, Database
from common.errors import BaridError

_SAVE = """
update jobs set checkpoint = coalesce($3, checkpoint), progress = coalesce($4, progress),
  attempt = case when $3::jsonb is null then attempt else 1 end,
  lease_until = clock_timestamp() + make_interval(secs => $5)
where id = $1 and lease_epoch = $2 and state = 'running' returning cancel
"""


class LeaseLost(BaridError):
    """Another process runs this job now; this attempt must not write any more."""

    code = "lease_lost"


@dataclass(slots=True)
class JobContext:
    """One attempt of one job. `checkpoint` is what the last saved transaction left."""

    db: Database
    job_id: UUID
    workspace_id: UUID | None
    args: dict[str, Any]
    checkpoint: dict[str, Any]
    cancelled: bool
    attempt: int
    epoch: int
    lease_s: float
    progress: dict[str, Any] = field(default_factory=dict)
    traceparent: str | None = None
    service: str = ""

    async def save(
        self,
        tx: Connection,
        *,
        checkpoint: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep checkpoint and progress in the job's own transaction, together with its effects.

        Raises LeaseLost when another attempt has begun. A checkpoint counts as progress: failures are counted
        from it. Sets `cancelled` when that was asked for; the job then tidies up and returns.
        """
        wanted = await tx.fetchval(
            _SAVE,
            self.job_id,
            self.epoch,
            None if checkpoint is None else dict(checkpoint),
            None if progress is None else dict(progress),
            self.lease_s,
        )
        if wanted is None:
            raise LeaseLost(job=str(self.job_id))
        self.cancelled = self.cancelled or wanted
        if checkpoint is not None:
            self.checkpoint = dict(checkpoint)
        if progress is not None:
            self.progress = dict(progress)


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job and what runs it. `run` may be killed at any line and is called again.

    `on_failed` is called in the transaction that gives the job up, to tell its resource.
    """

    name: str
    run: Callable[[JobContext], Awaitable[None]]
    lease_s: float = 60.0
    max_attempts: int = 5
    backoff_s: float = 2.0
    on_failed: Callable[[Connection, JobContext, str], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Periodic:
    """Work done every so often, by one process at a time."""

    name: str
    every_s: float
    run: Callable[[Database], Awaitable[None]]
    lease_s: float = 60.0
