"""/v1/reports/deliverability: how mail fares at each mailbox provider, and what to do about it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from asyncpg import Record
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Query
from pydantic import AwareDatetime, BaseModel, Field

from analytics.db import deferrals, fared
from analytics.domain.deliverability import Figures, Severity, recommend
from analytics.errors import BadPeriod

router = service_router("/reports", "reports")
USUAL = timedelta(days=30)
LONGEST = timedelta(days=92)


class RecommendationOut(BaseModel):
    """What to do. `code` and `params` are for a front end that translates."""

    code: str
    severity: Severity
    what: str
    why: str
    next_step: str
    params: dict[str, float]


class ProviderFigures(BaseModel):
    """How mail fared at one mailbox provider. Rates are parts of 1.

    `bounced` by reason: refused in the SMTP dialogue (`failed` too), or come back later. `opened`: messages that a
    person opened. `deferred`: messages that were put off at least once, `deferrals` how often.
    """

    provider: str
    sent: int
    delivered: int
    deferred: int
    deferrals: int
    failed: int
    bounced: dict[str, int]
    complained: int
    opened: int
    bounce_rate: float
    complaint_rate: float
    deferral_rate: float
    open_rate: float
    recommendations: list[RecommendationOut]


class DeliverabilityReport(BaseModel):
    """Campaigns' mail that ended in a time, by mailbox provider, the largest first."""

    since: datetime = Field(serialization_alias="from")
    until: datetime = Field(serialization_alias="to")
    providers: list[ProviderFigures]


@router.get("/deliverability", dependencies=[allow("reports:read")], responses=problems(BadPeriod))
async def get_deliverability_report(
    tx: Tx,
    caller: Caller,
    since: Annotated[AwareDatetime | None, Query(alias="from", description="30 days before `to` without it")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="now, without it")] = None,
) -> DeliverabilityReport:
    """Campaigns' mail whose sending ended in that time; its bounces, complaints and opens count whenever they came."""
    until = until or datetime.now(UTC)
    try:
        since = since or until - USUAL
        fits = timedelta(0) < until - since <= LONGEST
    except OverflowError:
        fits = False
    if since is None or not fits:
        raise BadPeriod("`from` lies before `to`, by at most 92 days", mend="Give another `from` or `to`.")
    found = figures_of(
        await fared.between(tx, caller.workspace_id, since, until),
        await deferrals.between(tx, caller.workspace_id, since, until),
    )
    ordered = sorted(found, key=lambda one: (-one.tried, one.provider))
    return DeliverabilityReport(since=since, until=until, providers=[_out(one, ordered) for one in ordered])


def figures_of(counts: Iterable[Record], deferred: dict[str, tuple[int, int]]) -> list[Figures]:
    """Rows of the database as figures."""
    found: dict[str, Figures] = {}
    for row in counts:
        one = found.setdefault(row["provider"], Figures(row["provider"]))
        match row["measure"]:
            case "sent":
                one.sent += row["n"]
                one.delivered += row["n"]
            case "failed":
                one.failed += row["n"]
                one.bounced[row["reason"]] += row["n"]
            case "bounced":
                one.delivered -= row["n"]
                one.bounced[row["reason"]] += row["n"]
            case "complained":
                one.complained += row["n"]
            case "opened":
                one.opened += row["n"]
    for provider, (messages, times) in deferred.items():
        one = found.setdefault(provider, Figures(provider))
        one.deferred, one.deferrals = messages, times
    return list(found.values())


def _out(one: Figures, all_of_them: list[Figures]) -> ProviderFigures:
    plain: dict[str, Any] = {
        name: getattr(one, name)
        for name in ("provider", "sent", "delivered", "deferred", "deferrals", "failed", "complained", "opened")
    }
    return ProviderFigures(
        **plain,
        bounced=dict(one.bounced),
        bounce_rate=round(one.share(one.bounced.total()), 6),
        complaint_rate=round(one.share(one.complained), 6),
        deferral_rate=round(one.share(one.deferred), 6),
        open_rate=round(one.open_rate, 6),
        recommendations=[
            RecommendationOut(
                code=r.code, severity=r.severity, what=r.what, why=r.why, next_step=r.next_step, params=r.params
            )
            for r in recommend(one, all_of_them)
        ],
    )
