"""Freezing a campaign's audience and publishing it: a job that may be killed at any line.

The row of the campaign says how far it is: freezing → publishing (so many batches, up to place seq) → closed.
Every step is one transaction that begins by locking that row, so a step is done once, whoever does it.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.audiences import (
    BATCH_BYTES,
    BATCH_RECIPIENTS,
    AudienceBatchV1,
    AudienceClosedV1,
    AudienceRejectedV1,
)
from common.db.pool import Connection
from common.errors import BaridError
from common.ids import derived_id
from common.jobs import JobContext, JobKind
from common.outbox.writer import Outgoing, record

from contacts.db import audiences, lists, segments
from contacts.domain.batches import pack
from contacts.domain.segment_binding import Bound
from contacts.errors import InvalidRule
from contacts.use_cases.segment_rules import usable

FREEZE_S = 3600.0
STEP_RECIPIENTS = 10 * BATCH_RECIPIENTS


class Rejected(BaridError):
    """The audience cannot be frozen."""

    code = "audience_rejected"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


async def freeze_audience(context: JobContext) -> None:
    """Do step after step until the audience is closed or rejected."""
    workspace_id, campaign_id = UUID(context.args["workspace_id"]), UUID(context.args["campaign_id"])
    while True:
        async with context.db.transaction(workspace_id) as tx:
            more, progress = await step(tx, workspace_id, campaign_id)
            await context.save(tx, checkpoint=progress, progress=progress)
        if not more:
            return


async def step(tx: Connection, workspace_id: UUID, campaign_id: UUID) -> tuple[bool, dict[str, Any]]:
    """The next step, whatever it is; False: there is none after it."""
    campaign = await audiences.locked(tx, workspace_id, campaign_id)
    if campaign is None or campaign["status"] not in ("freezing", "publishing"):
        return False, {}
    if campaign["status"] == "freezing":
        return await _freeze(tx, campaign)
    if campaign["published"] < campaign["eligible"]:
        return await _publish(tx, campaign)
    return await _close(tx, campaign)


async def _freeze(tx: Connection, campaign: asyncpg.Record) -> tuple[bool, dict[str, Any]]:
    now = datetime.now(UTC)
    await segments.limit_time(tx, FREEZE_S)
    try:
        wanted, list_ids, unwanted = await _asked_for(tx, campaign)
    except Rejected as rejected:
        await reject(tx, campaign, rejected.reason, rejected.message)
        return False, {"rejected": rejected.reason}
    limits = await lists.limited(tx, campaign["workspace_id"], list_ids)
    eligible, excluded = await audiences.freeze(tx, campaign, wanted, list_ids, unwanted, limits, now, FREEZE_S)
    return True, {"eligible": eligible, "excluded": excluded, "published": 0}


async def _asked_for(tx: Connection, campaign: asyncpg.Record) -> tuple[list[Bound], list[UUID], list[Bound]]:
    """The rules and lists the campaign names, all of its workspace. Raises Rejected."""
    workspace_id, asked = campaign["workspace_id"], campaign["rule"]
    wanted_ids, list_ids, unwanted_ids = (
        [UUID(one) for one in asked[key]] for key in ("segment_ids", "list_ids", "exclude_segment_ids")
    )
    if missing := await lists.unknown(tx, workspace_id, list_ids):
        raise Rejected("unknown_list", f"there is no list {missing[0]} in this workspace")
    stored = await segments.rules(tx, workspace_id, [*wanted_ids, *unwanted_ids])
    attributes = await segments.kept_attributes(tx, workspace_id)
    rules: dict[UUID, Bound] = {}
    for segment_id in dict.fromkeys([*wanted_ids, *unwanted_ids]):
        if segment_id not in stored:
            raise Rejected("unknown_segment", f"there is no segment {segment_id} in this workspace")
        try:
            rules[segment_id] = await usable(tx, workspace_id, stored[segment_id], attributes)
        except BaridError as error:
            where = error.params["pointer"] if isinstance(error, InvalidRule) else "/rule"
            raise Rejected("invalid_segment", f"segment {segment_id}, {where}: {error.message}") from error
    return [rules[one] for one in wanted_ids], list_ids, [rules[one] for one in unwanted_ids]


async def _publish(tx: Connection, campaign: asyncpg.Record) -> tuple[bool, dict[str, Any]]:
    rows = await audiences.recipients(tx, campaign, campaign["published"], STEP_RECIPIENTS)
    n, workspace_id, campaign_id = campaign["batches"], campaign["workspace_id"], campaign["campaign_id"]
    texts: list[tuple[UUID, str]] = []
    for recipients in pack([text for _, text in rows], BATCH_RECIPIENTS, BATCH_BYTES - 200):
        # The recipients' JSON goes in as the database made it; a model of each would cost more than all the rest.
        frame = AudienceBatchV1(campaign_id=campaign_id, n=n, recipients=[]).model_dump_json()
        texts.append((derived_id(campaign_id, "batch", n), f"{frame.removesuffix(']}')}{','.join(recipients)}]}}"))
        n += 1
    await audiences.publish(tx, workspace_id, campaign_id, texts)
    await audiences.published(tx, campaign, n, rows[-1][0])
    return True, {"eligible": campaign["eligible"], "excluded": campaign["excluded"], "published": rows[-1][0]}


async def _close(tx: Connection, campaign: asyncpg.Record) -> tuple[bool, dict[str, Any]]:
    eligible, excluded = campaign["eligible"], campaign["excluded"]
    event = AudienceClosedV1(
        campaign_id=campaign["campaign_id"],
        audience=eligible + sum(excluded.values()),
        excluded=excluded,
        eligible=eligible,
        batches=campaign["batches"],
    )
    await audiences.end(tx, campaign, "closed", datetime.now(UTC))
    await record(tx, [Outgoing(campaign["workspace_id"], event, id=derived_id(event.campaign_id, "closed"))])
    return False, {"eligible": eligible, "excluded": excluded, "published": eligible}


async def reject(tx: Connection, campaign: asyncpg.Record, reason: str, detail: str) -> None:
    """Tell that the audience cannot be frozen; the campaign fails."""
    await audiences.end(tx, campaign, "rejected", datetime.now(UTC))
    event = AudienceRejectedV1(campaign_id=campaign["campaign_id"], reason=reason, detail=detail)
    await record(tx, [Outgoing(campaign["workspace_id"], event, id=derived_id(event.campaign_id, "rejected"))])


async def _give_up(tx: Connection, context: JobContext, error: str) -> None:
    """A campaign must not wait for ever for an audience that cannot be decided."""
    campaign = await audiences.locked(tx, UUID(context.args["workspace_id"]), UUID(context.args["campaign_id"]))
    if campaign is not None and campaign["status"] == "freezing":
        await reject(tx, campaign, "failed", f"freezing the audience failed again and again: {error[:200]}")


FREEZE_AUDIENCE = JobKind("freeze_audience", freeze_audience, max_attempts=20, on_failed=_give_up)
