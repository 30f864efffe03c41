"""What contacts tells about people."""

from typing import Annotated, Literal

from pydantic import Field

from common.contracts.base import UUID, AwareDatetime, EventData, Hash, JsonObject, Plain, StateData

Service = Literal["contacts", "campaigns", "delivery", "analytics"]
ConsentStatus = Literal["subscribed", "unsubscribed", "pending", "none"]
Tracking = Literal["individual", "none"]
Stage = Literal["subscriber", "lead", "marketing_qualified", "sales_qualified", "opportunity", "customer"]


class PurposeConsent(Plain):
    """Where a contact stands with one purpose."""

    purpose_id: UUID
    status: ConsentStatus


class LeadData(StateData):
    """A contact, whole."""

    contact_id: UUID
    email: str
    first_name: str | None = None
    last_name: str | None = None
    language: str | None = None
    timezone: str | None = None
    country: str | None = None
    external_id: str | None = None
    phone: str | None = Field(None, description="as it was typed")
    phone_normalised: str | None = Field(None, description="E.164, if it can be called")
    company: str | None = None
    city: str | None = None
    owner: str | None = Field(None, description="the id of the member who looks after the contact")
    stage: Stage = "lead"
    attributes: JsonObject = {}
    tags: list[str] = []
    consents: list[PurposeConsent] = []
    tracking: Tracking = "none"
    created_at: AwareDatetime


class LeadCreatedV1(LeadData):
    """A contact was stored for the first time, with its first consent."""


class LeadUpdatedV1(LeadData):
    """A contact changed. Not published for scores."""


class LeadMergedV1(StateData):
    """Two contacts are one person: `merged_id` has become `contact_id`. Not `active`: that was taken back.

    The revision counts per merged contact. What was told of the merged one before or is told later is the other's.
    """

    merged_id: UUID
    contact_id: UUID
    active: bool


class LeadErasedV1(EventData):
    """A person's data must go everywhere; the ids stay as a permanent tombstone."""

    contact_id: UUID
    request_id: UUID
    address_hashes: list[Hash]


class ErasureDoneV1(EventData):
    """One service has erased a person's data."""

    contact_id: UUID
    request_id: UUID
    service: Service


class LeadExportRequestedV1(EventData):
    """A person asks for their data: every service tells what it keeps of them."""

    contact_id: UUID
    request_id: UUID
    address_hashes: list[Hash]
    merged_ids: list[UUID] = Field([], description="contacts that have become this one")


class LeadExportedV1(EventData):
    """What one service keeps of a person, or a part of it; parts are numbered from 1."""

    contact_id: UUID
    request_id: UUID
    service: Service
    n: Annotated[int, Field(ge=1)]
    last: bool = Field(description="no part has a higher number")
    tables: dict[str, list[JsonObject]]


class ConsentChangedV1(StateData):
    """Where a contact stands with a purpose now; anything but `subscribed` blocks it for that purpose.

    The revision counts per contact and purpose.
    """

    contact_id: UUID
    purpose_id: UUID
    status: ConsentStatus
    caused_by: UUID | None = Field(None, description="the id of the delivery block this answers or lifts")
    paused_until: AwareDatetime | None = Field(
        None, description="the person wants no mail until then: `none` meanwhile, and told again at its end"
    )


class SuppressionChangedV1(StateData):
    """An address or domain that must (or may again) be mailed in this workspace. Carries no address.

    The revision counts per workspace, scope and hash.
    """

    suppression_id: UUID
    scope: Literal["address", "domain"]
    hash: Hash
    reason: str
    active: bool
    caused_by: UUID | None = None


class SegmentChangedV1(StateData):
    """A segment exists, was renamed or deleted."""

    segment_id: UUID
    name: str
    deleted: bool = False


class ListChangedV1(StateData):
    """A list exists, was renamed or deleted."""

    list_id: UUID
    name: str
    deleted: bool = False


MoveCause = Literal["changed", "time", "rule"]


class SegmentMove(StateData):
    """Where a contact stands with a segment. The revision counts over both events of a workspace: the highest stands.

    The cause: something about the contact changed, time went by, or the segment's rule was changed. Nobody is told of
    those whom a new segment finds inside, nor of those who are inside when it is deleted.
    """

    contact_id: UUID
    segment_id: UUID
    cause: MoveCause


class SegmentEnteredV1(SegmentMove):
    """The segment's rule holds for the contact, and did not before."""


class SegmentLeftV1(SegmentMove):
    """The segment's rule no longer holds for the contact."""


class ContactActivityV1(EventData):
    """A contact did something elsewhere that the workspace has defined, such as attending a webinar.

    The event's id is that of the activity. What Barid itself sees of mail is told by `email.*`.
    """

    contact_id: UUID
    type: Annotated[str, Field(description="the defined name: webinar.attended")]
    occurred_at: AwareDatetime
    properties: JsonObject = {}


class LeadScoredV1(StateData):
    """A contact's score changed (at most one event per contact and second)."""

    contact_id: UUID
    score: float
    grade: Annotated[str, Field(max_length=2)]
    reasons: list[str] = Field([], description="the rules that count most, by key")
