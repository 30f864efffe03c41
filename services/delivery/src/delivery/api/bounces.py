"""/v1/bounces: mails that came back."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Db, Tx, allow, own_transaction, service_router
from fastapi import HTTPException, Request
from pydantic import BaseModel, Field

from delivery.db import returns
from delivery.domain.bounces import MAX_BYTES, classify_mail
from delivery.domain.bounces.verdicts import Kind
from delivery.domain.returns import ReturnKind, read_returns
from delivery.errors import BounceTooLarge, BounceTooManyParts
from delivery.use_cases.returns import Taken, take_returns

router = service_router("/bounces", "bounces")
MAIL = "message/rfc822"
_BODY = {"required": True, "content": {MAIL: {"schema": {"type": "string", "format": "binary"}}}}


class BouncedRecipient(BaseModel):
    """What a mail says about one recipient. Empty text: it does not say."""

    recipient: str = Field(description="the address; providers leave it out of complaints")
    kind: Kind
    status: str = Field(description="the enhanced status code (RFC 3463), such as 5.1.1")
    reply: str = Field(description="the SMTP reply code, such as 550")
    reason: str = Field(description="why, such as bad_mailbox, mailbox_full, policy or rate")


class Return(BaseModel):
    """What one mail came to. `counted`: it changed something, now or when it came first."""

    id: UUID
    message_id: UUID | None = Field(description="the message it is about, if it is about one of this workspace")
    kind: ReturnKind
    status: str
    reply: str
    reason: str
    counted: bool
    repeated: bool = Field(description="the same came before, so nothing changed now")


class ReturnOut(BaseModel):
    """What came back. `block_id`: the block that it led to."""

    id: UUID
    source: str = Field(description="how it came: api, lmtp, inbox, or a provider")
    message_id: UUID | None
    campaign_id: UUID | None
    kind: ReturnKind
    reason: str
    status: str
    reply: str
    delayed: bool = Field(description="the message was still being tried, so nothing was decided")
    counted: bool = Field(description="it proved to be about this message; else it is a note and changed nothing")
    block_id: UUID | None
    at: datetime


class Accepted(BaseModel):
    """One for each mail of the body."""

    returns: list[Return]


def accepted(taken: Sequence[Taken]) -> Accepted:
    """What became of each."""
    return Accepted(
        returns=[
            Return(
                id=one.returned.id,
                message_id=one.message_id,
                kind=one.decision.kind,
                status=one.decision.status,
                reply=one.decision.reply,
                reason=one.decision.reason,
                counted=one.decision.counts,
                repeated=not one.new,
            )
            for one in taken
        ]
    )


@router.post(
    "",
    status_code=202,
    max_body_size=MAX_BYTES,
    dependencies=[allow("bounces:write")],
    responses=problems(BounceTooLarge, BounceTooManyParts),
    openapi_extra={"requestBody": _BODY},
)
@own_transaction
async def accept_bounce(request: Request, db: Db, caller: Caller) -> Accepted:
    """Take in a mail that came back to this workspace: a bounce, a complaint, an answer, or an mbox of them.

    It counts if it shows a signed address or link of its message, or the Message-ID and the recipient of one sent
    lately. Only with the signed address may a bounce block: without it, a refusal for good is a soft one (`unproven`).
    Anything else is kept as a note and changes nothing; the same mail again changes nothing either.
    """
    found = await asyncio.to_thread(read_returns, await _mail(request), (), request.app.state.matcher, "api")
    taken = await take_returns(db, found, caller.workspace_id)
    return accepted(taken)


@router.get("", dependencies=[allow("bounces:read")])
async def list_bounces(
    tx: Tx,
    caller: Caller,
    paging: Paging,
    message_id: UUID | None = None,
    campaign_id: UUID | None = None,
    kind: ReturnKind | None = None,
) -> Page[ReturnOut]:
    """What came back to this workspace, the newest first."""
    after = paging.after(moment, UUID)
    found = await returns.page(
        tx,
        caller.workspace_id,
        (after[0], after[1]) if after else None,
        paging.limit + 1,
        message_id=message_id,
        campaign_id=campaign_id,
        kind=kind,
    )
    return page(found, paging, _listed, lambda row: (row["at"], row["id"]))


@router.post(
    "/classify",
    max_body_size=MAX_BYTES,
    dependencies=[allow("bounces:read")],
    responses=problems(BounceTooLarge, BounceTooManyParts),
    openapi_extra={"requestBody": _BODY},
)
@own_transaction
async def classify_bounce(request: Request) -> list[BouncedRecipient]:
    """Say what a mail that came back means for each recipient. Nothing changes; empty for a mail by a person."""
    judged = await asyncio.to_thread(classify_mail, await _mail(request))
    return [
        BouncedRecipient(recipient=one.recipient, kind=one.kind, status=one.status, reply=one.reply, reason=one.reason)
        for one in judged
    ]


def moment(text: str) -> datetime:
    """The time in a cursor of ours. Raises ValueError for one that no row can have."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or not 2000 <= found.year < 9000:
        raise ValueError
    return found


def _listed(row: asyncpg.Record) -> ReturnOut:
    names = ("id", "source", "message_id", "kind", "reason", "status", "reply", "delayed", "block_id", "at")
    return ReturnOut(**{name: row[name] for name in names}, campaign_id=row["mailing_id"], counted=row["counts"])


async def _mail(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != MAIL:
        raise HTTPException(415, f"The body is {kind or 'of no type'}, not a mail ({MAIL})")
    return await request.body()
