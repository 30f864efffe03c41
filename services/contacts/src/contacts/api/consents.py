"""`/v1/consents`: the ledger of who consented to what."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.deps import ActingCaller
from contacts.api.public_pages import links
from contacts.api.schemas import ConsentIn, ConsentOut, ConsentRecordOut, Time, consents_out
from contacts.db import consents, contacts
from contacts.domain.may_mail import Reason
from contacts.domain.pages.languages import Language
from contacts.errors import ContactNotFound, SenderUnknown, UnknownPurpose
from contacts.use_cases.confirmations import Asked, ask_by_id
from contacts.use_cases.consents import record_consent
from contacts.use_cases.may_mail import may_mail
from contacts.use_cases.purposes import list_purposes, resolve_purpose

router = service_router("/consents", "consents")
of_contacts = service_router("/contacts", "consents")


class ConsentCreate(ConsentIn):
    """A new line of the ledger."""

    contact_id: UUID


class ConfirmationRequest(BaseModel):
    """Whom to ask, for which purpose, and from whom."""

    model_config = ConfigDict(extra="forbid")

    contact_id: UUID
    sender_id: UUID
    purpose: str = "newsletter"
    source: Annotated[str, Field(min_length=1, max_length=150, pattern=r"^[^\x00]+$")] = "api"
    language: Language = "en"


class ConfirmationAsked(BaseModel):
    """What came of it."""

    outcome: Asked


class ConsentState(BaseModel):
    """Where a contact stands now."""

    contact_id: UUID
    consents: list[ConsentOut]


@router.post(
    "",
    status_code=201,
    dependencies=[allow("consents:write")],
    responses=problems(ContactNotFound, UnknownPurpose),
)
async def create_consent(body: ConsentCreate, tx: Tx, caller: Caller, actor: ActingCaller) -> ConsentState:
    """Record that a contact consented, or took it back. The ledger is never changed, only added to."""
    states = await record_consent(tx, caller.workspace_id, body.contact_id, body.to_new(), actor)
    keys = {purpose.id: purpose.key for purpose in await list_purposes(tx, caller.workspace_id)}
    return ConsentState(contact_id=body.contact_id, consents=consents_out(states, keys))


@router.post(
    "/confirmations",
    status_code=202,
    dependencies=[allow("consents:write")],
    responses=problems(ContactNotFound, UnknownPurpose, SenderUnknown),
)
async def request_confirmation(
    body: ConfirmationRequest, tx: Tx, caller: Caller, actor: ActingCaller, request: Request
) -> ConfirmationAsked:
    """Ask the owner of a contact's address by mail whether mail for a purpose is wanted (double opt-in).

    An address is asked at most once in 24 hours, whoever asks and for whatever purpose.
    """
    purpose = await resolve_purpose(tx, caller.workspace_id, body.purpose)
    outcome = await ask_by_id(
        tx,
        links(request),
        caller.workspace_id,
        body.contact_id,
        purpose,
        body.sender_id,
        body.source,
        body.language,
        actor,
    )
    return ConfirmationAsked(outcome=outcome)


@router.get("", dependencies=[allow("consents:read")], responses=problems(ContactNotFound))
async def list_consents(
    contact_id: Annotated[UUID, Query()], tx: Tx, caller: Caller, paging: Paging
) -> Page[ConsentRecordOut]:
    """The ledger of one contact, the newest first."""
    if await contacts.get(tx, caller.workspace_id, contact_id) is None:
        raise ContactNotFound(contact_id=str(contact_id))
    before = paging.after(UUID)
    rows = await consents.history(tx, caller.workspace_id, contact_id, before[0] if before else None, paging.limit + 1)
    return page(rows, paging, lambda row: ConsentRecordOut.model_validate(dict(row)), lambda row: (row["id"],))


class SuppressionRecordOut(BaseModel):
    """A state that a suppression was in."""

    suppression_id: UUID
    scope: Literal["address", "domain"]
    reason: str
    actor: str
    expires_at: datetime | None
    at: datetime


class DecisionOut(BaseModel):
    """Whether a purpose's mail might go to the contact, and what decided."""

    purpose: str
    purpose_id: UUID
    may_mail: bool
    reason: Reason
    explanation: str = Field(description="why, in words")
    record: ConsentRecordOut | None = Field(description="the latest line of the ledger by then")
    suppression: SuppressionRecordOut | None = Field(description="what stood in the way, whatever the ledger says")


class TrackingDecisionOut(BaseModel):
    """Whether what the contact opens and clicks might be counted."""

    may_track: bool
    record: ConsentRecordOut | None = Field(description="null: nothing in the ledger; the contact's own setting counts")


class Decisions(BaseModel):
    """May we mail? At one time, for every purpose."""

    contact_id: UUID
    as_of: datetime
    channel: Literal["email"] = "email"
    purposes: list[DecisionOut]
    tracking: TrackingDecisionOut


@of_contacts.get(
    "/{contact_id}/consents", dependencies=[allow("consents:read")], responses=problems(ContactNotFound, UnknownPurpose)
)
async def get_contact_consents(
    contact_id: UUID,
    tx: Tx,
    caller: Caller,
    as_of: Annotated[Time | None, Query(description="without it, now")] = None,
    purpose: Annotated[str | None, Query(description="a purpose's key; without it, all")] = None,
) -> Decisions:
    """May we mail this contact, or might we have at a time: for each purpose the answer, why, and what decided.

    People who are erased still have their ledger, without what could name them.
    """
    at = as_of or datetime.now(UTC)
    found = await may_mail(tx, caller.workspace_id, contact_id, at, purpose)
    return Decisions(
        contact_id=contact_id,
        as_of=at,
        purposes=[
            DecisionOut(
                purpose=one.purpose.key,
                purpose_id=one.purpose.id,
                may_mail=one.decision.may_mail,
                reason=one.decision.reason,
                explanation=one.decision.explanation,
                record=ConsentRecordOut.model_validate(dict(one.line)) if one.line else None,
                suppression=SuppressionRecordOut.model_validate(dict(found.suppression)) if found.suppression else None,
            )
            for one in found.purposes
        ],
        tracking=TrackingDecisionOut(
            may_track=found.may_track,
            record=ConsentRecordOut.model_validate(dict(found.tracking)) if found.tracking else None,
        ),
    )
