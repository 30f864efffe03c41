"""/v1/reports: what a campaign did."""

from collections import Counter
from datetime import datetime
from uuid import UUID

from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from pydantic import BaseModel, Field

from analytics.db import bounces, clicks, projections, statuses, touches
from analytics.errors import CampaignUnknown

router = service_router("/reports", "reports")


class Touches(BaseModel):
    """`total` and `unique` are people's; `machine` counts what scanners and proxies fetched."""

    total: int = 0
    unique: int = 0
    machine: int = 0


class LinkClicks(BaseModel):
    """People's clicks on one link."""

    link: int
    url: str
    total: int
    unique: int


class CampaignReport(BaseModel):
    """A campaign's results so far."""

    campaign_id: UUID
    name: str | None
    started_at: datetime | None
    outcome: str | None
    audience: int | None
    eligible: int | None
    excluded: dict[str, int]
    sent: int
    delivered: int
    confirmed: int
    deferred: int
    failed: dict[str, int]
    suppressed: int
    uncertain: int
    expired: int
    opens: Touches
    clicks: Touches
    machine_clicks: dict[str, int] = Field(description="clicks by machines, by the rule that told")
    unsubscribed: int
    complained: int
    replied: int
    bounced: dict[str, int]
    revenue: float | None
    links: list[LinkClicks]


@router.get(
    "/campaigns/{campaign_id}",
    dependencies=[allow("reports:read")],
    responses=problems(CampaignUnknown),
)
async def get_campaign_report(campaign_id: UUID, tx: Tx, caller: Caller) -> CampaignReport:
    """Opens and clicks are counted by message; machines apart.

    `bounced` by reason: refused in the SMTP dialogue (`failed` too), or come back later. `delivered` is what was sent
    and did not come back; `confirmed`, what servers or providers say was delivered.
    """
    campaign = await projections.campaign(tx, caller.workspace_id, campaign_id)
    if campaign is None:
        raise CampaignUnknown(campaign_id=str(campaign_id))
    stands = await statuses.of_campaign(tx, caller.workspace_id, campaign_id)
    touched = {kind: Touches() for kind in ("opened", "clicked", "unsubscribed", "complained", "replied", "delivered")}
    for row in await touches.of_campaign(tx, caller.workspace_id, campaign_id):
        counted = touched.setdefault(row["kind"], Touches())
        if row["machine"]:
            counted.machine += row["total"]
        else:
            counted.total += row["total"]
            counted.unique += row["uniques"]
    failed = {failure: n for (status, failure), n in stands.items() if status == "failed"}
    sent = stands.get(("sent", ""), 0)
    returned: Counter[str] = Counter()
    for (_, reason), n in (await bounces.of_campaign(tx, caller.workspace_id, campaign_id)).items():
        returned[reason] += n
    return CampaignReport(
        campaign_id=campaign_id,
        name=campaign["name"],
        started_at=campaign["started_at"],
        outcome=campaign["outcome"],
        audience=campaign["audience"],
        eligible=campaign["eligible"],
        excluded=campaign["excluded"] or {},
        sent=sent,
        delivered=max(0, sent - returned.total()),
        confirmed=touched["delivered"].unique,
        deferred=stands.get(("deferred", ""), 0),
        failed=failed,
        suppressed=stands.get(("suppressed", ""), 0),
        uncertain=stands.get(("uncertain", ""), 0),
        expired=stands.get(("expired", ""), 0),
        opens=touched["opened"],
        clicks=touched["clicked"],
        machine_clicks=await clicks.machines_of_campaign(tx, caller.workspace_id, campaign_id),
        unsubscribed=touched["unsubscribed"].unique,
        complained=touched["complained"].unique,
        replied=touched["replied"].unique,
        bounced=dict(Counter(failed) + returned),
        revenue=None,
        links=[
            LinkClicks(link=row["link"], url=row["url"], total=row["total"], unique=row["uniques"])
            for row in await touches.links_of_campaign(tx, caller.workspace_id, campaign_id)
        ],
    )
