"""What campaigns tells: rows to contract events, into the outbox of the same transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.campaigns import (
    AccessRevokedV1,
    AudienceRule,
    CampaignCompletedV1,
    CampaignStartedV1,
    CampaignStateV1,
    MessageRequestedV1,
    Purpose,
    RequestedRecipient,
    Sender,
    SenderChangedV1,
    TrackingWish,
    WorkspaceChangedV1,
)
from common.contracts.leads import ErasureDoneV1
from common.db.pool import Connection
from common.outbox.writer import Outgoing, record

from campaigns.db import purposes
from campaigns.domain.drafts import Draft
from campaigns.domain.lifecycle import Life


async def workspace_changed(tx: Connection, row: asyncpg.Record) -> None:
    """Tell a workspace, whole, with its purposes."""
    workspace_id = row["workspace_id"]
    told = WorkspaceChangedV1(
        workspace_id=workspace_id,
        revision=row["revision"],
        name=row["name"],
        postal_address=row["postal_address"],
        tracking_mode=row["tracking_mode"],
        languages=row["languages"],
        time_zone=row["time_zone"],
        weekend=row["weekend"],
        purposes=[
            Purpose(id=one["id"], key=one["key"], version=one["version"], wording=one["wording"])
            for one in await purposes.all_of(tx, workspace_id)
        ],
    )
    await record(tx, [Outgoing(workspace_id, told)])


async def sender_changed(tx: Connection, row: asyncpg.Record) -> None:
    """Tell a sender."""
    told = SenderChangedV1(
        sender_id=row["id"],
        revision=row["revision"],
        name=row["name"],
        email=row["email"],
        reply_to=row["reply_to"],
        deleted=row["deleted"],
    )
    await record(tx, [Outgoing(row["workspace_id"], told)])


async def access_revoked(
    tx: Connection, workspace_id: UUID, subjects: Sequence[tuple[str, UUID]], not_before: datetime
) -> None:
    """Tell every service that tokens, or all tokens of members, are worth nothing any more."""
    await record(
        tx,
        [
            Outgoing(
                workspace_id,
                AccessRevokedV1.model_validate({"subject_kind": kind, "subject_id": subject, "not_before": not_before}),
            )
            for kind, subject in subjects
        ],
    )


async def campaign_started(
    tx: Connection,
    row: asyncpg.Record,
    draft: Draft,
    sender: asyncpg.Record,
    fields: Sequence[str],
    compiled: dict[str, Any],
) -> None:
    """Tell that a campaign begins, and that it runs: one transaction, two events."""
    workspace_id, campaign_id = row["workspace_id"], row["id"]
    started = CampaignStartedV1(
        campaign_id=campaign_id,
        name=draft.name,
        purpose_id=row["purpose_id"],
        program_id=draft.program_id,
        sender=_sender(sender),
        audience=AudienceRule.model_validate(draft.audience.model_dump()),
        fields=list(fields),
        content=compiled,
        tracking=TrackingWish.model_validate(draft.tracking.model_dump()),
        uncertain_policy=draft.uncertain_policy,
        send_until=draft.send_until,
    )
    running = CampaignStateV1(campaign_id=campaign_id, revision=1, state="running")
    await record(tx, [Outgoing(workspace_id, started), Outgoing(workspace_id, running)])


async def campaign_state(tx: Connection, life: Life) -> None:
    """Tell what delivery may do now."""
    told = CampaignStateV1(campaign_id=life.campaign_id, revision=life.state_revision, state=life.wish)
    await record(tx, [Outgoing(life.workspace_id, told)])


async def campaigns_completed(tx: Connection, lives: Sequence[Life]) -> None:
    """Tell whose books are closed, each with the revision that closed them."""
    await record(
        tx,
        [
            Outgoing(
                life.workspace_id,
                CampaignCompletedV1(
                    campaign_id=life.campaign_id, outcome=life.outcome, final_revision=life.final_revision or 0
                ),
            )
            for life in lives
            if life.outcome
        ],
    )


async def test_requested(
    tx: Connection,
    request_id: UUID,
    row: asyncpg.Record,
    sender: asyncpg.Record,
    compiled: dict[str, Any],
    recipients: Sequence[RequestedRecipient],
    variant_id: str | None,
) -> None:
    """Ask delivery for test mails."""
    told = MessageRequestedV1(
        request_id=request_id,
        kind="test",
        sender=_sender(sender),
        content=compiled,
        recipients=list(recipients),
        campaign_id=row["id"],
        purpose_id=row["purpose_id"],
        program_id=row["program_id"],
        variant_id=variant_id,
    )
    await record(tx, [Outgoing(row["workspace_id"], told)])


async def erasures_done(tx: Connection, done: Sequence[tuple[UUID, UUID, UUID]]) -> None:
    """Tell that nothing of these people, (workspace, contact, request), is left here."""
    await record(
        tx,
        [
            Outgoing(workspace_id, ErasureDoneV1(contact_id=contact_id, request_id=request_id, service="campaigns"))
            for workspace_id, contact_id, request_id in done
        ],
    )


def _sender(row: asyncpg.Record) -> Sender:
    return Sender(name=row["name"], email=row["email"], reply_to=row["reply_to"])
