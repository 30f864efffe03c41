"""Filling what can be concluded about contacts: a periodic job, over those that were stored or changed since.

A change is looked at within minutes. Nothing is done where contacts are written, so imports pay nothing for it; a
batch that is done twice changes nothing.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from common.db.pool import Connection, Database
from common.outbox.writer import IMPORT_LANE

from contacts import events
from contacts.db import duplicates, enrichment
from contacts.db.import_undo import consents_of
from contacts.domain.enrichment import RULES, TOLD, enriched

_AT_ONCE = 2_000
_OVERLAP = timedelta(minutes=15)  # longer than a transaction that stores contacts may be open
_FIRST = UUID(int=0)
_EVER = datetime(2000, 1, 1, tzinfo=UTC)


async def enrich_everywhere(db: Database) -> None:
    """The periodic job: every workspace, one after the other."""
    async with db.transaction() as tx:
        found = await duplicates.workspaces(tx)
    for workspace_id in found:
        await enrich(db, workspace_id)


async def enrich(db: Database, workspace_id: UUID) -> None:
    """Look at what was stored or changed since the last time; all contacts, if the rules are new."""
    async with db.transaction(workspace_id) as tx:
        begun = await enrichment.begin(tx, workspace_id, RULES)
    if begun is None:
        return
    since: datetime = begun["since"] or _EVER
    after: UUID | None = _FIRST
    while after is not None:
        async with db.transaction(workspace_id) as tx:
            after = await _step(tx, workspace_id, after, since, begun["at"])
    async with db.transaction(workspace_id) as tx:
        await enrichment.seen(tx, workspace_id, RULES, begun["at"])


async def _step(tx: Connection, workspace_id: UUID, after: UUID, since: datetime, at: datetime) -> UUID | None:
    """A batch; the last contact's id, None at the end."""
    looked_at = await enrichment.changed(tx, workspace_id, after, since, _OVERLAP, _AT_ONCE)
    wanting = [one["id"] for one in looked_at if enriched(dict(one), at)]
    locked = await enrichment.lock(tx, workspace_id, wanting) if wanting else []
    better = [
        {**one, **found, "told": any(name in found for name in TOLD)}
        for one in locked
        if (found := enriched(dict(one), at))
    ]
    written = await enrichment.write(tx, workspace_id, better) if better else []
    told = sorted((one for one in written if one["told"]), key=lambda one: one["id"])
    consents = await consents_of(tx, workspace_id, [one["id"] for one in told]) if told else {}
    updated = [events.lead_updated(one, consents[one["id"]]) for one in told]
    await events.publish(tx, events.in_lane(updated, IMPORT_LANE))
    return looked_at[-1]["id"] if len(looked_at) == _AT_ONCE else None
