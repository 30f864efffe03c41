"""`/v1/contacts/bulk`: changing all contacts of a segment, a rule or a list, by a job."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from common.contracts.leads import Stage
from common.errors import Forbidden
from common.jobs import Job
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contacts.api.deps import ActingCaller, only_of
from contacts.api.rule_documents import RuleDocument
from contacts.api.schemas import Key
from contacts.db.bulk import Change
from contacts.domain.import_options import Tag
from contacts.errors import BulkChangeNotFound, BulkChangeOver, InvalidRule, ListFull, ListUnknown, SegmentUnknown
from contacts.use_cases.bulk import NewBulkChange, cancel_bulk_change, find_bulk_change, start_bulk_change

router = service_router("/contacts/bulk", "contacts")

Tags = Annotated[list[Tag], Field(max_length=50)]
_CHANGES = ("add_tags", "remove_tags", "owner", "stage", "add_to_list", "remove_from_list")


class BulkCreate(BaseModel):
    """Whom to change — exactly one of segment, rule and list — and what to change of them."""

    model_config = ConfigDict(extra="forbid")

    segment_id: UUID | None = None
    rule: RuleDocument | None = None
    list_id: UUID | None = None
    add_tags: Tags = []
    remove_tags: Tags = []
    owner: Key | None = Field(None, description="null: nobody; omitted: as it is")
    stage: Stage | None = None
    add_to_list: UUID | None = None
    remove_from_list: UUID | None = None

    @model_validator(mode="after")
    def _fits(self) -> "BulkCreate":
        if sum(one is not None for one in (self.segment_id, self.rule, self.list_id)) != 1:
            raise ValueError("name exactly one of segment_id, rule and list_id")
        if not self.model_fields_set.intersection(_CHANGES):
            raise ValueError(f"nothing would change: send some of {', '.join(_CHANGES)}")
        return self

    def to_new(self) -> NewBulkChange:
        """As the use cases take it."""
        change = Change(self.add_tags, self.remove_tags, "owner" in self.model_fields_set, self.owner, self.stage)
        return NewBulkChange(change, self.segment_id, self.list_id, self.rule, self.add_to_list, self.remove_from_list)


class BulkOut(BaseModel):
    """A bulk change and how far it is."""

    id: UUID
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    total: int | None = Field(description="so many were chosen when it began; null before")
    done: int
    changed: int = Field(description="so many are different now, and were announced")
    members: int = Field(description="so many were put on lists or taken off")
    error: str | None
    created_at: datetime
    finished_at: datetime | None


@router.post(
    "",
    status_code=202,
    operation_id="create_bulk_change",
    dependencies=[allow("contacts:write")],
    responses=problems(SegmentUnknown, ListUnknown, ListFull, InvalidRule, Forbidden),
)
async def create_bulk_change(
    body: BulkCreate, tx: Tx, caller: Caller, actor: ActingCaller, response: Response
) -> BulkOut:
    """Change tags, lists, owner or stage of many contacts; a job does it. Only contacts that differ are announced."""
    job = await start_bulk_change(tx, caller.workspace_id, body.to_new(), actor, only_of(caller))
    response.headers["Location"] = f"/v1/contacts/bulk/{job.id}"
    return _out(job)


@router.get("/{bulk_change_id}", dependencies=[allow("contacts:read")], responses=problems(BulkChangeNotFound))
async def get_bulk_change(bulk_change_id: UUID, tx: Tx, caller: Caller) -> BulkOut:
    """How far a bulk change is."""
    return _out(await find_bulk_change(tx, caller.workspace_id, bulk_change_id))


@router.post(
    "/{bulk_change_id}/cancel",
    operation_id="cancel_bulk_change",
    dependencies=[allow("contacts:write")],
    responses=problems(BulkChangeNotFound, BulkChangeOver),
)
async def cancel_bulk_change_(bulk_change_id: UUID, tx: Tx, caller: Caller) -> BulkOut:
    """Stop it; what is changed already stays so."""
    return _out(await cancel_bulk_change(tx, caller.workspace_id, bulk_change_id))


def _out(job: Job) -> BulkOut:
    progress = job.progress
    return BulkOut(
        id=job.id,
        status=job.state,
        total=progress.get("total"),
        done=progress.get("done", 0),
        changed=progress.get("changed", 0),
        members=progress.get("members", 0),
        error=job.error,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )
