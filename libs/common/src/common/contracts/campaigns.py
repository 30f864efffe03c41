"""What campaigns tells: workspaces, access, and the life of a campaign."""

from typing import Annotated, Literal

from pydantic import Field

from common.contracts.base import UUID, AwareDatetime, EventData, JsonObject, Plain, StateData

CONTENT_BYTES = 512 * 1024


class Purpose(Plain):
    """What a person consents to. Its wording is versioned, by language."""

    id: UUID
    key: str
    version: int = 1
    wording: dict[str, str] = {}


class WorkspaceChangedV1(StateData):
    """A workspace, whole."""

    workspace_id: UUID
    name: str
    postal_address: str | None = None
    tracking_mode: Literal["individual", "none"] = "none"
    languages: list[str] = ["en"]
    time_zone: str = "UTC"
    weekend: list[int] | None = Field(None, description="ISO weekdays; null: by the contact's country")
    purposes: list[Purpose] = []


class SenderChangedV1(StateData):
    """An identity that mail comes from."""

    sender_id: UUID
    name: str
    email: str
    reply_to: str | None = None
    deleted: bool = False


class AccessRevokedV1(EventData):
    """A token, or every token of a member, issued before `not_before` is worth nothing any more."""

    subject_kind: Literal["token", "member"]
    subject_id: UUID
    not_before: AwareDatetime


class Sender(Plain):
    """From and Reply-To of a mail."""

    name: str
    email: str
    reply_to: str | None = None


class AudienceRule(Plain):
    """Who is asked for: (segments ∪ lists) − excluded segments."""

    segment_ids: list[UUID] = []
    list_ids: list[UUID] = []
    exclude_segment_ids: list[UUID] = []


class TrackingWish(Plain):
    """What the campaign wants tracked; each recipient's tracking consent decides."""

    opens: bool = True
    clicks: bool = True


UncertainPolicy = Literal["hold", "retry_once"]


class CampaignStartedV1(EventData):
    """A campaign begins: everything that contacts and delivery need, once."""

    campaign_id: UUID
    name: str
    purpose_id: UUID
    program_id: UUID | None = None
    sender: Sender
    audience: AudienceRule
    fields: list[str] = Field([], description="the names the content uses")
    content: JsonObject = Field(description="content.CompiledMail as JSON, at most 512 KiB")
    tracking: TrackingWish = TrackingWish()
    uncertain_policy: UncertainPolicy = "hold"
    send_until: AwareDatetime | None = None


class CampaignStateV1(StateData):
    """Whether delivery may send now."""

    campaign_id: UUID
    state: Literal["running", "paused", "cancelled"]
    reason: str | None = None


class CampaignCompletedV1(EventData):
    """The books of a campaign are closed; `final_revision` names the delivery.progressed that closed them."""

    campaign_id: UUID
    outcome: Literal["completed", "cancelled", "failed"]
    final_revision: Annotated[int, Field(ge=0)]


class RequestedRecipient(Plain):
    """One recipient of a single or test mail, with the fields its content names."""

    email: str
    contact_id: UUID | None = None
    language: str | None = None
    fields: JsonObject = {}


class MessageRequestedV1(EventData):
    """Single mail: a test mail, a double opt-in, a report. `request_id` is its idempotency key."""

    request_id: UUID
    kind: Literal["test", "single"]
    sender: Sender
    content: JsonObject
    recipients: Annotated[list[RequestedRecipient], Field(min_length=1, max_length=100)]
    campaign_id: UUID | None = None
    purpose_id: UUID | None = None
    program_id: UUID | None = None
    variant_id: str | None = None
