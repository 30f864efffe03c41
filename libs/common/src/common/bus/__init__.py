"""Opening the bus that the settings name."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from common.bus.port import Producer, Reader
from common.errors import Misconfigured
from common.settings import SharedSettings


@asynccontextmanager
async def open_producer(settings: SharedSettings) -> AsyncIterator[Producer]:
    """A producer on the configured transport."""
    from common.bus.postgres import shared

    async with shared(_postgres_url(settings)) as bus:
        yield bus.producer()


@asynccontextmanager
async def open_reader(settings: SharedSettings, group: str, topics: Sequence[str]) -> AsyncIterator[Reader]:
    """A member of a group on the configured transport; leaves the group at the end."""
    from common.bus.postgres import shared

    async with shared(_postgres_url(settings)) as bus:
        reader = bus.reader(group, topics)
        try:
            yield reader
        finally:
            await reader.close()


def _postgres_url(settings: SharedSettings) -> str:
    if settings.bus != "postgres":
        raise Misconfigured(f"BARID_BUS={settings.bus} is not built into this version; set BARID_BUS=postgres")
    return settings.require_bus_database()
