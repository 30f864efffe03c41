"""lead.merged: a person who was two contacts is not written to twice by one campaign."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import LeadMergedV1
from common.db.pool import Connection

from delivery import events as told
from delivery.db import messages


async def spare_merged(tx: Connection, events: Sequence[Received[LeadMergedV1]]) -> None:
    """What still waits for the merged contact is left out where the other one is in the same campaign.

    The ledger keeps the ids that it has: whose mail it was is for contacts to say, who has the aliases.
    """
    pairs = [(e.workspace_id, e.data.merged_id, e.data.contact_id) for e in events if e.data.active]
    if pairs:
        await told.statuses(tx, await messages.spare_merged(tx, pairs))
