"""Requests for single and test mail: one mailing each, one row of the ledger per recipient, in the first lane."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import asyncpg
from common.contracts.campaigns import RequestedRecipient, Sender
from common.db.pool import Connection
from common.ids import message_id

from delivery import events
from delivery.db import mailings, messages
from delivery.db.messages import NewMessage
from delivery.domain.addressed import addressed


@dataclass(frozen=True, slots=True)
class MailRequest:
    """One mail to a few people. `content`: compiled."""

    workspace_id: UUID
    id: UUID
    kind: Literal["test", "single"]
    sender: Sender
    content: dict[str, Any]
    recipients: Sequence[RequestedRecipient]
    campaign_id: UUID | None = None
    purpose_id: UUID | None = None
    program_id: UUID | None = None
    variant_id: str | None = None


async def add_requests(tx: Connection, pepper: bytes, requests: Sequence[MailRequest]) -> list[asyncpg.Record]:
    """Add what is asked for, and return the rows added; the same request again adds nothing."""
    rows: dict[UUID, NewMessage] = {}
    for asked in sorted(requests, key=lambda one: (one.workspace_id, one.id)):
        await mailings.request(
            tx,
            asked.workspace_id,
            asked.id,
            kind=asked.kind,
            campaign_id=asked.campaign_id,
            purpose_id=asked.purpose_id,
            program_id=asked.program_id,
            sender=asked.sender.model_dump(mode="json"),
            content=asked.content,
        )
        for row in _rows(pepper, asked):
            rows.setdefault(row.id, row)
    added = await messages.add(tx, list(rows.values()))
    await events.statuses(tx, [row for row in added if row["status"] != "pending"])
    return added


def id_of(request_id: UUID, workspace_id: UUID, n: int) -> UUID:
    """The id of the message to a request's recipient n."""
    return message_id(f"{workspace_id}/{request_id}/{n}")


def _rows(pepper: bytes, asked: MailRequest) -> list[NewMessage]:
    rows = []
    for n, recipient in enumerate(asked.recipients):
        at = addressed(pepper, asked.workspace_id, recipient.email)
        valid = at.address_hash is not None
        rows.append(
            NewMessage(
                workspace_id=asked.workspace_id,
                id=id_of(asked.id, asked.workspace_id, n),
                mailing_id=asked.id,
                contact_id=recipient.contact_id,
                kind=asked.kind,
                lane=0,
                email=recipient.email,
                address_hash=at.address_hash,
                domain_hash=at.domain_hash,
                language=recipient.language,
                timezone=None,
                country=None,
                tracking=False,
                fields=dict(recipient.fields),
                variant_id=asked.variant_id,
                provider=at.provider,
                status="pending" if valid else "failed",
                klass="" if valid else "unsupported_address",
            )
        )
    return rows
