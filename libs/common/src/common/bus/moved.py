"""Whether the settings name the bus that this installation's events are on (docs/adr/0017)."""

import asyncpg
import structlog

from common.bus.postgres import seal
from common.db.pool import Database
from common.errors import Misconfigured
from common.settings import SharedSettings

log = structlog.get_logger(__name__)


async def check(settings: SharedSettings) -> None:
    """Raise Misconfigured when events would be left behind on the other bus.

    A log that does not answer is passed over: what is in it stays there, and a sealed one takes nothing from anybody.
    """
    if settings.bus_database_url is None:
        return
    try:
        found = await _state(settings.bus_database_url.get_secret_value())
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        log.info("log_not_asked", error=type(error).__name__)
        return
    if settings.bus == "postgres" and found.drained_at is not None:
        raise Misconfigured(
            f"BARID_BUS=postgres, but `barid drain` moved this installation to Kafka at {found.drained_at:%F %TZ}:"
            " set BARID_BUS=kafka"
        )
    if settings.bus == "kafka" and found.drained_at is None and found.end > 1:
        raise Misconfigured(
            "BARID_BUS=kafka, but the log in BUS_DATABASE_URL was not drained: start with BARID_BUS=postgres, and run"
            " `barid drain`"
        )


async def _state(url: str) -> seal.LogState:
    database = await Database.open(url, name="bus check", max_size=1)
    try:
        async with database.connection() as connection:
            return await seal.state(connection)
    finally:
        await database.close()
