"""/v1/leads: who scores how much, and why."""

from datetime import UTC, datetime
from uuid import UUID

from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from pydantic import BaseModel

from analytics.db import projections, scores
from analytics.errors import LeadUnknown
from analytics.use_cases import scoring

router = service_router("/leads", "leads")


class LeadOut(BaseModel):
    """A scored contact; `reasons` are the rules that count most."""

    contact_id: UUID
    score: float
    grade: str
    reasons: list[str]
    updated_at: datetime


class ReasonOut(BaseModel):
    """What one event gives: points when it happened, and what is left of them after decay and cap."""

    rule: str
    points: float
    decayed: float
    event_id: UUID
    at: datetime


class ScoreOut(BaseModel):
    """A contact's score at this moment; the reasons add up to it."""

    contact_id: UUID
    score: float
    grade: str
    reasons: list[ReasonOut]


@router.get("", dependencies=[allow("leads:read")])
async def list_leads(tx: Tx, caller: Caller, paging: Paging) -> Page[LeadOut]:
    """Scored contacts, the highest score first."""
    rows = await scores.page(tx, caller.workspace_id, paging.limit + 1, paging.after(float, UUID))
    return page(rows, paging, lambda row: LeadOut(**dict(row)), lambda row: (row["score"], row["contact_id"]))


@router.get(
    "/{contact_id}/score",
    dependencies=[allow("leads:read")],
    responses=problems(LeadUnknown),
)
async def get_lead_score(contact_id: UUID, tx: Tx, caller: Caller) -> ScoreOut:
    """A contact's score now, decayed to this moment, with every reason."""
    score = await scoring.score_now(tx, caller.workspace_id, contact_id, datetime.now(UTC))
    if not score.reasons and not await projections.lead_exists(tx, caller.workspace_id, contact_id):
        raise LeadUnknown(contact_id=str(contact_id))
    return ScoreOut(
        contact_id=contact_id,
        score=score.value,
        grade=score.grade,
        reasons=[
            ReasonOut(**{name: getattr(reason, name) for name in ReasonOut.model_fields}) for reason in score.reasons
        ],
    )
