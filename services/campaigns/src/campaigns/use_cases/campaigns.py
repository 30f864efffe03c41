"""Drafts: written, changed, deleted. Nobody outside hears of them before they start."""

from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id

from campaigns.db import campaigns, purposes
from campaigns.domain.drafts import Draft
from campaigns.errors import AlreadyStarted, CampaignNotFound, NotEditable, PurposeNotFound
from campaigns.use_cases import content, projections, senders

EDITABLE = frozenset({"draft", "failed", "cancelled"})


async def create(tx: Connection, workspace_id: UUID, draft: Draft) -> asyncpg.Record:
    """A new draft. Raises NotFound for what it names and this workspace does not have, InvalidContent."""
    columns = await _checked(tx, workspace_id, draft)
    campaign_id = new_id()
    await campaigns.insert(tx, workspace_id, campaign_id, columns)
    return await get(tx, workspace_id, campaign_id)


async def get(tx: Connection, workspace_id: UUID, campaign_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """One campaign. Raises CampaignNotFound."""
    row = await campaigns.get(tx, workspace_id, campaign_id, lock=lock)
    if row is None:
        raise CampaignNotFound(campaign_id=str(campaign_id))
    return row


async def change(tx: Connection, row: asyncpg.Record, draft: Draft) -> asyncpg.Record:
    """Store a locked draft anew. Raises NotEditable, and as `create`."""
    require_editable(row)
    await campaigns.update(tx, row["workspace_id"], row["id"], await _checked(tx, row["workspace_id"], draft))
    return await get(tx, row["workspace_id"], row["id"])


async def delete(tx: Connection, row: asyncpg.Record) -> None:
    """Delete a locked campaign that never started. Raises NotEditable."""
    require_editable(row)
    await campaigns.delete(tx, row["workspace_id"], row["id"])


def require_editable(row: asyncpg.Record) -> None:
    """Raises NotEditable once it has a time or was started."""
    if row["started_at"] is not None or row["status"] not in EDITABLE:
        raise NotEditable(
            f"The campaign is {row['status']}",
            mend='Take its time away with POST /schedule {"at": null}.'
            if row["status"] == "scheduled"
            else "Copy it into a new campaign.",
            status=row["status"],
        )


def require_not_started(row: asyncpg.Record) -> None:
    """Raises AlreadyStarted: a campaign starts once."""
    if row["started_at"] is not None:
        raise AlreadyStarted(
            f"The campaign was started at {row['started_at'].isoformat()} and is {row['status']}",
            mend="Copy it into a new campaign to send it again.",
            status=row["status"],
        )


def draft_of(row: asyncpg.Record) -> Draft:
    """What its author wrote."""
    return Draft.model_validate(
        {
            "name": row["name"],
            "sender_id": row["sender_id"],
            "purpose": row["purpose"],
            "program_id": row["program_id"],
            "audience": row["audience"],
            "content": row["content"] or None,
            "tracking": row["tracking"],
            "uncertain_policy": row["uncertain_policy"],
            "send_until": row["send_until"],
        }
    )


async def _checked(tx: Connection, workspace_id: UUID, draft: Draft) -> tuple[Any, ...]:
    purpose = await purposes.by_key(tx, workspace_id, draft.purpose)
    if purpose is None:
        raise PurposeNotFound(
            f"there is no purpose {draft.purpose!r}", mend="GET /v1/purposes lists them.", purpose=draft.purpose
        )
    if draft.sender_id is not None:
        await senders.require(tx, workspace_id, draft.sender_id)
    await content.check(draft)
    await projections.require_sources(tx, workspace_id, draft.audience)
    return (
        draft.name,
        draft.sender_id,
        purpose["id"],
        draft.program_id,
        draft.audience.model_dump(mode="json"),
        draft.content.model_dump(mode="json", exclude_none=True) if draft.content else {},
        draft.tracking.model_dump(),
        draft.uncertain_policy,
        draft.send_until,
    )
