"""Audiences over HTTP: who is in a campaign, and why others are not."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Query
from pydantic import BaseModel

from contacts.db import audiences
from contacts.errors import AudienceUnknown

router = service_router("/audiences", "audiences")

Reason = Literal[
    "excluded_segment",
    "owner_limit",
    "invalid_address",
    "suppressed",
    "unsubscribed",
    "unconfirmed",
    "no_consent",
    "paused",
    "eligible",
]


class AudienceMember(BaseModel):
    """One contact and the decision about it. Of an erased one only the id is left."""

    contact_id: UUID
    decision: Literal["eligible", "excluded"]
    reason: str | None
    email: str | None
    first_name: str | None
    last_name: str | None


class AudienceOut(Page[AudienceMember]):
    """An audience: its totals, and a page of those asked for. audience = Σ excluded + eligible."""

    campaign_id: UUID
    status: Literal["freezing", "publishing", "closed", "rejected"]
    audience: int | None
    eligible: int | None
    excluded: dict[str, int]
    published: int
    frozen_at: datetime | None
    closed_at: datetime | None


def _member(row: asyncpg.Record) -> AudienceMember:
    return AudienceMember.model_validate(dict(row))


@router.get("/{campaign_id}", dependencies=[allow("audiences:read")], responses=problems(AudienceUnknown))
async def get_audience(
    campaign_id: UUID,
    tx: Tx,
    caller: Caller,
    paging: Paging,
    reason: Annotated[Reason | None, Query(description="without it: everybody who was left out")] = None,
) -> AudienceOut:
    """Who was left out of a campaign, and why; with `reason=eligible`, who is in it. Totals are null until frozen."""
    campaign = await audiences.find(tx, caller.workspace_id, campaign_id)
    if campaign is None or campaign["status"] == "known":
        raise AudienceUnknown
    after = paging.after(str, UUID)
    rows = await audiences.members(tx, caller.workspace_id, campaign_id, reason, after, paging.limit + 1)
    part = page(rows, paging, _member, lambda row: (str(row["seq"] or row["reason"]), row["contact_id"]))
    eligible, excluded = campaign["eligible"], campaign["excluded"]
    return AudienceOut(
        items=part.items,
        next_cursor=part.next_cursor,
        campaign_id=campaign_id,
        status=campaign["status"],
        audience=None if eligible is None else eligible + sum(excluded.values()),
        eligible=eligible,
        excluded=excluded,
        published=campaign["published"],
        frozen_at=campaign["frozen_at"],
        closed_at=campaign["closed_at"],
    )
