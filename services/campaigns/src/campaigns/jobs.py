"""Process: scheduled campaigns, and old idempotency keys. And `campaigns republish`, which is run by hand."""

import asyncio
from functools import partial

import structlog
from common.db.pool import Database
from common.jobs import Periodic, run_jobs
from common.web.idempotency import forget_old_keys

from campaigns.settings import Settings
from campaigns.use_cases.alignment import Installation
from campaigns.use_cases.due import start_due
from campaigns.use_cases.republish import republish as tell_again

DUE_EVERY_S = 1.0
HOUR_S = 3600.0

_log = structlog.get_logger("barid.campaigns")


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run what is due until told to stop."""
    database = await Database.open(settings.require_url("worker"), name="campaigns-jobs", max_size=3)
    periodics = (
        Periodic(
            "due_campaigns",
            DUE_EVERY_S,
            partial(
                start_due,
                lateness_limit_s=settings.lateness_limit_s,
                installation=Installation(settings.sender_policy, settings.dkim_domain_names()),
            ),
        ),
        Periodic("idempotency_keys", HOUR_S, forget_old_keys),
    )
    try:
        await run_jobs(database, (), periodics, stop, service="campaigns")
    finally:
        await database.close()


async def republish(settings: Settings, _stop: asyncio.Event) -> None:
    """Tell every workspace and sender again, for a service that lost its projection."""
    database = await Database.open(settings.require_url("worker"), name="campaigns-republish", max_size=1)
    try:
        _log.info("republished", events=await tell_again(database))
    finally:
        await database.close()
