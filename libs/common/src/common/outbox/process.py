"""The relay process of a service."""

import asyncio
import contextlib

import structlog

from common.bus import open_producer
from common.bus.upkeep import keep
from common.db.pool import Database
from common.outbox.relay import run_relay
from common.settings import ServiceSettings

log = structlog.get_logger(__name__)


async def run(service: str, settings: ServiceSettings, stop: asyncio.Event) -> None:
    """Move the service's outbox to the bus until stopped; keep the bus's own house beside it."""
    db = await Database.open(settings.require_url("worker"), name=f"{service} relay", max_size=2)
    upkeep = asyncio.create_task(keep(settings), name="bus upkeep")
    try:
        async with open_producer(settings) as producer:
            await run_relay(db, producer, stop, service)
    finally:
        upkeep.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await upkeep
        await db.close()
