"""Events that waited for their contact, and what becomes of them."""

from datetime import timedelta

import structlog
from common import metrics
from common.db.pool import Database

from contacts.db import parked_events
from contacts.db.outside_events import Happened
from contacts.use_cases.outside_events import store

_AT_ONCE = 2_000
_MAY_HAVE_MISSED = timedelta(minutes=15)  # longer than a transaction that stores contacts may be open

_log = structlog.get_logger("barid.contacts")


async def join_parked(db: Database) -> None:
    """Store events whose contact has appeared as that contact's activity."""
    async with db.transaction() as tx:
        workspaces = await parked_events.workspaces_with_found(tx)
    for workspace_id in workspaces:
        more = True
        while more:
            async with db.transaction(workspace_id) as tx:
                found = await parked_events.take_found(tx, workspace_id, _AT_ONCE)
                await store(tx, workspace_id, [Happened(*row) for row in found])
            metrics.PARKED_EVENTS.labels("joined").inc(len(found))
            more = len(found) == _AT_ONCE


async def tend_parked(db: Database) -> None:
    """Look again for contacts that were on their way, and forget what waited too long."""
    async with db.transaction() as tx:
        await parked_events.look_again(tx, _MAY_HAVE_MISSED)
    gone = _AT_ONCE
    while gone == _AT_ONCE:
        async with db.transaction() as tx:
            gone = await parked_events.forget_expired(tx, _AT_ONCE)
        metrics.PARKED_EVENTS.labels("expired").inc(gone)
        if gone:
            _log.warning("events expired before their contact appeared", events=gone)
