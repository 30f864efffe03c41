"""Pause, resume, cancel: each is the next revision of a state that delivery obeys."""

import asyncpg
from common.db.pool import Connection

from campaigns import events
from campaigns.db import campaigns as rows
from campaigns.db import lives
from campaigns.domain.lifecycle import Life, Wish, status, wished
from campaigns.errors import CampaignFinished, NotRunning
from campaigns.use_cases import campaigns


async def pause(tx: Connection, row: asyncpg.Record) -> asyncpg.Record:
    """`pausing` until delivery confirms. A second time changes nothing. Raises NotRunning, CampaignFinished."""
    life = _running(row)
    return row if life.wish == "paused" else await _wish(tx, row, life, "paused")


async def resume(tx: Connection, row: asyncpg.Record) -> asyncpg.Record:
    """Running again, whoever paused it. A second time changes nothing. Raises NotRunning, CampaignFinished."""
    life = _running(row)
    return row if status(life)[0] == "running" else await _wish(tx, row, life, "running")


async def cancel(tx: Connection, row: asyncpg.Record) -> asyncpg.Record:
    """No message more, for good. A second time changes nothing. Raises NotRunning, CampaignFinished."""
    if row["status"] == "cancelled":
        return row
    if row["status"] == "scheduled":
        await rows.end_unstarted(tx, row["workspace_id"], row["id"], "cancelled", None, None)
        return await campaigns.get(tx, row["workspace_id"], row["id"])
    return await _wish(tx, row, _running(row), "cancelled")


def _running(row: asyncpg.Record) -> Life:
    if row["status"] in ("completed", "cancelled", "failed"):
        raise CampaignFinished(f"The campaign is {row['status']}", status=row["status"])
    if row["wish"] is None:
        raise NotRunning(
            f"The campaign is {row['status']}, it was never started",
            mend="Start it with POST /start.",
            status=row["status"],
        )
    return lives.from_row(row)


async def _wish(tx: Connection, row: asyncpg.Record, life: Life, wish: Wish) -> asyncpg.Record:
    after = wished(life, wish)
    await lives.store(tx, [after])
    await events.campaign_state(tx, after)
    return await campaigns.get(tx, row["workspace_id"], row["id"])
