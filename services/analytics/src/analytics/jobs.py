"""Process: periodic work of analytics."""

import asyncio

from common import metrics
from common.db.pool import Database
from common.jobs import Periodic, run_jobs
from common.web.idempotency import forget_old_keys

from analytics.db import drift, facts, fared, scores
from analytics.settings import Settings
from analytics.use_cases.judging import judge_again

HOUR_S = 3600.0
LATE_BATCH = 2000
FORGET_SCORED_AFTER_DAYS = 730


async def make_partitions(database: Database) -> None:
    """The facts' daily partitions, two weeks ahead."""
    async with database.transaction() as tx:
        await facts.ensure_partitions(tx)


async def prune_scored(database: Database) -> None:
    """Events of which no points are left."""
    async with database.transaction() as tx:
        await scores.prune(tx, FORGET_SCORED_AFTER_DAYS)


async def count_late(database: Database) -> None:
    """What was told of messages before their sending was."""
    while True:
        async with database.transaction() as tx:
            if not await fared.count_late(tx, LATE_BATCH):
                return


async def measure_drift(database: Database) -> None:
    """How far the counts here are from the ledger's."""
    async with database.connection() as connection:
        metrics.LEDGER_DRIFT.set(await drift.drift(connection))


PERIODICS = (
    Periodic("count_late", 30.0, count_late),
    Periodic("judge_again", 5.0, judge_again),
    Periodic("facts_partitions", HOUR_S, make_partitions),
    Periodic("prune_scored", 24 * HOUR_S, prune_scored),
    Periodic("idempotency_keys", HOUR_S, forget_old_keys),
)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run what is due until told to stop."""
    database = await Database.open(settings.require_url("worker"), name="analytics-jobs", max_size=3)
    try:
        await run_jobs(database, (), PERIODICS, stop, service="analytics", measures=(measure_drift,))
    finally:
        await database.close()
