"""Process: the consumers of analytics. `--only scoring` runs lead scoring alone, so that it scales by itself."""

import asyncio
from datetime import UTC, datetime

import structlog
from common.consumer.process import chosen_of, run_consumers
from common.db.pool import TRANSIENT, Database

from analytics.consumers.subscriptions import consumers
from analytics.settings import Settings
from analytics.use_cases.scoring import BATCH, score_due_contacts

SCORING_PERIOD_S = 0.5

_log = structlog.get_logger("barid.analytics.scoring")


async def run(settings: Settings, stop: asyncio.Event, only: str | None = None) -> None:
    """Consume until told to stop. `only` names consumers by commas: ingest, scoring, access."""
    chosen = {one.name for one in chosen_of(consumers(settings.click_settle_s), only)}
    database = await Database.open(settings.require_url("worker"), name="analytics-worker")
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                run_consumers(consumers(settings.click_settle_s), database, settings, stop, only), name="consumers"
            )
            if "analytics.scoring" in chosen:
                tasks.create_task(score_for_ever(database, stop), name="scoring")
    finally:
        await database.close()


async def score_for_ever(database: Database, stop: asyncio.Event) -> None:
    """Score contacts as their time comes, a batch a transaction. Several processes share the work."""
    while not stop.is_set():
        scored = 0
        try:
            async with database.transaction() as tx:
                scored = await score_due_contacts(tx, datetime.now(UTC))
        except TRANSIENT as error:
            _log.warning("scores not stored; trying again", error=type(error).__name__)
        if scored < BATCH:
            try:
                await asyncio.wait_for(stop.wait(), SCORING_PERIOD_S)
            except TimeoutError:
                continue
