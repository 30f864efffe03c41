"""What contacts tells about who is in a campaign, and why others are not."""

from typing import Annotated

from pydantic import Field

from common.contracts.base import UUID, EventData, JsonObject, Plain
from common.contracts.leads import Tracking

BATCH_RECIPIENTS = 500
BATCH_BYTES = 512 * 1024


class Recipient(Plain):
    """One frozen eligible contact. `gone`: erased since, so only the id is left."""

    contact_id: UUID
    gone: bool = False
    email: str | None = None
    language: str | None = None
    timezone: str | None = None
    country: str | None = None
    tracking: Tracking = "none"
    fields: JsonObject = Field({}, description="only what the content names: first_name, attributes.<name>, …")


class AudienceBatchV1(EventData):
    """Part n (from 0) of a frozen audience; at most 500 recipients and 512 KiB."""

    campaign_id: UUID
    n: Annotated[int, Field(ge=0)]
    recipients: Annotated[list[Recipient], Field(max_length=BATCH_RECIPIENTS)]


class AudienceClosedV1(EventData):
    """The frozen audience is published whole: audience = Σ excluded + eligible."""

    campaign_id: UUID
    audience: int
    excluded: dict[str, int]
    eligible: int
    batches: int


class AudienceRejectedV1(EventData):
    """An audience could not be frozen, for instance because a segment is not this workspace's."""

    campaign_id: UUID
    reason: str
    detail: str
