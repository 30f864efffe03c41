"""Campaigns: started, scheduled, paused, resumed, cancelled."""

from datetime import UTC, datetime
from uuid import UUID

from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Request, Response

from campaigns.api.campaign_schemas import CampaignOut, CampaignSchedule, campaign_out
from campaigns.api.schemas import Strict
from campaigns.errors import (
    AlreadyStarted,
    AudienceSourceNotFound,
    CampaignFinished,
    CampaignIncomplete,
    CampaignNotFound,
    InvalidContent,
    InvalidSchedule,
    NotRunning,
    ProjectionBehind,
    SenderNotFound,
    SenderUnaligned,
)
from campaigns.use_cases import campaigns, commands, starting

router = service_router("/campaigns", "campaigns")

_STARTING = problems(
    CampaignNotFound,
    SenderNotFound,
    SenderUnaligned,
    AudienceSourceNotFound,
    ProjectionBehind,
    AlreadyStarted,
    CampaignIncomplete,
    InvalidContent,
    InvalidSchedule,
    PreconditionFailed,
)
_STEERING = problems(CampaignNotFound, NotRunning, CampaignFinished)
_SEND = [allow("campaigns:send")]


class Nothing(Strict):
    """An empty object."""


@router.post("/{campaign_id}/start", dependencies=_SEND, responses=_STARTING)
async def start_campaign(
    campaign_id: UUID,
    tx: Tx,
    caller: Caller,
    request: Request,
    response: Response,
    _body: Nothing | None = None,
    if_match: IfMatch = None,
) -> CampaignOut:
    """Start it now. A campaign starts once. `warnings` tell what harms it on its way."""
    row = await campaigns.get(tx, caller.workspace_id, campaign_id, lock=True)
    require_match(if_match, row["revision"])
    row = await starting.start(tx, row, datetime.now(UTC), request.app.state.installation)
    set_etag(response, row["revision"])
    return campaign_out(row)


@router.post("/{campaign_id}/schedule", dependencies=_SEND, responses=_STARTING)
async def schedule_campaign(
    campaign_id: UUID,
    body: CampaignSchedule,
    tx: Tx,
    caller: Caller,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> CampaignOut:
    """Start it later, after the same checks as now and then; null takes the time away."""
    row = await campaigns.get(tx, caller.workspace_id, campaign_id, lock=True)
    require_match(if_match, row["revision"])
    row = await starting.schedule(tx, row, body.at, datetime.now(UTC), request.app.state.installation)
    set_etag(response, row["revision"])
    return campaign_out(row)


@router.post("/{campaign_id}/pause", dependencies=_SEND, responses=_STEERING)
async def pause_campaign(
    campaign_id: UUID, tx: Tx, caller: Caller, response: Response, _body: Nothing | None = None
) -> CampaignOut:
    """Pause it: `pausing` until no message is on its way, then `paused`."""
    row = await commands.pause(tx, await campaigns.get(tx, caller.workspace_id, campaign_id, lock=True))
    set_etag(response, row["revision"])
    return campaign_out(row)


@router.post("/{campaign_id}/resume", dependencies=_SEND, responses=_STEERING)
async def resume_campaign(
    campaign_id: UUID, tx: Tx, caller: Caller, response: Response, _body: Nothing | None = None
) -> CampaignOut:
    """Go on, whoever paused it."""
    row = await commands.resume(tx, await campaigns.get(tx, caller.workspace_id, campaign_id, lock=True))
    set_etag(response, row["revision"])
    return campaign_out(row)


@router.post("/{campaign_id}/cancel", dependencies=_SEND, responses=_STEERING)
async def cancel_campaign(
    campaign_id: UUID, tx: Tx, caller: Caller, response: Response, _body: Nothing | None = None
) -> CampaignOut:
    """Send no message more, for good."""
    row = await commands.cancel(tx, await campaigns.get(tx, caller.workspace_id, campaign_id, lock=True))
    set_etag(response, row["revision"])
    return campaign_out(row)
