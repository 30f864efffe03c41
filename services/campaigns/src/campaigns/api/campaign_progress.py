"""A campaign's progress as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from common.web.problems import problems
from common.web.route import Caller, Db, Tx, allow, event_stream, service_router
from common.web.sse import ServerEvent, issue_ticket, last_event_id, stream
from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from campaigns.api.campaign_schemas import balance_out
from campaigns.api.schemas import Out
from campaigns.errors import CampaignNotFound
from campaigns.use_cases import campaigns

router = service_router("/campaigns", "campaigns")
EVERY_S = 0.5


class CampaignStreamTicket(Out):
    """For `GET …/progress?ticket=`: browsers send no header with an event stream."""

    ticket: str = Field(description="works for one path and one minute")


@router.post(
    "/{campaign_id}/progress-ticket", dependencies=[allow("campaigns:read")], responses=problems(CampaignNotFound)
)
async def create_campaign_progress_ticket(
    campaign_id: UUID, request: Request, tx: Tx, caller: Caller
) -> CampaignStreamTicket:
    """A ticket for the progress stream."""
    await campaigns.get(tx, caller.workspace_id, campaign_id)
    keys = request.app.state.settings.link_key_ring()
    return CampaignStreamTicket(ticket=issue_ticket(keys, caller, f"/v1/campaigns/{campaign_id}/progress"))


@router.get(
    "/{campaign_id}/progress",
    dependencies=[allow("campaigns:read")],
    response_class=StreamingResponse,
    responses={**problems(CampaignNotFound), 200: {"content": {"text/event-stream": {}}}},
)
@event_stream
async def stream_campaign_progress(campaign_id: UUID, request: Request, db: Db, caller: Caller) -> StreamingResponse:
    """Status and balance whenever they change, until the books are closed. A draft has nothing to follow."""
    async with db.transaction(caller.workspace_id, readonly=True) as tx:
        await campaigns.get(tx, caller.workspace_id, campaign_id)
    return stream(_progress(db, caller.workspace_id, campaign_id, last_event_id(request)))


async def _progress(db: Db, workspace_id: UUID, campaign_id: UUID, seen: str | None) -> AsyncIterator[ServerEvent]:
    while True:
        try:
            async with db.transaction(workspace_id, readonly=True) as tx:
                row = await campaigns.get(tx, workspace_id, campaign_id)
        except CampaignNotFound:
            return
        if str(row["revision"]) != seen:
            seen = str(row["revision"])
            told = {
                "id": str(campaign_id),
                "status": row["status"],
                "reason": row["reason"],
                "balance": balance_out(row).model_dump(),
            }
            yield ServerEvent(told, id=seen)
        if row["outcome"] is not None or (row["wish"] is None and row["status"] != "scheduled"):
            return
        await asyncio.sleep(EVERY_S)
