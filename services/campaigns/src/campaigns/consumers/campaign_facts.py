"""audience.closed, audience.rejected, delivery.progressed, delivery.held: facts about a started campaign."""

from collections.abc import Sequence
from functools import partial

from common.contracts.audiences import AudienceClosedV1, AudienceRejectedV1
from common.contracts.delivery import DeliveryHeldV1, DeliveryProgressedV1
from common.contracts.envelope import Received
from common.db.pool import Connection

from campaigns.domain.lifecycle import (
    Hold,
    Life,
    Progress,
    Rejection,
    Totals,
    with_hold,
    with_progress,
    with_rejection,
    with_totals,
)
from campaigns.use_cases import facts


async def keep_totals(tx: Connection, batch: Sequence[Received[AudienceClosedV1]]) -> None:
    """Who was asked for, and why others are left out."""
    await facts.apply(
        tx,
        (
            (
                event.workspace_id,
                event.data.campaign_id,
                partial(with_totals, totals=Totals(event.data.audience, event.data.excluded, event.data.eligible)),
            )
            for event in batch
        ),
    )


async def fail(tx: Connection, batch: Sequence[Received[AudienceRejectedV1]]) -> None:
    """An audience that cannot be frozen ends its campaign."""
    await facts.apply(
        tx,
        (
            (
                event.workspace_id,
                event.data.campaign_id,
                partial(with_rejection, rejection=Rejection(event.data.reason, event.data.detail)),
            )
            for event in batch
        ),
    )


async def keep_progress(tx: Connection, batch: Sequence[Received[DeliveryProgressedV1]]) -> None:
    """Delivery's counts, absolute; the highest revision stands."""
    await facts.apply(
        tx,
        (
            (
                event.workspace_id,
                event.data.campaign_id,
                partial(with_progress, progress=Progress(**event.data.model_dump(exclude={"campaign_id"}))),
            )
            for event in batch
        ),
    )


async def hold(tx: Connection, batch: Sequence[Received[DeliveryHeldV1]]) -> None:
    """Delivery stopped by itself: paused, with the reason, until somebody resumes."""
    await facts.apply(
        tx,
        ((event.workspace_id, event.data.campaign_id, partial(_hold, held=event.data)) for event in batch),
    )


def _hold(life: Life, held: DeliveryHeldV1) -> Life:
    revision = life.state_revision if held.state_revision is None else held.state_revision
    return with_hold(life, Hold(revision, held.reason))
