"""`/v1/sites`: web sites whose pages tell of their visitors."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
from common.errors import PreconditionFailed
from common.web.etags import IfMatch, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.deps import Pepper
from contacts.api.public_pages import links
from contacts.db import sites
from contacts.domain.forms import Origin, public_key
from contacts.use_cases import sites as use_cases
from contacts.visit_errors import SiteUnknown

router = service_router("/sites", "sites")

SCRIPT = "/t/1.js"
Name = Annotated[str, Field(min_length=1, max_length=150, pattern=r"^[^\x00-\x1f\x7f]+$")]
Origins = Annotated[
    list[Origin], Field(min_length=1, max_length=20, description="where its pages are: scheme and host")
]
Consent = Annotated[
    Literal["required", "assumed"],
    Field(description="required: nothing is stored or sent before the page says that its visitor agreed"),
]
Days = Annotated[int, Field(ge=1, le=395, description="how long visitors are remembered who do not come back")]


class SiteCreate(BaseModel):
    """A web site."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    origins: Origins
    consent: Consent = "required"
    keep_days: Days = 90
    active: bool = True


class SitePatch(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    origins: Origins | None = None
    consent: Consent | None = None
    keep_days: Days | None = None
    active: bool | None = None


class SiteOut(SiteCreate):
    """A web site, and what its pages need."""

    model_config = ConfigDict(extra="ignore")

    id: UUID
    key: str
    snippet: str = Field(description="what to put into the head of its pages")
    revision: int
    created_at: datetime
    updated_at: datetime


class SiteSecret(BaseModel):
    """What the site's server signs with to say whose browser it is: HMAC-SHA256 of the address, in hexadecimal."""

    identity_secret: str


@router.post("", status_code=201, dependencies=[allow("sites:write")])
async def create_site(body: SiteCreate, tx: Tx, caller: Caller, request: Request, response: Response) -> SiteOut:
    """Let a web site tell of its visitors. Its `snippet` works at once."""
    row = await use_cases.create_site(tx, caller.workspace_id, body.model_dump(), str(caller.subject_id))
    response.headers["Location"] = f"/v1/sites/{row['id']}"
    set_etag(response, row["revision"])
    return _out(request, row)


@router.get("", dependencies=[allow("sites:read")])
async def list_sites(tx: Tx, caller: Caller, paging: Paging, request: Request) -> Page[SiteOut]:
    """Web sites, the newest first."""
    before = paging.after(UUID)
    rows = await sites.page(tx, caller.workspace_id, before[0] if before else None, paging.limit + 1)
    return page(rows, paging, lambda row: _out(request, row), lambda row: (row["id"],))


@router.get("/{site_id}", dependencies=[allow("sites:read")], responses=problems(SiteUnknown))
async def get_site(site_id: UUID, tx: Tx, caller: Caller, request: Request, response: Response) -> SiteOut:
    """One web site."""
    row = await sites.find(tx, caller.workspace_id, site_id)
    if row is None:
        raise SiteUnknown(site_id=str(site_id))
    set_etag(response, row["revision"])
    return _out(request, row)


@router.patch("/{site_id}", dependencies=[allow("sites:write")], responses=problems(SiteUnknown, PreconditionFailed))
async def update_site(
    site_id: UUID,
    body: SitePatch,
    tx: Tx,
    caller: Caller,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> SiteOut:
    """Change a web site; pages that have its snippet need no change."""
    changes = body.model_dump(exclude_none=True)
    row = await use_cases.change_site(tx, caller.workspace_id, site_id, changes, if_match)
    set_etag(response, row["revision"])
    return _out(request, row)


@router.delete(
    "/{site_id}",
    status_code=204,
    dependencies=[allow("sites:write")],
    responses=problems(SiteUnknown, PreconditionFailed),
)
async def delete_site(site_id: UUID, tx: Tx, caller: Caller, if_match: IfMatch = None) -> None:
    """Take no more from its pages. What became activity of contacts stays."""
    await use_cases.change_site(tx, caller.workspace_id, site_id, {"deleted": True}, if_match)


@router.get("/{site_id}/identity-secret", dependencies=[allow("sites:write")], responses=problems(SiteUnknown))
async def get_site_identity_secret(site_id: UUID, tx: Tx, caller: Caller, pepper: Pepper) -> SiteSecret:
    """For the site's server alone: whoever has it can say of any browser whose it is."""
    row = await sites.find(tx, caller.workspace_id, site_id)
    if row is None:
        raise SiteUnknown(site_id=str(site_id))
    return SiteSecret(identity_secret=use_cases.secret_of(row, pepper))


@router.post("/{site_id}/identity-secret", dependencies=[allow("sites:write")], responses=problems(SiteUnknown))
async def renew_site_identity_secret(site_id: UUID, tx: Tx, caller: Caller, pepper: Pepper) -> SiteSecret:
    """Make another: what was signed with the one before is worth nothing from now on."""
    return SiteSecret(
        identity_secret=use_cases.secret_of(await use_cases.new_secret(tx, caller.workspace_id, site_id), pepper)
    )


def _out(request: Request, row: asyncpg.Record) -> SiteOut:
    key = public_key(row["workspace_id"], row["id"])
    assumed = ' data-consent="assumed"' if row["consent"] == "assumed" else ""
    snippet = f'<script async src="{links(request).public_url}{SCRIPT}" data-site="{key}"{assumed}></script>'
    return SiteOut.model_validate({**dict(row), "key": key, "snippet": snippet})
