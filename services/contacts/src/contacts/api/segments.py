"""Segments over HTTP."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from common.errors import PreconditionFailed
from common.web.etags import IfMatch, set_etag
from common.web.pages import Page, Paging, page, parse_time
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.deps import only_of
from contacts.api.rule_documents import RuleDocument
from contacts.db import segment_members, segment_states, segments
from contacts.errors import (
    ContactNotFound,
    InvalidRule,
    ListUnknown,
    PreviewTooSlow,
    SegmentInUse,
    SegmentUnknown,
    SnapshotNotFrozen,
    SnapshotUnknown,
)
from contacts.use_cases import segments as use_cases

router = service_router("/segments", "segments")

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]

Description = Annotated[
    str,
    Field(max_length=10_000, pattern=r"^[^\x00]*$", description="in words, who these people are: a persona"),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SegmentCreate(_Body):
    """A segment to store."""

    name: Name
    rule: RuleDocument
    description: Description = ""


class SegmentPatch(_Body):
    """What to change of a segment; what is left out stays."""

    name: Name = ""
    rule: RuleDocument = {}
    description: Description = ""


class SegmentPreviewRequest(_Body):
    """A rule to count."""

    rule: RuleDocument


class SegmentOut(BaseModel):
    """A stored segment."""

    id: UUID
    name: str
    rule: dict[str, Any]
    description: str
    revision: int
    created_at: datetime
    updated_at: datetime
    size: Annotated[int | None, Field(description="who is inside now; null until everybody was looked at")] = None
    error: Annotated[str | None, Field(description="why its members are no longer kept up to date")] = None


class SegmentMember(BaseModel):
    """A contact who is in a segment, and since when."""

    id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    language: str | None
    country: str | None
    since: datetime


class SegmentSize(BaseModel):
    """How many were inside at a time."""

    at: datetime
    size: int


class SegmentExplainRequest(_Body):
    """Whom to explain."""

    contact_id: UUID


class ExplainedCondition(BaseModel):
    """One condition of a rule and its verdict about a contact."""

    model_config = ConfigDict(from_attributes=True)

    holds: bool
    says: Annotated[str, Field(description="the condition in words")]
    saw: Annotated[Any, Field(description="the contact's value that it looked at; how often, for events")] = None
    parts: Annotated[list["ExplainedCondition"], Field(description="the conditions it is made of")] = []


class SampleContact(BaseModel):
    """One of the contacts that a rule holds for."""

    id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    language: str | None
    country: str | None


class SegmentPreview(BaseModel):
    """How many contacts a rule holds for now, and some of them."""

    count: int
    sample: list[SampleContact]


def _out(row: asyncpg.Record) -> SegmentOut:
    return SegmentOut.model_validate(dict(row))


@router.post(
    "",
    status_code=201,
    dependencies=[allow("segments:write")],
    responses=problems(InvalidRule, ListUnknown, SegmentUnknown, SnapshotUnknown, SnapshotNotFrozen),
)
async def create_segment(body: SegmentCreate, tx: Tx, caller: Caller, response: Response) -> SegmentOut:
    """Store a segment: a rule, and who it holds for, kept up to date from now on."""
    row = await use_cases.create_segment(
        tx, caller.workspace_id, body.name, body.rule, str(caller.subject_id), body.description
    )
    set_etag(response, row["revision"])
    return _out(row)


@router.post(
    "/preview",
    dependencies=[allow("segments:read")],
    responses=problems(InvalidRule, ListUnknown, SegmentUnknown, SnapshotUnknown, SnapshotNotFrozen, PreviewTooSlow),
)
async def preview_segment(body: SegmentPreviewRequest, tx: Tx, caller: Caller) -> SegmentPreview:
    """Count a rule without storing it."""
    found, rows = await use_cases.preview(
        tx, caller.workspace_id, body.rule, datetime.now(UTC), only_of=only_of(caller)
    )
    return SegmentPreview(count=found, sample=[SampleContact.model_validate(dict(row)) for row in rows])


@router.get("", dependencies=[allow("segments:read")])
async def list_segments(tx: Tx, caller: Caller, paging: Paging) -> Page[SegmentOut]:
    """Segments, newest first."""
    after = paging.after(UUID)
    rows = await segments.page(tx, caller.workspace_id, after[0] if after else None, paging.limit + 1)
    return page(rows, paging, _out, lambda row: (row["id"],))


@router.get("/{segment_id}", dependencies=[allow("segments:read")], responses=problems(SegmentUnknown))
async def get_segment(segment_id: UUID, tx: Tx, caller: Caller, response: Response) -> SegmentOut:
    """One segment."""
    row = await segments.find(tx, caller.workspace_id, segment_id)
    if row is None:
        raise SegmentUnknown
    set_etag(response, row["revision"])
    return _out(row)


@router.post(
    "/{segment_id}/explain",
    dependencies=[allow("segments:read")],
    responses=problems(SegmentUnknown, ContactNotFound, InvalidRule, ListUnknown),
)
async def explain_segment(segment_id: UUID, body: SegmentExplainRequest, tx: Tx, caller: Caller) -> ExplainedCondition:
    """Why a contact is in the segment, or is not: each condition with its verdict and the value it saw."""
    found = await use_cases.explain_contact(tx, caller.workspace_id, segment_id, body.contact_id, datetime.now(UTC))
    return ExplainedCondition.model_validate(found)


@router.get("/{segment_id}/members", dependencies=[allow("segments:read")], responses=problems(SegmentUnknown))
async def list_segment_members(segment_id: UUID, tx: Tx, caller: Caller, paging: Paging) -> Page[SegmentMember]:
    """Who is in the segment, a second after what changed it at the latest."""
    after = paging.after(UUID)
    if await segments.find(tx, caller.workspace_id, segment_id) is None:
        raise SegmentUnknown
    rows = await segment_members.page(
        tx, caller.workspace_id, segment_id, after[0] if after else None, paging.limit + 1
    )
    return page(rows, paging, lambda row: SegmentMember.model_validate(dict(row)), lambda row: (row["id"],))


@router.get("/{segment_id}/sizes", dependencies=[allow("segments:read")], responses=problems(SegmentUnknown))
async def list_segment_sizes(segment_id: UUID, tx: Tx, caller: Caller, paging: Paging) -> Page[SegmentSize]:
    """How large the segment was, by the hour and whenever its rule changed; the newest first."""
    before = paging.after(parse_time)
    if await segments.find(tx, caller.workspace_id, segment_id) is None:
        raise SegmentUnknown
    rows = await segment_states.sizes(
        tx, caller.workspace_id, segment_id, before[0] if before else None, paging.limit + 1
    )
    return page(rows, paging, lambda row: SegmentSize.model_validate(dict(row)), lambda row: (row["at"],))


@router.patch(
    "/{segment_id}",
    dependencies=[allow("segments:write")],
    responses=problems(
        SegmentUnknown, PreconditionFailed, InvalidRule, ListUnknown, SnapshotUnknown, SnapshotNotFrozen
    ),
)
async def update_segment(
    segment_id: UUID, body: SegmentPatch, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> SegmentOut:
    """Change name or rule; the rule is replaced whole. Frozen audiences stay as they are."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    row = await use_cases.change_segment(tx, caller.workspace_id, segment_id, changes, if_match)
    set_etag(response, row["revision"])
    return _out(row)


@router.delete(
    "/{segment_id}",
    status_code=204,
    dependencies=[allow("segments:write")],
    responses=problems(SegmentUnknown, PreconditionFailed, SegmentInUse),
)
async def delete_segment(segment_id: UUID, tx: Tx, caller: Caller, if_match: IfMatch = None) -> None:
    """Delete a segment. A campaign that starts with it afterwards fails."""
    await use_cases.delete_segment(tx, caller.workspace_id, segment_id, if_match)
