"""`/v1/exports`: contacts as a file, written while it is downloaded."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Db, Tx, allow, event_stream, service_router
from common.web.sse import issue_ticket
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contacts.api.deps import ActingCaller
from contacts.api.rule_documents import RuleDocument
from contacts.api.segments import Name
from contacts.db import exports
from contacts.errors import (
    ExportNotFound,
    InvalidRule,
    ListUnknown,
    SegmentUnknown,
    TooManyDownloads,
    TooManyRows,
    UnknownExportColumn,
)
from contacts.use_cases.exports import WRITERS, NewExport, create_export, plan_export, stream_export

router = service_router("/exports", "exports")

# Each has a thread and a few pages of contacts; others of this process must go on.
MOST_DOWNLOADS = 3
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_downloads = asyncio.Semaphore(MOST_DOWNLOADS)

Format = Literal["csv", "jsonl", "parquet", "xlsx"]
Mode = Literal["raw", "spreadsheet"]


class ExportCreate(BaseModel):
    """What to take out: a segment's contacts, a list's, a rule's, or without any of them all."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    segment_id: UUID | None = None
    list_id: UUID | None = None
    rule: RuleDocument | None = None
    format: Format = "csv"
    mode: Mode = Field(
        "raw",
        description="raw: values as they are, to be imported again. spreadsheet (csv and xlsx): no cell of text that "
        "a program would run as a formula; the import takes off what was put before such cells",
    )
    columns: Annotated[list[Annotated[str, Field(max_length=120)]], Field(min_length=1, max_length=600)] | None = Field(
        None, description="fields, tags, attributes.<name>, consent.<purpose>; without it all"
    )

    @model_validator(mode="after")
    def _fits(self) -> "ExportCreate":
        if sum(one is not None for one in (self.segment_id, self.list_id, self.rule)) > 1:
            raise ValueError("name one of segment_id, list_id and rule, or none of them for all contacts")
        if (self.format, self.mode) not in WRITERS:
            raise ValueError(f"{self.format} has no mode {self.mode}; only csv and xlsx are for spreadsheets")
        return self


class ExportOut(BaseModel):
    """An export: what it takes out, and who did last."""

    id: UUID
    name: str
    rule: dict[str, Any]
    format: Format
    mode: Mode
    columns: list[str] | None
    created_by: str
    created_at: datetime
    downloads: int
    rows: int | None = Field(description="how many contacts the last whole download had")
    downloaded_by: str | None
    downloaded_at: datetime | None


class DownloadTicket(BaseModel):
    """For `GET …/file?ticket=`, for a minute: a link in a browser sends no header."""

    ticket: str = Field(description="works for one path and one minute")


@router.post(
    "",
    status_code=201,
    operation_id="create_export",
    dependencies=[allow("exports:write")],
    responses=problems(SegmentUnknown, ListUnknown, InvalidRule, UnknownExportColumn),
)
async def create_export_(
    body: ExportCreate, tx: Tx, caller: Caller, actor: ActingCaller, response: Response
) -> ExportOut:
    """Say what to take out; `GET …/file` writes it. A segment's rule is kept as it is now."""
    wanted = NewExport(body.format, body.mode, body.name or "", body.segment_id, body.list_id, body.rule, body.columns)
    row = await create_export(tx, caller.workspace_id, wanted, actor.name)
    response.headers["Location"] = f"/v1/exports/{row['id']}"
    return _out(row)


@router.get("", dependencies=[allow("exports:read")])
async def list_exports(tx: Tx, caller: Caller, paging: Paging) -> Page[ExportOut]:
    """Exports, the newest first: who took what out."""
    before = paging.after(UUID)
    rows = await exports.page(tx, caller.workspace_id, before[0] if before else None, paging.limit + 1)
    return page(rows, paging, _out, lambda row: (row["id"],))


@router.get("/{export_id}", dependencies=[allow("exports:read")], responses=problems(ExportNotFound))
async def get_export(export_id: UUID, tx: Tx, caller: Caller) -> ExportOut:
    """One export."""
    return _out(await _found(tx, caller.workspace_id, export_id))


@router.post("/{export_id}/ticket", dependencies=[allow("exports:read")], responses=problems(ExportNotFound))
async def create_export_ticket(export_id: UUID, request: Request, tx: Tx, caller: Caller) -> DownloadTicket:
    """A ticket for the download."""
    await _found(tx, caller.workspace_id, export_id)
    keys = request.app.state.settings.link_key_ring()
    return DownloadTicket(ticket=issue_ticket(keys, caller, f"/v1/exports/{export_id}/file"))


@router.get(
    "/{export_id}/file",
    dependencies=[allow("exports:read")],
    response_class=StreamingResponse,
    responses={
        **problems(ExportNotFound, InvalidRule, UnknownExportColumn, TooManyRows, TooManyDownloads),
        200: {"content": {kind.partition(";")[0]: {} for kind in _TYPES.values()}},
    },
)
@event_stream
async def download_export(export_id: UUID, db: Db, caller: Caller, actor: ActingCaller) -> StreamingResponse:
    """The contacts as they are now. A download that breaks off is not whole: begin it again."""
    if _downloads.locked():
        raise TooManyDownloads(f"{MOST_DOWNLOADS} exports are being downloaded", mend="Try again in a minute")
    now = datetime.now(UTC)
    async with db.transaction(caller.workspace_id, readonly=True) as tx:
        row, plan = await plan_export(tx, caller.workspace_id, export_id, now)

    async def pieces() -> AsyncIterator[bytes]:
        async with _downloads:
            async for piece in stream_export(db, caller.workspace_id, export_id, plan, now, actor.name):
                yield piece

    return StreamingResponse(
        pieces(),
        media_type=_TYPES[row["format"]],
        headers={
            "Content-Disposition": f'attachment; filename="contacts-{export_id}.{row["format"]}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _found(tx: Tx, workspace_id: UUID, export_id: UUID) -> asyncpg.Record:
    row = await exports.get(tx, workspace_id, export_id)
    if row is None:
        raise ExportNotFound(export_id=str(export_id))
    return row


def _out(row: asyncpg.Record) -> ExportOut:
    return ExportOut.model_validate(dict(row))
