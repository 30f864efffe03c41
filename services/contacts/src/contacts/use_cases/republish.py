"""Telling others again what they keep of contacts, when one of them lost it."""

import asyncio
from uuid import UUID

from common.db.pool import Database

from contacts.db.republish import TELLINGS, What, tell

BATCH = 2000


async def republish(db: Database, what: What, stop: asyncio.Event, *, batch: int = BATCH) -> tuple[int, bool]:
    """Publish every present state once more; how many events, and whether it got to the end.

    May be stopped and begun again at any time: who has a revision already ignores it.
    """
    told = 0
    for telling in TELLINGS[what]:
        after = [UUID(int=0)] * len(telling.key)
        while not stop.is_set():
            async with db.transaction() as tx:
                page = await tell(tx, telling, after, batch)
            if page is None:
                break
            after, count = page
            told += count
    return told, not stop.is_set()
