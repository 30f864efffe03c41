"""`/v1/imports`: files of contacts, streamed in, merged by a job, with their rejects row by row."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Db, Tx, allow, event_stream, own_transaction, service_router
from common.web.sse import ServerEvent, issue_ticket, stream
from fastapi import Form, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from contacts.api.deps import ActingCaller, Pepper, only_of
from contacts.api.import_options import read_options
from contacts.db import import_undo, imports
from contacts.domain.import_files import REJECT_COLUMNS
from contacts.errors import (
    ImportNotFound,
    ImportNotRunning,
    ImportNotUndoable,
    InvalidMapping,
    ListFull,
    ListUnknown,
    MissingColumn,
    TooManyTags,
    UnknownAttribute,
    UnknownPurpose,
)
from contacts.use_cases.import_problems import FILE_PROBLEMS
from contacts.use_cases.import_undo import request_undo
from contacts.use_cases.imports import accept_upload, cancel_import

router = service_router("/imports", "imports")

MAX_BYTES = 2 * 1024**3
_PLAN_PROBLEMS = (MissingColumn, InvalidMapping, UnknownAttribute, UnknownPurpose, ListUnknown, ListFull, TooManyTags)
_REJECTS_AT_ONCE = 2000
_PROGRESS_S = 0.5
_OVER = ("completed", "failed", "cancelled")


class Rows(BaseModel):
    """What became of the file's rows."""

    read: int
    created: int
    updated: int
    unchanged: int
    skipped: int
    rejected: int


class Undo(BaseModel):
    """How far undoing is: contacts removed, restored, and those of which something stays as it is."""

    status: Literal["queued", "running", "completed", "failed"]
    removed: int
    restored: int
    kept: int
    by: str
    at: datetime | None


class ImportOut(BaseModel):
    """An import."""

    id: UUID
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    rows: Rows
    filename: str
    columns: list[str]
    format: Literal["csv", "xlsx", "jsonl"]
    compressed: bool
    encoding: str
    delimiter: str
    options: dict[str, Any]
    dry_run: bool
    undo: Undo | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class KeptValue(BaseModel):
    """What undoing left as it is now, and why."""

    contact_id: UUID
    field: str = Field(description="contact, consent, tracking, a field or attributes.<name>")
    reason: str
    value: Any = None


class ImportAccepted(BaseModel):
    """The file is stored; its merging is a job."""

    id: UUID


class StreamTicket(BaseModel):
    """For `GET …/progress?ticket=`, for a minute: browsers send no header with an event stream."""

    ticket: str = Field(description="works for one path and one minute")


@router.post(
    "",
    status_code=202,
    max_body_size=MAX_BYTES,
    dependencies=[allow("imports:write")],
    responses=problems(*FILE_PROBLEMS, *_PLAN_PROBLEMS),
)
@own_transaction
async def create_import(
    file: UploadFile,
    db: Db,
    caller: Caller,
    actor: ActingCaller,
    pepper: Pepper,
    options: Annotated[str, Form(description="JSON: see ImportOptions")] = "{}",
) -> ImportAccepted:
    """Store a file of contacts (CSV, XLSX, JSON Lines; gzip) for merging. Nothing stays of a file that is refused."""
    wanted = read_options(options)
    async with db.transaction(caller.workspace_id) as tx:
        import_id = await accept_upload(
            tx,
            caller.workspace_id,
            file.file,
            file.filename or "",
            wanted,
            pepper=pepper,
            actor=actor.name,
            only_of=only_of(caller),
        )
    return ImportAccepted(id=import_id)


@router.get("", dependencies=[allow("imports:read")])
async def list_imports(tx: Tx, caller: Caller, paging: Paging) -> Page[ImportOut]:
    """Imports, the newest first."""
    before = paging.after(UUID)
    rows = await imports.page(tx, caller.workspace_id, before[0] if before else None, paging.limit + 1)
    return page(rows, paging, _out, lambda row: (row["id"],))


@router.get("/{import_id}", dependencies=[allow("imports:read")], responses=problems(ImportNotFound))
async def get_import(import_id: UUID, tx: Tx, caller: Caller) -> ImportOut:
    """One import, with live counts."""
    return _out(await _found(tx, caller.workspace_id, import_id))


@router.post(
    "/{import_id}/cancel",
    operation_id="cancel_import",
    dependencies=[allow("imports:write")],
    responses=problems(ImportNotFound, ImportNotRunning),
)
async def cancel_import_(import_id: UUID, tx: Tx, caller: Caller) -> ImportOut:
    """Stop an import; what it has merged stays."""
    await cancel_import(tx, caller.workspace_id, import_id)
    return _out(await _found(tx, caller.workspace_id, import_id))


@router.post(
    "/{import_id}/undo",
    status_code=202,
    operation_id="undo_import",
    dependencies=[allow("imports:write")],
    responses=problems(ImportNotFound, ImportNotUndoable),
)
async def undo_import(import_id: UUID, tx: Tx, caller: Caller, actor: ActingCaller) -> ImportOut:
    """Take back what an import stored, within seven days, unless it was changed since; a job."""
    await request_undo(tx, caller.workspace_id, import_id, actor.name)
    return _out(await _found(tx, caller.workspace_id, import_id))


@router.get("/{import_id}/kept", dependencies=[allow("imports:read")], responses=problems(ImportNotFound))
async def list_import_kept(import_id: UUID, tx: Tx, caller: Caller, paging: Paging) -> Page[KeptValue]:
    """What undoing an import left as it is, because something happened since."""
    await _found(tx, caller.workspace_id, import_id)
    after = paging.after(UUID, str)
    rows = await import_undo.kept_page(
        tx, caller.workspace_id, import_id, (after[0], after[1]) if after else None, paging.limit + 1
    )
    return page(rows, paging, lambda row: KeptValue(**dict(row)), lambda row: (row["contact_id"], row["field"]))


@router.get(
    "/{import_id}/rejects",
    dependencies=[allow("imports:read")],
    response_class=StreamingResponse,
    responses={**problems(ImportNotFound), 200: {"content": {"text/csv": {}}}},
)
@own_transaction
async def get_import_rejects(import_id: UUID, db: Db, caller: Caller) -> StreamingResponse:
    """Rejected rows as CSV: row, code, message, and the columns of the file. The header is row 1."""
    async with db.transaction(caller.workspace_id, readonly=True) as tx:
        row = await _found(tx, caller.workspace_id, import_id)
    return StreamingResponse(
        _rejects(db, caller.workspace_id, import_id, row["columns"]),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="rejects-{import_id}.csv"'},
    )


@router.post("/{import_id}/progress-ticket", dependencies=[allow("imports:read")], responses=problems(ImportNotFound))
async def create_import_progress_ticket(import_id: UUID, request: Request, tx: Tx, caller: Caller) -> StreamTicket:
    """A ticket for the progress stream."""
    await _found(tx, caller.workspace_id, import_id)
    keys = request.app.state.settings.link_key_ring()
    return StreamTicket(ticket=issue_ticket(keys, caller, f"/v1/imports/{import_id}/progress"))


@router.get(
    "/{import_id}/progress",
    dependencies=[allow("imports:read")],
    response_class=StreamingResponse,
    responses={**problems(ImportNotFound), 200: {"content": {"text/event-stream": {}}}},
)
@event_stream
async def stream_import_progress(import_id: UUID, db: Db, caller: Caller) -> StreamingResponse:
    """The import as server-sent events, whenever its counts change, until it is over."""
    async with db.transaction(caller.workspace_id, readonly=True) as tx:
        await _found(tx, caller.workspace_id, import_id)
    return stream(_progress(db, caller.workspace_id, import_id))


async def _progress(db: Db, workspace_id: UUID, import_id: UUID) -> AsyncIterator[ServerEvent]:
    last: dict[str, Any] = {}
    while True:
        async with db.transaction(workspace_id, readonly=True) as tx:
            found = _out(await _found(tx, workspace_id, import_id)).model_dump(
                mode="json", include={"id", "status", "rows"}
            )
        if found != last:
            last = found
            done = sum(count for name, count in found["rows"].items() if name != "read")
            yield ServerEvent(found, id=f"{found['status']}-{done}")
        if found["status"] in _OVER:
            return
        await asyncio.sleep(_PROGRESS_S)


async def _rejects(db: Db, workspace_id: UUID, import_id: UUID, columns: list[str]) -> AsyncIterator[str]:
    after = 0
    yield _csv([[*REJECT_COLUMNS, *columns]])
    while True:
        async with db.transaction(workspace_id, readonly=True) as tx:
            rows = await imports.rejects(tx, workspace_id, import_id, after, _REJECTS_AT_ONCE)
        if not rows:
            return
        yield _csv([[row["row"], row["code"], row["message"], *_given(row, len(columns))] for row in rows])
        after = rows[-1]["row"]


def _given(row: asyncpg.Record, width: int) -> list[str]:
    """The cells of the file: the stage may keep something behind them."""
    cells: list[str] = row["cells"]
    return cells if row["code"] == "too_many_columns" else cells[:width]


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


async def _found(tx: Tx, workspace_id: UUID, import_id: UUID) -> asyncpg.Record:
    row = await imports.get(tx, workspace_id, import_id)
    if row is None:
        raise ImportNotFound(import_id=str(import_id))
    return row


def _out(row: asyncpg.Record) -> ImportOut:
    found = dict(row)
    rows = Rows(read=found["rows_read"], **{name: found[name] for name in Rows.model_fields if name != "read"})
    undo = None
    if found["undo"] is not None:
        counts = {name: found[f"undo_{name}"] for name in ("removed", "restored", "kept")}
        undo = Undo(status=found["undo"], by=found["undone_by"] or "", at=found["undone_at"], **counts)
    return ImportOut(**{**found, "rows": rows, "undo": undo})
