"""`/v1/retention`: how long each kind of data is kept."""

from datetime import datetime
from typing import Annotated

from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.deps import ActingCaller
from contacts.db import retention
from contacts.domain.retention import BOUNDS, KINDS, LONGEST_DAYS, Kind, effective

router = service_router("/retention", "privacy")

MOST_COUNTED = 10_000


_ACTIVITY, _FORMS, _NOTES, _STAGES, _REJECTS = (BOUNDS[kind] for kind in KINDS)


class RetentionPut(BaseModel):
    """Days per kind of data; null keeps it for ever. A kind that is left out gets its default.

    Consents, suppressions and what proves them are no such kind: they stay.
    """

    model_config = ConfigDict(extra="forbid")

    activity: Annotated[int, Field(ge=_ACTIVITY.fewest, le=LONGEST_DAYS)] | None = Field(
        _ACTIVITY.default, description="mails sent, opened, clicked and the like, and events from outside"
    )
    form_submissions: Annotated[int, Field(ge=_FORMS.fewest, le=LONGEST_DAYS)] | None = Field(
        _FORMS.default, description="those that no consent rests on"
    )
    contact_notes: Annotated[int, Field(ge=_NOTES.fewest, le=LONGEST_DAYS)] | None = _NOTES.default
    stage_transitions: Annotated[int, Field(ge=_STAGES.fewest, le=LONGEST_DAYS)] | None = _STAGES.default
    import_rejects: Annotated[int, Field(ge=_REJECTS.fewest, le=LONGEST_DAYS)] | None = Field(
        _REJECTS.default, description="rows of files that were refused, since their import was over"
    )


class KindOut(BaseModel):
    """How long a kind of data is kept, and what of it is too old now."""

    kind: Kind
    days: int | None = Field(description="null: for ever")
    fewest_days: int
    default_days: int | None
    due: int = Field(description=f"rows that the next run takes out; counted to {MOST_COUNTED}")


class RetentionOut(BaseModel):
    """Each kind of data."""

    kinds: list[KindOut]
    revision: int
    updated_by: str | None
    updated_at: datetime | None


@router.get("", dependencies=[allow("privacy:read")])
async def get_retention(tx: Tx, caller: Caller, response: Response) -> RetentionOut:
    """How long each kind of data is kept, and how much of it goes with the next run, which comes every hour."""
    return await _out(tx, caller, response)


@router.put("", dependencies=[allow("privacy:write")], responses=problems(PreconditionFailed))
async def put_retention(
    body: RetentionPut, tx: Tx, caller: Caller, actor: ActingCaller, response: Response, if_match: IfMatch = None
) -> RetentionOut:
    """Decide how long data is kept. What is older goes with the next run, and does not come back."""
    before = await retention.get(tx, caller.workspace_id, lock=True)
    require_match(if_match, before["revision"] if before else 0)
    await retention.put(tx, caller.workspace_id, body.model_dump(), actor.name)
    return await _out(tx, caller, response)


async def _out(tx: Tx, caller: Caller, response: Response) -> RetentionOut:
    row = await retention.get(tx, caller.workspace_id)
    days_of = effective(row["days"] if row else {})
    kinds = []
    for kind, days in days_of.items():
        due = await retention.count(tx, caller.workspace_id, kind, days, MOST_COUNTED) if days is not None else 0
        bounds = BOUNDS[kind]
        kinds.append(KindOut(kind=kind, days=days, fewest_days=bounds.fewest, default_days=bounds.default, due=due))
    revision = row["revision"] if row else 0
    set_etag(response, revision)
    return RetentionOut(
        kinds=kinds,
        revision=revision,
        updated_by=row["updated_by"] if row else None,
        updated_at=row["updated_at"] if row else None,
    )
