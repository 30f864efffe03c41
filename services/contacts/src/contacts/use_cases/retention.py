"""Keeping each kind of data no longer than the workspace wants it kept."""

import structlog
from common.db.pool import Database

from contacts.db import duplicates, retention
from contacts.domain.retention import KINDS, effective

_AT_ONCE = 2_000

_log = structlog.get_logger("barid.contacts")


async def enforce_everywhere(db: Database) -> None:
    """The periodic job: take out what is too old, batch by batch, in every workspace."""
    async with db.transaction() as tx:
        workspaces = await duplicates.workspaces(tx)
    for workspace_id in workspaces:
        async with db.transaction(workspace_id) as tx:
            row = await retention.get(tx, workspace_id)
        days_of = effective(row["days"] if row else {})
        for kind in KINDS:
            days, gone, batch = days_of[kind], 0, _AT_ONCE
            while days is not None and batch == _AT_ONCE:
                async with db.transaction(workspace_id) as tx:
                    batch = await retention.remove(tx, workspace_id, kind, days, _AT_ONCE)
                gone += batch
            if gone:
                _log.info("took out what was kept long enough", workspace_id=str(workspace_id), kind=kind, rows=gone)
