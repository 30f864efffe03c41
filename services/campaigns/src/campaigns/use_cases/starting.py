"""The start of a campaign: everything is checked, compiled once, and told, in one transaction."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from content.model import CompiledMail

from campaigns import events
from campaigns.db import campaigns as rows
from campaigns.errors import CampaignIncomplete, InvalidSchedule
from campaigns.use_cases import alignment, campaigns, content, projections, senders, workspaces
from campaigns.use_cases.alignment import Installation

URL_FIELDS = frozenset({"unsubscribe_url", "preferences_url", "browser_url"})
FARTHEST = timedelta(days=366)
Warnings = list[dict[str, Any]]


async def start(tx: Connection, row: asyncpg.Record, now: datetime, installation: Installation) -> asyncpg.Record:
    """Start a locked campaign. Raises AlreadyStarted, CampaignIncomplete, InvalidContent, SenderUnaligned, NotFound.

    `installation`: what it says of senders whose domain is not verified.
    """
    compiled, sender, warned = await checked(tx, row, now, installation)
    workspace_id, campaign_id = row["workspace_id"], row["id"]
    payload = compiled.payload()
    await rows.start(tx, workspace_id, campaign_id, payload, warned)
    fields = [name for name in compiled.fields if name not in URL_FIELDS]
    await events.campaign_started(tx, row, campaigns.draft_of(row), sender, fields, payload)
    return await campaigns.get(tx, workspace_id, campaign_id)


async def schedule(
    tx: Connection, row: asyncpg.Record, at: datetime | None, now: datetime, installation: Installation
) -> asyncpg.Record:
    """Start a locked campaign later, after the same checks; None takes the time away.

    Raises as `start`, and InvalidSchedule.
    """
    workspace_id, campaign_id = row["workspace_id"], row["id"]
    warned: Warnings = []
    if at is None:
        campaigns.require_not_started(row)
    else:
        if not now < at <= now + FARTHEST:
            raise InvalidSchedule(
                "The time must lie in the future, at most a year ahead",
                mend="Use POST /start to send it now.",
                at=at.isoformat(),
            )
        _, _, warned = await checked(tx, row, at, installation)
    await rows.schedule(tx, workspace_id, campaign_id, at, warned)
    return await campaigns.get(tx, workspace_id, campaign_id)


async def checked(
    tx: Connection, row: asyncpg.Record, at: datetime, installation: Installation
) -> tuple[CompiledMail, asyncpg.Record, Warnings]:
    """The compiled mail, the sender and the warnings of a campaign that can start at that time. Raises as `start`."""
    campaigns.require_not_started(row)
    workspace_id: UUID = row["workspace_id"]
    draft = campaigns.draft_of(row)
    if draft.sender_id is None:
        raise CampaignIncomplete(
            "The campaign has no sender", mend="PATCH the campaign with a sender_id.", missing="sender_id"
        )
    if draft.audience.empty:
        raise CampaignIncomplete(
            "The campaign has no audience",
            mend="PATCH the campaign with audience.segment_ids or audience.list_ids.",
            missing="audience",
        )
    if draft.send_until is not None and draft.send_until <= at:
        raise InvalidSchedule(
            "send_until lies before the start", mend="PATCH the campaign with a later send_until, or null."
        )
    sender = await senders.require(tx, workspace_id, draft.sender_id)
    workspace = await workspaces.require(tx, workspace_id)
    compiled = await content.compile_for_start(draft, workspace)
    await projections.require_sources(tx, workspace_id, draft.audience)
    warned = [*await alignment.warnings(tx, workspace, sender, installation), *content.warnings(compiled)]
    return compiled, sender, [one.model_dump() for one in warned]
