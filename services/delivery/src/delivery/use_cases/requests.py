"""Requests for single and test mail: one mailing each, one row of the ledger per recipient, in the first lane."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from common.contracts.campaigns import MessageRequestedV1
from common.db.pool import Connection
from common.ids import message_id

from delivery import events
from delivery.db import mailings, messages
from delivery.db.messages import NewMessage
from delivery.domain.addressed import addressed


async def add_requests(
    tx: Connection, pepper: bytes, requests: Sequence[tuple[UUID, MessageRequestedV1]]
) -> list[asyncpg.Record]:
    """Add what (workspace, request) pairs ask for, and return the rows added; the same request again adds nothing."""
    rows: dict[UUID, NewMessage] = {}
    for workspace_id, data in sorted(requests, key=lambda one: (one[0], one[1].request_id)):
        await mailings.request(
            tx,
            workspace_id,
            data.request_id,
            kind=data.kind,
            campaign_id=data.campaign_id,
            purpose_id=data.purpose_id,
            program_id=data.program_id,
            sender=data.sender.model_dump(mode="json"),
            content=data.content,
        )
        for row in _rows(pepper, workspace_id, data):
            rows.setdefault(row.id, row)
    added = await messages.add(tx, list(rows.values()))
    await events.statuses(tx, [row for row in added if row["status"] != "pending"])
    return added


def id_of(request_id: UUID, workspace_id: UUID, n: int) -> UUID:
    """The id of the message to a request's recipient n."""
    return message_id(f"{workspace_id}/{request_id}/{n}")


def _rows(pepper: bytes, workspace_id: UUID, data: MessageRequestedV1) -> list[NewMessage]:
    rows = []
    for n, recipient in enumerate(data.recipients):
        at = addressed(pepper, workspace_id, recipient.email)
        valid = at.address_hash is not None
        rows.append(
            NewMessage(
                workspace_id=workspace_id,
                id=id_of(data.request_id, workspace_id, n),
                mailing_id=data.request_id,
                contact_id=recipient.contact_id,
                kind=data.kind,
                lane=0,
                email=recipient.email,
                address_hash=at.address_hash,
                domain_hash=at.domain_hash,
                language=recipient.language,
                timezone=None,
                country=None,
                tracking=False,
                fields=dict(recipient.fields),
                variant_id=data.variant_id,
                provider=at.provider,
                status="pending" if valid else "failed",
                klass="" if valid else "unsupported_address",
            )
        )
    return rows
