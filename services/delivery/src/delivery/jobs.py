"""Process: periodic work on the ledger."""

import asyncio

from common import metrics
from common.db.pool import Database
from common.jobs import Periodic, run_jobs
from common.web.idempotency import forget_old_keys

from delivery.settings import Settings
from delivery.use_cases.upkeep import measure_ledger, publish_progress, reap_mailers, sweep

PERIODICS = (
    Periodic("progress", 0.5, publish_progress),
    Periodic("sweep", 1.0, sweep),
    Periodic("reap_mailers", 2.0, reap_mailers),
    Periodic("idempotency_keys", 3600.0, forget_old_keys),
)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run what is due until told to stop."""
    metrics.LEASES_EXPIRED.labels("mailer")
    metrics.LEDGER_MENDED.labels("delivery")
    database = await Database.open(settings.require_url("worker"), name="delivery-jobs", max_size=4)
    try:
        await run_jobs(database, (), PERIODICS, stop, service="delivery", measures=(measure_ledger,))
    finally:
        await database.close()
