"""What delivery tells about campaigns."""

from pydantic import Field

from common.contracts.base import UUID, EventData, StateData


class DeliveryProgressedV1(StateData):
    """The ledger's counters of one campaign, absolute.

    eligible = sent + Σ failed + suppressed + uncertain + expired + cancelled + open; deferred is part of open.
    """

    campaign_id: UUID
    eligible: int | None = Field(None, description="audience.closed's figure, once known")
    rows: int
    sent: int = 0
    failed: dict[str, int] = {}
    suppressed: int = 0
    uncertain: int = 0
    expired: int = 0
    cancelled: int = 0
    open: int = 0
    deferred: int = 0
    state_revision: int = Field(
        0, description="the campaign.state revision applied, with no message of the campaign under an intent"
    )
    final: bool = Field(False, description="open = 0, rows = eligible, and the ledger was recounted")


class DeliveryHeldV1(EventData):
    """Delivery paused a campaign by itself; `resume` lifts it."""

    campaign_id: UUID
    reason: str
    state_revision: int | None = Field(
        None, description="the campaign.state revision under which it was held; a later `running` has lifted it"
    )
