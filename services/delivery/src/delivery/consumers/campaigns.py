"""campaign.started, campaign.state, campaign.completed and audience.closed, in any order."""

from collections.abc import Sequence

from common.contracts.audiences import AudienceClosedV1
from common.contracts.campaigns import CampaignCompletedV1, CampaignStartedV1, CampaignStateV1
from common.contracts.envelope import Received
from common.db.pool import Connection

from delivery.db import mailings


async def start_campaigns(tx: Connection, events: Sequence[Received[CampaignStartedV1]]) -> None:
    """Store what each campaign sends."""
    keys = sorted({(event.workspace_id, event.data.campaign_id) for event in events})
    await mailings.ensure(tx, keys)
    for event in events:
        data = event.data
        await mailings.start(
            tx,
            event.workspace_id,
            data.campaign_id,
            name=data.name,
            purpose_id=data.purpose_id,
            program_id=data.program_id,
            sender=data.sender.model_dump(mode="json"),
            content=data.content,
            tracking=data.tracking.model_dump(mode="json"),
            uncertain_policy=data.uncertain_policy,
            send_until=data.send_until,
            traceparent=event.traceparent,
        )
    await mailings.touch(tx, keys)


async def apply_states(tx: Connection, events: Sequence[Received[CampaignStateV1]]) -> None:
    """Apply the newest state of each campaign; waits for the marks under way."""
    keys = [(event.workspace_id, event.data.campaign_id) for event in events]
    await mailings.ensure(tx, sorted(set(keys)))
    await mailings.set_state(
        tx, keys, [event.data.state for event in events], [event.data.revision for event in events]
    )
    await mailings.touch(tx, sorted(set(keys)))


async def close_audiences(tx: Connection, events: Sequence[Received[AudienceClosedV1]]) -> None:
    """Note the closed totals."""
    keys = sorted({(event.workspace_id, event.data.campaign_id) for event in events})
    await mailings.ensure(tx, keys)
    for event in events:
        await mailings.close(tx, event.workspace_id, event.data.campaign_id, event.data.audience, event.data.eligible)
    await mailings.touch(tx, keys)


async def note_completed(tx: Connection, events: Sequence[Received[CampaignCompletedV1]]) -> None:
    """Note that the books are closed."""
    await mailings.ensure(tx, sorted({(event.workspace_id, event.data.campaign_id) for event in events}))
    for event in events:
        await mailings.complete(
            tx, event.workspace_id, event.data.campaign_id, event.data.outcome, event.data.final_revision
        )
