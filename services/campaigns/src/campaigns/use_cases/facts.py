"""What contacts and delivery tell about started campaigns: kept in any order, until the books close."""

from collections.abc import Callable, Iterable
from uuid import UUID

from common.db.pool import Connection

from campaigns import events
from campaigns.db import lives
from campaigns.domain.lifecycle import Life, settled

Change = Callable[[Life], Life]


async def apply(tx: Connection, changes: Iterable[tuple[UUID, UUID, Change]]) -> None:
    """Apply changes of (workspace, campaign) to the campaigns that exist here and were started."""
    by_campaign: dict[tuple[UUID, UUID], list[Change]] = {}
    for workspace_id, campaign_id, change in changes:
        by_campaign.setdefault((workspace_id, campaign_id), []).append(change)
    changed, closed = [], []
    for before in await lives.lock(tx, list(by_campaign)):
        after = before
        for change in by_campaign[before.workspace_id, before.campaign_id]:
            after = change(after)
        after = settled(after)
        if after == before:
            continue
        changed.append(after)
        if (after.outcome, after.final_revision) != (before.outcome, before.final_revision):
            closed.append(after)
    if changed:
        await lives.store(tx, changed)
        await events.campaigns_completed(tx, closed)
