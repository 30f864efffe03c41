"""Process: the links of mails. Answers opens and clicks even while the database is away."""

import asyncio

from common.clock import SYSTEM_CLOCK
from common.db.pool import Database
from common.link_tokens import TokenKeys
from common.web.server import serve

from delivery.api.tracking import Tracking
from delivery.settings import Settings
from delivery.use_cases.composing import Composer
from delivery.use_cases.group_commit import GroupCommit

DRAIN_S = 10.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop; then commit what waits."""
    keys = TokenKeys(settings.link_key_ring())
    database = await Database.open(settings.require_url("api"), name="delivery-tracker", max_size=6)
    kept = GroupCommit(database)
    committing = asyncio.create_task(kept.run())
    composer = Composer(database, keys, settings.public_url, SYSTEM_CLOCK)
    try:
        await serve(
            Tracking(database, keys, kept, composer),
            settings.tracker_host,
            settings.tracker_port,
            stop,
            setting="DELIVERY_TRACKER_PORT",
        )
        kept.close()
        await asyncio.wait([committing], timeout=DRAIN_S)
    finally:
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        await database.close()
