"""/v1/domains/{domain_id}/warmup: a plan by which receivers come to know a sending domain."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

import asyncpg
from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from delivery.db import warmups
from delivery.domain.warmup import MOST_A_DAY, MOST_DAYS, usual
from delivery.errors import DomainNotFound, WarmupNotFound
from delivery.use_cases import domains

router = service_router("/domains", "domains")

Daily = Annotated[list[Annotated[int, Field(ge=1, le=MOST_A_DAY)]], Field(min_length=1, max_length=MOST_DAYS)]


class WarmupPut(BaseModel):
    """A plan. A day on which nothing is sent is not counted; after the last day there is no cap."""

    model_config = ConfigDict(extra="forbid")

    daily: Daily | None = Field(
        None,
        description="messages on each day of sending; null: 50 on the first and 40 % more on each next, four weeks",
    )


class WarmupOut(BaseModel):
    """How far a domain is. Campaigns that find no room wait for the next day (UTC); single mail counts, and goes.

    `day`: the how-manieth day of sending `date` is; `cap`, `left`: null once the plan is `done`.
    """

    domain: str
    daily: list[int]
    day: int
    date: date
    cap: int | None
    used: int
    left: int | None
    done: bool
    waits_until: datetime | None = Field(description="when there is room again; null: there is room now")
    revision: int
    created_at: datetime
    updated_at: datetime


@router.get(
    "/{domain_id}/warmup", dependencies=[allow("domains:read")], responses=problems(DomainNotFound, WarmupNotFound)
)
async def get_warmup(domain_id: UUID, tx: Tx, caller: Caller, response: Response) -> WarmupOut:
    """How far the domain is."""
    row = await _require(tx, caller.workspace_id, domain_id)
    set_etag(response, row["revision"])
    return _out(row)


@router.put(
    "/{domain_id}/warmup",
    dependencies=[allow("domains:write")],
    responses=problems(DomainNotFound, PreconditionFailed),
)
async def put_warmup(
    domain_id: UUID, body: WarmupPut, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> WarmupOut:
    """Begin a plan; or give the one under way other caps, from the day on that it is at."""
    domain = await domains.require(tx, caller.workspace_id, domain_id)
    known = await warmups.get(tx, caller.workspace_id, domain["name"], lock=True)
    require_match(if_match, known["revision"] if known else 0)
    row = await warmups.put(tx, caller.workspace_id, domain["name"], body.daily or usual())
    set_etag(response, row["revision"])
    return _out(row)


@router.delete(
    "/{domain_id}/warmup",
    status_code=204,
    dependencies=[allow("domains:write")],
    responses=problems(DomainNotFound, WarmupNotFound),
)
async def delete_warmup(domain_id: UUID, tx: Tx, caller: Caller) -> None:
    """Send without a cap from now on."""
    row = await _require(tx, caller.workspace_id, domain_id)
    await warmups.delete(tx, caller.workspace_id, row["domain"])


async def _require(tx: Tx, workspace_id: UUID, domain_id: UUID) -> asyncpg.Record:
    domain = await domains.require(tx, workspace_id, domain_id)
    row = await warmups.get(tx, workspace_id, domain["name"])
    if row is None:
        raise WarmupNotFound(domain=domain["name"])
    return row


def _out(row: asyncpg.Record) -> WarmupOut:
    plan = warmups.plan_of(row)
    tomorrow = datetime.combine(plan.day + timedelta(days=1), time.min, UTC)
    return WarmupOut(
        **{name: row[name] for name in ("domain", "daily", "revision", "created_at", "updated_at")},
        day=plan.number,
        date=plan.day,
        cap=plan.cap,
        used=plan.used,
        left=plan.left,
        done=plan.done,
        waits_until=tomorrow if plan.left == 0 else None,
    )
