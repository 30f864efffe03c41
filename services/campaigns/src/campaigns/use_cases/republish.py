"""Telling again what other services keep of workspaces and senders, when one of them lost it."""

from common.db.pool import Database

from campaigns import events
from campaigns.db import senders, workspaces

BATCH = 500


async def republish(db: Database) -> int:
    """Every workspace and sender once more, at its present revision: who has it already ignores it."""
    told = 0
    for page, tell in ((workspaces.everywhere, events.workspace_changed), (senders.everywhere, events.sender_changed)):
        after = None
        while True:
            async with db.transaction() as tx:
                rows = await page(tx, after, BATCH)
                for row in rows:
                    await tell(tx, row)
            told += len(rows)
            if len(rows) < BATCH:
                break
            after = rows[-1]
    return told
