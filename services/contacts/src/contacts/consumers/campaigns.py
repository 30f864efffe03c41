"""What campaigns tell: started (its audience is to be frozen), their state, and that their books are closed.

They come in any order and more than once; each only ever adds what it knows to the campaign's row.
"""

from collections.abc import Sequence

from common.contracts.campaigns import CampaignCompletedV1, CampaignStartedV1, CampaignStateV1
from common.contracts.envelope import Received
from common.db.pool import Connection
from common.jobs import enqueue

from contacts.db import audiences
from contacts.use_cases.audiences import FREEZE_AUDIENCE


async def request_audiences(tx: Connection, events: Sequence[Received[CampaignStartedV1]]) -> None:
    """One audience for each campaign, however often it starts."""
    first = {(event.workspace_id, event.data.campaign_id): event for event in reversed(events)}
    new = await audiences.start(
        tx,
        [workspace_id for workspace_id, _ in first],
        [campaign_id for _, campaign_id in first],
        [event.data.purpose_id for event in first.values()],
        [event.data.audience.model_dump(mode="json") for event in first.values()],
        [event.data.fields for event in first.values()],
    )
    for row in new:
        ids = {"workspace_id": str(row["workspace_id"]), "campaign_id": str(row["campaign_id"])}
        await enqueue(
            tx,
            FREEZE_AUDIENCE.name,
            ids,
            workspace_id=row["workspace_id"],
            unique_key=f"{row['workspace_id']}/{row['campaign_id']}",
        )


async def keep_campaign_states(tx: Connection, events: Sequence[Received[CampaignStateV1]]) -> None:
    """The state of the highest revision stands. Freezing goes on whatever it is: the books must close."""
    await audiences.set_states(
        tx,
        [event.workspace_id for event in events],
        [event.data.campaign_id for event in events],
        [event.data.state for event in events],
        [event.data.revision for event in events],
    )


async def keep_campaign_ends(tx: Connection, events: Sequence[Received[CampaignCompletedV1]]) -> None:
    """When the books of a campaign were closed."""
    await audiences.complete(
        tx,
        [event.workspace_id for event in events],
        [event.data.campaign_id for event in events],
        [event.time for event in events],
    )
