"""POST /v1/messages: mail to named people, in the first lane, so that it never waits behind a campaign."""

import asyncio
import time
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from common.contracts.addresses import InvalidAddress, normalise_address, visible
from common.contracts.campaigns import RequestedRecipient, Sender
from common.ids import new_id
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from content.compile import compile_mail
from content.errors import ContentError
from content.headers import HeaderError, address_spec
from content.model import CompiledMail, MailSource
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from delivery.db import projections
from delivery.domain.ledger import Status
from delivery.errors import InvalidContent, InvalidRecipient, SenderNotFound
from delivery.use_cases import foreseeing
from delivery.use_cases.foreseeing import MailWarning
from delivery.use_cases.requests import MailRequest, add_requests, id_of

router = service_router("/messages", "messages")
WAIT_S = 3.0
EVERY_S = 0.15
MOST_FIELDS = 100


class To(BaseModel):
    """One recipient. `fields`: what the content names, such as first_name or attributes.order."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(min_length=3, max_length=320)]
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)] | None = None
    fields: Annotated[dict[str, Any], Field(max_length=MOST_FIELDS)] = {}

    @field_validator("fields")
    @classmethod
    def _numbers_fit(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """What is stored as JSON again has no whole numbers over 64 bits."""
        left = list(fields.values())
        while left:
            one = left.pop()
            if isinstance(one, int) and not -(2**63) <= one < 2**64:
                raise ValueError("a whole number does not fit into 64 bits; send it as text")
            left += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        return fields


class MessageRequest(BaseModel):
    """One mail to a few people: a receipt, a reset, an answer. It is no campaign: nobody is asked for consent.

    Suppressed addresses get none. Nothing is tracked.
    """

    model_config = ConfigDict(extra="forbid")

    sender_id: UUID
    to: Annotated[list[To], Field(min_length=1, max_length=100)]
    content: MailSource


class RequestedMessage(BaseModel):
    """One message, in the order of `to`. The same address twice is two messages."""

    id: UUID
    status: Status


class Requested(BaseModel):
    """What was accepted. Ask GET /v1/messages/{id} what became of it. `warnings`: what harms it on its way."""

    id: UUID
    messages: list[RequestedMessage]
    warnings: list[MailWarning]


@router.post(
    "",
    status_code=202,
    dependencies=[allow("messages:write")],
    responses=problems(SenderNotFound, InvalidContent, InvalidRecipient),
)
async def create_message(body: MessageRequest, request: Request, tx: Tx, caller: Caller) -> Requested:
    """Send one mail to one person, or to a few. Use an Idempotency-Key: the same request again sends nothing."""
    recipients = [
        RequestedRecipient(email=_address(one.email, n), language=one.language, fields=one.fields)
        for n, one in enumerate(body.to)
    ]
    mail = await _compiled(body.content)
    warned = await asyncio.to_thread(foreseeing.warnings, mail, recipients)
    sender = await _sender(tx, caller.workspace_id, body.sender_id)
    asked = MailRequest(
        caller.workspace_id,
        new_id(),
        "single",
        Sender(name=sender["name"], email=sender["email"], reply_to=sender["reply_to"]),
        mail.payload(),
        recipients,
    )
    added = await add_requests(tx, request.app.state.settings.pepper_bytes(), [asked])
    status = {row["id"]: row["status"] for row in added}
    ids = [id_of(asked.id, caller.workspace_id, n) for n in range(len(recipients))]
    messages = [RequestedMessage(id=one, status=status[one]) for one in ids]
    return Requested(id=asked.id, messages=messages, warnings=warned)


def _address(email: str, n: int) -> str:
    try:
        normalise_address(email)
        return address_spec(visible(email), smtputf8=True)
    except (InvalidAddress, HeaderError) as error:
        raise InvalidRecipient(
            f"to/{n}/email is not an address: {error}",
            mend="Give one address, such as sara@example.org, without a name and without line breaks.",
            where=f"/to/{n}/email",
        ) from error


async def _compiled(source: MailSource) -> CompiledMail:
    try:
        # Off the loop: MJML and CSS of a long mail take long enough for other requests to notice.
        return await asyncio.to_thread(compile_mail, source)
    except ContentError as error:
        raise InvalidContent(error.told, mend=error.mend or None, **error.params) from error


async def _sender(tx: Tx, workspace_id: UUID, sender_id: UUID) -> asyncpg.Record:
    """Raises SenderNotFound; waits a little first, as what campaigns tells of it may be on its way."""
    deadline = time.monotonic() + WAIT_S
    while True:
        row = await projections.sender(tx, workspace_id, sender_id)
        if row is not None and not row["deleted"]:
            return row
        if row is not None or time.monotonic() >= deadline:
            raise SenderNotFound(sender_id=str(sender_id))
        await asyncio.sleep(EVERY_S)
