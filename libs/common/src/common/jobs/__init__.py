"""Long and periodic work, claimed by rows: a job killed at any line goes on from its checkpoint elsewhere."""

from common.jobs.context import JobContext, JobKind, LeaseLost, Periodic
from common.jobs.queue import Job, cancel, enqueue, get_job
from common.jobs.runner import run_jobs

__all__ = ["Job", "JobContext", "JobKind", "LeaseLost", "Periodic", "cancel", "enqueue", "get_job", "run_jobs"]
