"""Process: the consumers of campaigns."""

import asyncio

from common.consumer.process import run_consumers
from common.db.pool import Database

from campaigns.consumers.subscriptions import consumers
from campaigns.settings import Settings


async def run(settings: Settings, stop: asyncio.Event, only: str | None = None) -> None:
    """Consume until told to stop. `only` names consumers by commas: main, access."""
    database = await Database.open(settings.require_url("worker"), name="campaigns-worker")
    try:
        await run_consumers(consumers(), database, settings, stop, only)
    finally:
        await database.close()
