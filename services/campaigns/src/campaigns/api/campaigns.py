"""Campaigns: written, looked at, deleted."""

from uuid import UUID

from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.filters import Field, Filters, Grammar, Sort
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Request, Response

from campaigns.api.campaign_schemas import (
    BalanceOut,
    CampaignCreate,
    CampaignOut,
    CampaignPreviewOut,
    CampaignPreviewRequest,
    CampaignSummary,
    CampaignTestRequest,
    CampaignTestRequested,
    CampaignUpdate,
    balance_out,
    campaign_out,
)
from campaigns.db import campaigns as rows
from campaigns.errors import (
    AudienceSourceNotFound,
    CampaignIncomplete,
    CampaignNotFound,
    ContactNotFound,
    InvalidContent,
    InvalidDraft,
    InvalidEmail,
    NotEditable,
    ProjectionBehind,
    PurposeNotFound,
    SenderNotFound,
    UnknownVariant,
)
from campaigns.use_cases import campaigns, reading

router = service_router("/campaigns", "campaigns")

_LIST = Grammar(
    {
        "name": Field("c.name", sortable=True),
        "status": Field("c.status", ops=("eq", "ne", "in")),
        "sender_id": Field("c.sender_id", "uuid"),
        "purpose": Field("p.key", ops=("eq", "ne", "in")),
        "program_id": Field("c.program_id", "uuid"),
        "scheduled_at": Field("c.scheduled_at", "time"),
        "started_at": Field("c.started_at", "time"),
        "created_at": Field("c.created_at", "time", sortable=True),
        "updated_at": Field("c.updated_at", "time", sortable=True),
    },
    default_sort="-created_at",
    id_sql="c.id",
)
_WRITING = (SenderNotFound, PurposeNotFound, AudienceSourceNotFound, ProjectionBehind, InvalidContent)


@router.post("", status_code=201, dependencies=[allow("campaigns:write")], responses=problems(*_WRITING))
async def create_campaign(body: CampaignCreate, tx: Tx, caller: Caller, response: Response) -> CampaignOut:
    """Make a draft. What it has must be sound; what it lacks is asked for at the start."""
    row = await campaigns.create(tx, caller.workspace_id, body)
    set_etag(response, row["revision"])
    return campaign_out(row)


@router.get("", dependencies=[allow("campaigns:read")])
async def list_campaigns(
    tx: Tx,
    caller: Caller,
    paging: Paging,
    filters: Filters = [],  # noqa: B006
    sort: Sort = None,
) -> Page[CampaignSummary]:
    """Newest first, without content."""
    chosen = _LIST.select(filters, sort, paging)
    found = await rows.page(tx, caller.workspace_id, chosen.where, chosen.order, chosen.limit, chosen.args)
    return page(found, paging, lambda row: CampaignSummary(**row), chosen.key)


@router.get("/{campaign_id}", dependencies=[allow("campaigns:read")], responses=problems(CampaignNotFound))
async def get_campaign(campaign_id: UUID, tx: Tx, caller: Caller, response: Response) -> CampaignOut:
    """One campaign, whole."""
    row = await campaigns.get(tx, caller.workspace_id, campaign_id)
    set_etag(response, row["revision"])
    return campaign_out(row)


@router.patch(
    "/{campaign_id}",
    dependencies=[allow("campaigns:write")],
    responses=problems(CampaignNotFound, NotEditable, InvalidDraft, PreconditionFailed, *_WRITING),
)
async def update_campaign(
    campaign_id: UUID, body: CampaignUpdate, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> CampaignOut:
    """Change a campaign that was never started (RFC 7396)."""
    row = await campaigns.get(tx, caller.workspace_id, campaign_id, lock=True)
    require_match(if_match, row["revision"])
    campaigns.require_editable(row)
    row = await campaigns.change(tx, row, body.applied_to(campaigns.draft_of(row)))
    set_etag(response, row["revision"])
    return campaign_out(row)


@router.delete(
    "/{campaign_id}",
    status_code=204,
    dependencies=[allow("campaigns:write")],
    responses=problems(CampaignNotFound, NotEditable, PreconditionFailed),
)
async def delete_campaign(campaign_id: UUID, tx: Tx, caller: Caller, if_match: IfMatch = None) -> None:
    """Delete a campaign that was never started."""
    row = await campaigns.get(tx, caller.workspace_id, campaign_id, lock=True)
    require_match(if_match, row["revision"])
    await campaigns.delete(tx, row)


@router.get("/{campaign_id}/balance", dependencies=[allow("campaigns:read")], responses=problems(CampaignNotFound))
async def get_campaign_balance(campaign_id: UUID, tx: Tx, caller: Caller) -> BalanceOut:
    """The books as they stand."""
    return balance_out(await campaigns.get(tx, caller.workspace_id, campaign_id))


@router.post(
    "/{campaign_id}/preview",
    dependencies=[allow("campaigns:read")],
    responses=problems(
        CampaignNotFound, ContactNotFound, ProjectionBehind, CampaignIncomplete, InvalidContent, UnknownVariant
    ),
)
async def preview_campaign(
    campaign_id: UUID, body: CampaignPreviewRequest, tx: Tx, caller: Caller, request: Request
) -> CampaignPreviewOut:
    """The mail as a contact would get it, made by the code that makes the real one."""
    row = await campaigns.get(tx, caller.workspace_id, campaign_id)
    shown = await reading.preview(tx, row, body.contact_id, body.variant_id, request.app.state.settings.public_url)
    return CampaignPreviewOut(
        subject=shown.rendered.subject,
        html=shown.rendered.html,
        text=shown.rendered.text,
        variant_id=shown.variant.id,
        language=shown.variant.language,
        direction=shown.variant.direction,
        warnings=shown.warnings,
    )


@router.post(
    "/{campaign_id}/test",
    status_code=202,
    dependencies=[allow("campaigns:write")],
    responses=problems(
        CampaignNotFound,
        ContactNotFound,
        ProjectionBehind,
        CampaignIncomplete,
        InvalidContent,
        InvalidEmail,
        UnknownVariant,
    ),
)
async def test_campaign(campaign_id: UUID, body: CampaignTestRequest, tx: Tx, caller: Caller) -> CampaignTestRequested:
    """Send the mail to at most ten addresses; it counts nowhere."""
    row = await campaigns.get(tx, caller.workspace_id, campaign_id)
    request_id = await reading.send_test(tx, row, body.to, body.contact_id, body.variant_id)
    return CampaignTestRequested(id=request_id, to=body.to)
