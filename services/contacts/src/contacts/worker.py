"""Process: the consumers of contacts."""

import asyncio

from common.consumer.process import run_consumers
from common.db.pool import Database

from contacts.consumers.subscriptions import consumers
from contacts.settings import Settings


async def run(settings: Settings, stop: asyncio.Event, only: str | None = None) -> None:
    """Consume until told to stop. `only` names consumers by commas: main, access."""
    database = await Database.open(settings.require_url("worker"), name="contacts-worker")
    try:
        await run_consumers(consumers(), database, settings, stop, only)
    finally:
        await database.close()
