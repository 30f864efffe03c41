"""/v1/messages: the ledger, row by row."""

import asyncio
import time
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
from common.contracts.addresses import InvalidAddress, normalise_address
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Query
from pydantic import BaseModel, ConfigDict

from delivery.db import mailings, messages
from delivery.domain.ledger import Status
from delivery.errors import AddressErased, CampaignCancelled, CampaignNotFound, MessageNotFound, NotUncertain
from delivery.use_cases.uncertain import resend_uncertain, resolve_uncertain

router = service_router("/messages", "messages")
_FIRST = UUID(int=0)
WAIT_S = 3.0
EVERY_S = 0.15


class Smtp(BaseModel):
    """The server's answer to the last attempt."""

    code: int | None
    enhanced: str | None
    text: str | None


class Attempt(BaseModel):
    """How one attempt ended."""

    attempt: int
    at: datetime
    status: Status
    reason: str | None
    smtp: Smtp


class MessageOut(BaseModel):
    """One mail to one person. `reason`: why it failed, was suppressed or is uncertain. `email` is normalised.
    `route_id`: the way out of the last attempt; null before the first, and over the platform's route.

    `history`: the attempts that did not succeed, in order, and the one that did.
    """

    id: UUID
    campaign_id: UUID | None
    contact_id: UUID | None
    kind: str
    email: str | None
    status: Status
    reason: str | None
    attempts: int
    provider: str
    route_id: UUID | None
    variant_id: str | None
    next_at: datetime | None
    sent_at: datetime | None
    created_at: datetime
    smtp: Smtp
    history: list[Attempt]


class Resolution(BaseModel):
    """What a person found out about an uncertain message."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["sent", "failed"] = "sent"


@router.get("", dependencies=[allow("messages:read")], responses=problems(CampaignNotFound))
async def list_messages(
    tx: Tx,
    caller: Caller,
    paging: Paging,
    campaign_id: Annotated[UUID | None, Query()] = None,
    status: Annotated[Status | None, Query()] = None,
) -> Page[MessageOut]:
    """Messages, of one campaign and in one status if asked for."""
    after = paging.after(UUID)
    if campaign_id is not None:
        await _require_campaign(tx, caller.workspace_id, campaign_id)
    rows = await messages.page(
        tx, caller.workspace_id, after[0] if after else _FIRST, paging.limit + 1, campaign_id, status
    )
    return page(rows, paging, _out, lambda row: (row["id"],))


@router.get("/{message_id}", dependencies=[allow("messages:read")], responses=problems(MessageNotFound))
async def get_message(message_id: UUID, tx: Tx, caller: Caller) -> MessageOut:
    """One message."""
    return await _get(tx, caller.workspace_id, message_id)


@router.post(
    "/{message_id}/resend",
    status_code=202,
    dependencies=[allow("messages:write")],
    responses=problems(MessageNotFound, NotUncertain, CampaignCancelled, AddressErased),
)
async def resend_message(message_id: UUID, tx: Tx, caller: Caller) -> MessageOut:
    """Send an uncertain message again, under the same Message-ID."""
    await resend_uncertain(tx, caller.workspace_id, message_id)
    return await _get(tx, caller.workspace_id, message_id)


@router.post(
    "/{message_id}/resolve",
    dependencies=[allow("messages:write")],
    responses=problems(MessageNotFound, NotUncertain),
)
async def resolve_message(message_id: UUID, tx: Tx, caller: Caller, body: Resolution | None = None) -> MessageOut:
    """Say what became of an uncertain message."""
    outcome = (body or Resolution()).outcome
    await resolve_uncertain(tx, caller.workspace_id, message_id, delivered=outcome == "sent")
    return await _get(tx, caller.workspace_id, message_id)


async def _require_campaign(tx: Tx, workspace_id: UUID, campaign_id: UUID) -> None:
    """Raises CampaignNotFound; waits a little first, as the campaign's first event may be on its way."""
    deadline = time.monotonic() + WAIT_S
    while not await mailings.known(tx, workspace_id, campaign_id):
        if time.monotonic() >= deadline:
            raise CampaignNotFound(campaign_id=str(campaign_id))
        await asyncio.sleep(EVERY_S)


async def _get(tx: Tx, workspace_id: UUID, message_id: UUID) -> MessageOut:
    row = await messages.get(tx, workspace_id, message_id)
    if row is None:
        raise MessageNotFound(message_id=str(message_id))
    return _out(row)


def _identity(email: str | None) -> str | None:
    """The address as everybody compares it: as the SMTP server saw its domain, whatever the spelling in the file."""
    if email is None:
        return None
    try:
        return normalise_address(email)
    except InvalidAddress:
        return email


def _out(row: asyncpg.Record) -> MessageOut:
    return MessageOut(
        id=row["id"],
        campaign_id=row["campaign_id"],
        contact_id=row["contact_id"],
        kind=row["kind"],
        email=_identity(row["email"]),
        status=row["status"],
        reason=row["class"] or None,
        attempts=row["attempt"],
        provider=row["provider"],
        route_id=row["route_id"],
        variant_id=row["variant_id"],
        next_at=row["next_at"] if row["status"] in {"pending", "deferred"} else None,
        sent_at=row["sent_at"],
        created_at=row["at"],
        smtp=_smtp(row),
        history=_history(row),
    )


def _smtp(row: asyncpg.Record) -> Smtp:
    return Smtp(code=row["smtp_code"], enhanced=row["smtp_enhanced"], text=row["smtp_text"])


def _history(row: asyncpg.Record) -> list[Attempt]:
    found = [
        Attempt(
            attempt=one["attempt"],
            at=one["at"],
            status=one["status"],
            reason=one["reason"],
            smtp=Smtp(code=one["code"], enhanced=one["enhanced"], text=one["text"]),
        )
        for one in row["history"] or []
    ]
    if row["status"] == "sent" and row["sent_at"] is not None:
        found.append(Attempt(attempt=row["attempt"], at=row["sent_at"], status="sent", reason=None, smtp=_smtp(row)))
    return found
