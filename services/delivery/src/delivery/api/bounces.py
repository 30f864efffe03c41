"""/v1/bounces: mails that came back."""

import asyncio
from typing import Literal

from common.web.problems import problems
from common.web.route import allow, own_transaction, service_router
from fastapi import HTTPException, Request
from pydantic import BaseModel, Field

from delivery.domain.bounces import MAX_BYTES, classify_mail
from delivery.errors import BounceTooLarge, BounceTooManyParts

router = service_router("/bounces", "bounces")
_MAIL = "message/rfc822"
_BODY = {"required": True, "content": {_MAIL: {"schema": {"type": "string", "format": "binary"}}}}


class BouncedRecipient(BaseModel):
    """What a mail says about one recipient. Empty text: it does not say."""

    recipient: str = Field(description="the address; providers leave it out of complaints")
    kind: Literal["hard", "soft", "complaint", "auto-reply", "delivered"]
    status: str = Field(description="the enhanced status code (RFC 3463), such as 5.1.1")
    reply: str = Field(description="the SMTP reply code, such as 550")
    reason: str = Field(description="why, such as bad_mailbox, mailbox_full, policy or rate")


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
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _MAIL:
        raise HTTPException(415, f"The body is {kind or 'of no type'}, not a mail ({_MAIL})")
    judged = await asyncio.to_thread(classify_mail, await request.body())
    return [
        BouncedRecipient(recipient=one.recipient, kind=one.kind, status=one.status, reply=one.reply, reason=one.reason)
        for one in judged
    ]
