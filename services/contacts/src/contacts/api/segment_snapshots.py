"""Snapshots of segments over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.segments import Name, SampleContact
from contacts.db import segment_snapshots, segments
from contacts.errors import SegmentUnknown, SnapshotUnknown
from contacts.use_cases import segment_snapshots as use_cases

router = service_router("/segments", "segments")


class SnapshotCreate(BaseModel):
    """A snapshot to take."""

    model_config = ConfigDict(extra="forbid")

    name: Name


class SnapshotOut(BaseModel):
    """Who was in a segment at one moment."""

    id: UUID
    segment_id: UUID
    name: str
    size: Annotated[int | None, Field(description="null until it is frozen")]
    frozen_at: datetime | None
    error: str | None
    created_at: datetime


def _out(row: asyncpg.Record) -> SnapshotOut:
    return SnapshotOut.model_validate(dict(row))


@router.post(
    "/{segment_id}/snapshots",
    status_code=202,
    dependencies=[allow("segments:write")],
    responses=problems(SegmentUnknown),
)
async def create_snapshot(segment_id: UUID, body: SnapshotCreate, tx: Tx, caller: Caller) -> SnapshotOut:
    """Keep who is in the segment, for ever: seconds later its size is there, and rules may name it."""
    row = await use_cases.create_snapshot(tx, caller.workspace_id, segment_id, body.name, str(caller.subject_id))
    return _out(row)


@router.get("/{segment_id}/snapshots", dependencies=[allow("segments:read")], responses=problems(SegmentUnknown))
async def list_snapshots(segment_id: UUID, tx: Tx, caller: Caller, paging: Paging) -> Page[SnapshotOut]:
    """Snapshots of the segment, the newest first."""
    before = paging.after(UUID)
    if await segments.find(tx, caller.workspace_id, segment_id) is None:
        raise SegmentUnknown
    rows = await segment_snapshots.page(
        tx, caller.workspace_id, segment_id, before[0] if before else None, paging.limit + 1
    )
    return page(rows, paging, _out, lambda row: (row["id"],))


@router.get(
    "/{segment_id}/snapshots/{snapshot_id}/members",
    dependencies=[allow("segments:read")],
    responses=problems(SnapshotUnknown),
)
async def list_snapshot_members(
    segment_id: UUID, snapshot_id: UUID, tx: Tx, caller: Caller, paging: Paging
) -> Page[SampleContact]:
    """Who was inside; people erased since are gone."""
    after = paging.after(UUID)
    if await segment_snapshots.get(tx, caller.workspace_id, segment_id, snapshot_id) is None:
        raise SnapshotUnknown
    rows = await segment_snapshots.members(
        tx, caller.workspace_id, snapshot_id, after[0] if after else None, paging.limit + 1
    )
    return page(rows, paging, lambda row: SampleContact.model_validate(dict(row)), lambda row: (row["id"],))
