"""Keeping how good each workspace's contacts are, so that a trend shows."""

from datetime import timedelta

from common.db.pool import Database

from contacts.db import data_quality, duplicates

_KEEP = timedelta(days=800)


async def reckon_everywhere(db: Database) -> None:
    """The periodic job: every workspace, one after the other."""
    async with db.transaction() as tx:
        found = await duplicates.workspaces(tx)
    for workspace_id in found:
        async with db.transaction(workspace_id) as tx:
            await data_quality.reckon(tx, workspace_id)
    async with db.transaction() as tx:
        await data_quality.forget(tx, _KEEP)
