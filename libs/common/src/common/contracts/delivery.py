"""What delivery tells about campaigns and sending domains."""

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


class DomainChangedV1(StateData):
    """A sending domain, whole. Mail from it is aligned (RFC 9989) where receivers find the key that signs it."""

    domain_id: UUID
    domain: str = Field(description="A-labels, lower case")
    verified: bool = Field(description="the workspace's own DKIM key is published, and signs")
    subdomains: bool = Field(False, description="its signature stands for senders at its subdomains too")
    failing: list[str] = Field([], description="checks that need somebody: dkim, spf, dmarc, return_path, mx, ptr")
    deleted: bool = False
