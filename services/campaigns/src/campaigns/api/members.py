"""Members of the workspace."""

from uuid import UUID

from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response

from campaigns.api.schemas import WorkspaceMemberCreate, WorkspaceMemberOut, WorkspaceMemberUpdate
from campaigns.db import members
from campaigns.errors import BeyondOwnRights, InvalidEmail, LastOwner, MemberExists, MemberNotFound
from campaigns.use_cases import access

router = service_router("/members", "members")


@router.post(
    "",
    status_code=201,
    dependencies=[allow("members:write")],
    responses=problems(MemberExists, InvalidEmail, BeyondOwnRights),
)
async def create_member(body: WorkspaceMemberCreate, tx: Tx, caller: Caller) -> WorkspaceMemberOut:
    """Add a member; their tokens are made with POST /v1/tokens."""
    access.require_rights(caller.scopes, body.role)
    row = await access.add_member(tx, caller.workspace_id, body.email, body.name, body.role)
    return WorkspaceMemberOut(**row)


@router.get("", dependencies=[allow("members:read")])
async def list_members(tx: Tx, caller: Caller, paging: Paging) -> Page[WorkspaceMemberOut]:
    """Newest first."""
    after = paging.after(UUID)
    rows = await members.page(tx, caller.workspace_id, after[0] if after else None, paging.limit + 1)
    return page(rows, paging, lambda row: WorkspaceMemberOut(**row), lambda row: (row["id"],))


@router.get("/{member_id}", dependencies=[allow("members:read")], responses=problems(MemberNotFound))
async def get_member(member_id: UUID, tx: Tx, caller: Caller, response: Response) -> WorkspaceMemberOut:
    """One member."""
    row = await access.require_member(tx, caller.workspace_id, member_id)
    set_etag(response, row["revision"])
    return WorkspaceMemberOut(**row)


@router.patch(
    "/{member_id}",
    dependencies=[allow("members:write")],
    responses=problems(MemberNotFound, LastOwner, BeyondOwnRights, PreconditionFailed),
)
async def update_member(
    member_id: UUID, body: WorkspaceMemberUpdate, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> WorkspaceMemberOut:
    """Change name or role (RFC 7396). With another role, the member's tokens end."""
    row = await access.require_member(tx, caller.workspace_id, member_id, lock=True)
    require_match(if_match, row["revision"])
    changes = body.model_dump(exclude_unset=True)
    role = changes.get("role", row["role"])
    if role != row["role"]:
        access.require_rights(caller.scopes, role)
        access.require_rights(caller.scopes, row["role"])
    row = await access.change_member(tx, row, changes.get("name", row["name"]), role)
    set_etag(response, row["revision"])
    return WorkspaceMemberOut(**row)


@router.delete(
    "/{member_id}",
    status_code=204,
    dependencies=[allow("members:write")],
    responses=problems(MemberNotFound, LastOwner, BeyondOwnRights),
)
async def delete_member(member_id: UUID, tx: Tx, caller: Caller) -> None:
    """Remove a member; their tokens end in every service within seconds."""
    row = await access.require_member(tx, caller.workspace_id, member_id, lock=True)
    access.require_rights(caller.scopes, row["role"])
    await access.remove_member(tx, row)
