"""Process: scheduled campaigns, and old idempotency keys."""

import asyncio
from functools import partial

from common.db.pool import Database
from common.jobs import Periodic, run_jobs
from common.web.idempotency import forget_old_keys

from campaigns.settings import Settings
from campaigns.use_cases.due import start_due

DUE_EVERY_S = 1.0
HOUR_S = 3600.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run what is due until told to stop."""
    database = await Database.open(settings.require_url("worker"), name="campaigns-jobs", max_size=3)
    periodics = (
        Periodic("due_campaigns", DUE_EVERY_S, partial(start_due, lateness_limit_s=settings.lateness_limit_s)),
        Periodic("idempotency_keys", HOUR_S, forget_old_keys),
    )
    try:
        await run_jobs(database, (), periodics, stop)
    finally:
        await database.close()
