"""Process: the consumers of delivery."""

import asyncio

from common.consumer.process import run_consumers
from common.db.pool import Database

from delivery.consumers.subscriptions import consumers
from delivery.settings import Settings


async def run(settings: Settings, stop: asyncio.Event, only: str | None = None) -> None:
    """Consume until told to stop. `only` names consumers by commas: main, access."""
    pepper = settings.pepper_bytes()
    database = await Database.open(settings.require_url("worker"), name="delivery-worker")
    try:
        await run_consumers(consumers(pepper), database, settings, stop, only)
    finally:
        await database.close()
