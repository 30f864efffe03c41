"""`/v1/privacy-requests`: a person asks to be erased, or for what is kept of them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict

from contacts.api.deps import ActingCaller
from contacts.db import privacy
from contacts.errors import ContactNotFound, PrivacyRequestNotFound, StillCollecting
from contacts.use_cases.erasure import SERVICES, request_erasure
from contacts.use_cases.personal_data import file_of, request_export

router = service_router("/privacy-requests", "privacy")


class PrivacyRequestCreate(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["erase", "export"]
    contact_id: UUID


class ServiceDone(BaseModel):
    """When one service had erased, or told, everything."""

    service: str
    done_at: datetime | None


class PrivacyRequestOut(BaseModel):
    """A request, and which services have followed it."""

    id: UUID
    kind: Literal["erase", "export"]
    contact_id: UUID
    status: Literal["running", "completed"]
    services: list[ServiceDone]
    created_at: datetime
    completed_at: datetime | None


@router.post("", status_code=202, dependencies=[allow("privacy:write")], responses=problems(ContactNotFound))
async def create_privacy_request(
    body: PrivacyRequestCreate, tx: Tx, caller: Caller, actor: ActingCaller, response: Response
) -> PrivacyRequestOut:
    """Erase a person, here at once and everywhere within moments, with no way back; or collect what is kept of them."""
    follow = request_erasure if body.kind == "erase" else request_export
    row = await follow(tx, caller.workspace_id, body.contact_id, actor.name)
    response.headers["Location"] = f"/v1/privacy-requests/{row['id']}"
    return (await _out(tx, caller.workspace_id, [row]))[0]


@router.get("", dependencies=[allow("privacy:read")])
async def list_privacy_requests(tx: Tx, caller: Caller, paging: Paging) -> Page[PrivacyRequestOut]:
    """Requests, the newest first."""
    before = paging.after(UUID)
    rows = await privacy.page(tx, caller.workspace_id, before[0] if before else None, paging.limit + 1)
    found = {one.id: one for one in await _out(tx, caller.workspace_id, rows)}
    return page(rows, paging, lambda row: found[row["id"]], lambda row: (row["id"],))


@router.get("/{request_id}", dependencies=[allow("privacy:read")], responses=problems(PrivacyRequestNotFound))
async def get_privacy_request(request_id: UUID, tx: Tx, caller: Caller) -> PrivacyRequestOut:
    """One request: who has erased, and who has not."""
    row = await privacy.get(tx, caller.workspace_id, request_id)
    if row is None:
        raise PrivacyRequestNotFound(request_id=str(request_id))
    return (await _out(tx, caller.workspace_id, [row]))[0]


@router.get(
    "/{request_id}/file",
    dependencies=[allow("privacy:read")],
    response_class=Response,
    responses={**problems(PrivacyRequestNotFound, StillCollecting), 200: {"content": {"application/zip": {}}}},
)
async def get_privacy_request_file(request_id: UUID, tx: Tx, caller: Caller) -> Response:
    """What every service keeps of the person: a ZIP of JSON and CSV files, kept for 30 days."""
    return Response(
        await file_of(tx, caller.workspace_id, request_id),
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="person-{request_id}.zip"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _out(tx: Tx, workspace_id: UUID, rows: list[asyncpg.Record]) -> list[PrivacyRequestOut]:
    acknowledged = {
        (one["request_id"], one["service"]): one["at"]
        for one in await privacy.erasures(tx, workspace_id, [row["id"] for row in rows])
    }
    return [
        PrivacyRequestOut(
            **{name: row[name] for name in ("id", "kind", "contact_id", "created_at", "completed_at")},
            status="completed" if row["completed_at"] else "running",
            services=[ServiceDone(service=s, done_at=acknowledged.get((row["id"], s))) for s in SERVICES],
        )
        for row in rows
    ]
