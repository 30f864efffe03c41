"""`lead.scored`: show the score where the contact is."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import LeadScoredV1
from common.db.pool import Connection

from contacts.db import contacts


async def show_scores(tx: Connection, events: Sequence[Received[LeadScoredV1]]) -> None:
    """The highest revision of each contact."""
    latest = {
        (event.workspace_id, event.data.contact_id): event.data
        for event in sorted(events, key=lambda event: event.data.revision)
    }
    states = sorted(latest.items(), key=lambda item: item[0])
    await contacts.set_scores(
        tx,
        [workspace_id for (workspace_id, _), _ in states],
        [data.contact_id for _, data in states],
        [data.score for _, data in states],
        [data.grade for _, data in states],
        [data.revision for _, data in states],
    )
