"""/v1/scoring: the workspace's rules."""

from typing import Annotated

from common.web.route import Caller, Tx, allow, service_router
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from analytics.db import scoring_rules
from analytics.domain.scoring import Rule
from analytics.use_cases import scoring

router = service_router("/scoring", "scoring")


_OF_MAIL = ("email.opened", "email.clicked", "email.unsubscribed")


def _known(name: str) -> str:
    if name.startswith("email.") and name not in _OF_MAIL:
        raise ValueError(f"of mail, only these are scored: {', '.join(_OF_MAIL)}")
    return name


# What mail brings, or anything that the workspace has defined elsewhere (`/v1/events/definitions`).
EventType = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){1,3}$"), AfterValidator(_known)
]


class RuleBody(BaseModel):
    """`points` for each event of `type`, halved every `half_life_days`; the rule's sum stays within ±`cap`."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    type: EventType
    points: Annotated[float, Field(ge=-1000, le=1000)]
    half_life_days: Annotated[float, Field(gt=0, le=3650)]
    cap: Annotated[float, Field(gt=0, le=10_000)]


class GradeBody(BaseModel):
    """The score from which a contact has this grade; below the lowest it is D."""

    model_config = ConfigDict(extra="forbid")

    grade: Annotated[str, Field(pattern=r"^[A-C]\+?$")]
    from_score: Annotated[float, Field(ge=-10_000, le=10_000)]


class ScoringBody(BaseModel):
    """Rules and grades, whole."""

    model_config = ConfigDict(extra="forbid")

    rules: Annotated[list[RuleBody], Field(min_length=1, max_length=50)]
    grades: Annotated[list[GradeBody], Field(max_length=6)]

    @model_validator(mode="after")
    def _ordered(self) -> "ScoringBody":
        if len({rule.key for rule in self.rules}) != len(self.rules):
            raise ValueError("each rule needs its own key")
        thresholds = [grade.from_score for grade in self.grades]
        if thresholds != sorted(thresholds, reverse=True):
            raise ValueError("grades go from the highest threshold to the lowest")
        return self


class ScoringOut(ScoringBody):
    """The rules in force; revision 0 is the default set."""

    revision: int


@router.get("", dependencies=[allow("scoring:read")])
async def get_scoring(tx: Tx, caller: Caller) -> ScoringOut:
    """The rules by which this workspace's contacts are scored."""
    found = (await scoring_rules.of_workspaces(tx, [caller.workspace_id]))[caller.workspace_id]
    return ScoringOut(
        revision=found.revision,
        rules=[RuleBody(**{name: getattr(rule, name) for name in RuleBody.model_fields}) for rule in found.rules],
        grades=[GradeBody(grade=grade, from_score=threshold) for grade, threshold in found.grades],
    )


@router.put("", dependencies=[allow("scoring:write")])
async def replace_scoring(body: ScoringBody, tx: Tx, caller: Caller) -> ScoringOut:
    """Replace the rules; every contact is scored again by them."""
    revision = await scoring.replace_rules(
        tx,
        caller.workspace_id,
        [Rule(**rule.model_dump()) for rule in body.rules],
        [(grade.grade, grade.from_score) for grade in body.grades],
    )
    return ScoringOut(revision=revision, rules=body.rules, grades=body.grades)
