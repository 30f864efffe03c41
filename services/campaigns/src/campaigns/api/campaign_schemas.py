"""What callers send and get about campaigns."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from common.contracts.campaigns import UncertainPolicy
from common.web.etags import merge_patch
from pydantic import Field, ValidationError

from campaigns.api.schemas import Out, Strict
from campaigns.db.lives import from_row
from campaigns.domain.drafts import Audience, Draft, Ids, Mail, Moment, Tracking, Variants, before_patch
from campaigns.domain.lifecycle import Outcome, Status, balance
from campaigns.domain.text import Name
from campaigns.domain.warnings import Warned
from campaigns.errors import InvalidDraft

Email = Annotated[str, Field(min_length=3, max_length=320)]


class CampaignCreate(Draft):
    """A new campaign: a draft, which may lack anything but a name."""


class AudienceUpdate(Strict):
    """What to change of the audience."""

    segment_ids: Ids | None = None
    list_ids: Ids | None = None
    exclude_segment_ids: Ids | None = None


class TrackingUpdate(Strict):
    """What to change of the tracking."""

    opens: bool | None = None
    clicks: bool | None = None


class CampaignUpdate(Strict):
    """What to change (RFC 7396). Variants are replaced as a whole list."""

    name: Name | None = None
    sender_id: UUID | None = None
    purpose: str | None = None
    program_id: UUID | None = None
    audience: AudienceUpdate | None = None
    content: dict[str, Any] | None = None
    tracking: TrackingUpdate | None = None
    uncertain_policy: UncertainPolicy | None = None
    send_until: Moment | None = None

    def applied_to(self, draft: Draft) -> Draft:
        """The draft after the change. Raises InvalidDraft."""
        patch = self.model_dump(mode="json", exclude_unset=True)
        try:
            return Draft.model_validate(merge_patch(before_patch(draft, patch), patch))
        except ValidationError as error:
            raise InvalidDraft(
                [
                    {"where": "".join(f"/{part}" for part in e["loc"]), "code": e["type"], "detail": e["msg"]}
                    for e in error.errors(include_url=False)
                ]
            ) from error


class CampaignSchedule(Strict):
    """When to start; null takes the time away."""

    at: Moment | None


class CampaignTestRequest(Strict):
    """Where to send a test mail: with a contact's fields, or with samples."""

    to: Annotated[list[Email], Field(min_length=1, max_length=10)]
    contact_id: UUID | None = None
    variant_id: str | None = None


class CampaignTestRequested(Out):
    """The test mail is on its way."""

    id: UUID
    to: list[str]


class CampaignPreviewRequest(Strict):
    """Whose mail to show; without a contact, a sample."""

    contact_id: UUID | None = None
    variant_id: str | None = None


class CampaignPreviewOut(Out):
    """A mail as its recipient would get it."""

    subject: str
    html: str | None
    text: str
    variant_id: str
    language: str
    direction: str
    warnings: list[str]


class CampaignSummary(Out):
    """A campaign in a list."""

    id: UUID
    name: str
    status: Status
    reason: str | None = Field(description="why it is paused or failed, if nobody asked for it")
    detail: str | None
    sender_id: UUID | None
    purpose: str
    purpose_id: UUID
    program_id: UUID | None
    scheduled_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    updated_at: datetime
    revision: int


class BalanceOut(Out):
    """The books: audience = Σ excluded + eligible; eligible = sent + Σ failed + … + open; deferred is part of open.

    Balanced: both sums hold, the audience is known, and nothing is open.
    """

    audience: int | None
    excluded: dict[str, int]
    eligible: int | None
    sent: int
    failed: dict[str, int]
    suppressed: int
    uncertain: int
    expired: int
    cancelled: int
    open: int
    deferred: int
    balanced: bool


class CampaignOut(CampaignSummary):
    """A campaign, whole."""

    audience: Audience
    content: Mail | Variants | None
    tracking: Tracking
    uncertain_policy: UncertainPolicy
    send_until: datetime | None
    outcome: Outcome | None
    warnings: list[Warned] = Field(description="found at the start, or when it was scheduled")
    balance: BalanceOut | None = Field(description="null before the start")
    actions: list[Literal["start", "schedule", "pause", "resume", "cancel", "delete"]]


ACTIONS: dict[str, list[str]] = {
    "draft": ["start", "schedule", "delete"],
    "scheduled": ["start", "schedule", "cancel"],
    "running": ["pause", "cancel"],
    "pausing": ["resume", "cancel"],
    "paused": ["resume", "cancel"],
}


def campaign_out(row: asyncpg.Record) -> CampaignOut:
    """The answer for a row."""
    started = row["started_at"] is not None
    unstarted = [] if started else ["start", "schedule", "delete"]
    return CampaignOut.model_validate(
        {
            **row,
            "content": row["content"] or None,
            "balance": balance_out(row) if started else None,
            "actions": ACTIONS.get(row["status"], unstarted),
        }
    )


def balance_out(row: asyncpg.Record) -> BalanceOut:
    """The books of a campaign; before its start everything is zero and the audience is not known."""
    if row["wish"] is None:
        return BalanceOut.model_validate(balance(None, None), from_attributes=True)
    life = from_row(row)
    return BalanceOut.model_validate(balance(life.totals, life.progress), from_attributes=True)
