"""What a transport needs done from time to time. Any process may do it; it is idempotent."""

import asyncio

import structlog

from common.db.pool import TRANSIENT
from common.settings import SharedSettings

log = structlog.get_logger(__name__)
EVERY_S = 3600.0


async def keep(settings: SharedSettings) -> None:
    """Partitions and retention of the log, now and every hour; for ever."""
    if settings.bus != "postgres":
        return
    from common.bus.postgres import shared, upkeep

    async with shared(settings.require_bus_database()) as bus:
        while True:
            wait = EVERY_S
            try:
                if removed := await upkeep.upkeep(bus.db):
                    log.info("bus_personal_rows_removed", rows=removed)
            except TRANSIENT as error:
                log.warning("bus_upkeep_failed", error=str(error))
                wait = 60.0
            await asyncio.sleep(wait)
