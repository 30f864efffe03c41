"""Process: the consumers of campaigns."""

import asyncio
import contextlib

import structlog
from common.consumer.process import run_consumers
from common.db.pool import TRANSIENT, Database

from campaigns.consumers.contacts import CONSUMER
from campaigns.consumers.subscriptions import consumers
from campaigns.db import projections
from campaigns.settings import Settings

ALIVE_EVERY_S = 5.0

_log = structlog.get_logger("barid.campaigns")


async def run(settings: Settings, stop: asyncio.Event, only: str | None = None) -> None:
    """Consume until told to stop. `only` names consumers by commas: main, access."""
    database = await Database.open(settings.require_url("worker"), name="campaigns-worker")
    alive = asyncio.create_task(_say_alive(database, only), name="alive")
    try:
        await run_consumers(consumers(), database, settings, stop, only)
    finally:
        alive.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await alive
        await database.close()


async def _say_alive(database: Database, only: str | None) -> None:
    """While nobody consumes, the API must not take a missing segment for one that does not exist."""
    while only in (None, CONSUMER, CONSUMER.partition(".")[2]):
        try:
            async with database.transaction() as tx:
                await projections.alive(tx, CONSUMER)
        except TRANSIENT as error:
            _log.warning("sign of life not stored", error=type(error).__name__)
        await asyncio.sleep(ALIVE_EVERY_S)
