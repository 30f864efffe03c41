"""Workspaces. A caller sees their own; who may write workspaces may make another."""

from typing import Any
from uuid import UUID

from common.errors import PreconditionFailed
from common.ids import new_id
from common.web.etags import IfMatch, require_match, set_etag
from common.web.pages import Page
from common.web.problems import problems
from common.web.route import Caller, Db, Tx, allow, own_transaction, service_router
from fastapi import Request, Response

from campaigns.api.keys import signing_key
from campaigns.api.schemas import WorkspaceCreate, WorkspaceCreated, WorkspaceOut, WorkspaceUpdate
from campaigns.db import members
from campaigns.errors import InvalidEmail, SigningUnavailable, WorkspaceNotFound
from campaigns.use_cases import access, workspaces

router = service_router("/workspaces", "workspaces")


@router.post(
    "", status_code=201, dependencies=[allow("workspaces:write")], responses=problems(InvalidEmail, SigningUnavailable)
)
@own_transaction
async def create_workspace(body: WorkspaceCreate, caller: Caller, db: Db, request: Request) -> WorkspaceCreated:
    """Make a workspace with its first owner, and show the owner's token once."""
    key = signing_key(request)
    values = body.model_dump(exclude={"owner"})
    if body.owner is None:
        async with db.transaction(caller.workspace_id, readonly=True) as tx:
            me = await members.get(tx, caller.workspace_id, caller.subject_id)
        if me is None:
            raise InvalidEmail("The caller is no member, so the owner must be named", mend="Give owner.email.")
        email, name = me["email"], me["name"]
    else:
        email, name = body.owner.email, body.owner.name
    workspace_id = new_id()
    async with db.transaction(workspace_id) as tx:
        await workspaces.create(tx, workspace_id, values)
        owner = await access.add_member(tx, workspace_id, email, name, "owner")
        _, token = await access.issue_token(tx, key, owner, "first token", 90 * 24 * 3600)
        row = await workspaces.require(tx, workspace_id)
    return WorkspaceCreated(**_fields(row), owner_id=owner["id"], token=token)


@router.get("", dependencies=[allow("workspaces:read")])
async def list_workspaces(tx: Tx, caller: Caller) -> Page[WorkspaceOut]:
    """The caller's workspace: a token speaks for one."""
    return Page(items=[WorkspaceOut(**_fields(await workspaces.require(tx, caller.workspace_id)))])


@router.get("/{workspace_id}", dependencies=[allow("workspaces:read")], responses=problems(WorkspaceNotFound))
async def get_workspace(workspace_id: UUID, tx: Tx, caller: Caller, response: Response) -> WorkspaceOut:
    """The caller's workspace."""
    row = await workspaces.require(tx, _own(caller, workspace_id))
    set_etag(response, row["revision"])
    return WorkspaceOut(**_fields(row))


@router.patch(
    "/{workspace_id}",
    dependencies=[allow("workspaces:write")],
    responses=problems(WorkspaceNotFound, PreconditionFailed),
)
async def update_workspace(
    workspace_id: UUID, body: WorkspaceUpdate, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> WorkspaceOut:
    """Change the caller's workspace (RFC 7396)."""
    row = await workspaces.require(tx, _own(caller, workspace_id), lock=True)
    require_match(if_match, row["revision"])
    row = await workspaces.change(tx, row, body.model_dump(exclude_unset=True))
    set_etag(response, row["revision"])
    return WorkspaceOut(**_fields(row))


def _own(caller: Caller, workspace_id: UUID) -> UUID:
    if workspace_id != caller.workspace_id:
        raise WorkspaceNotFound(workspace_id=str(workspace_id))
    return workspace_id


def _fields(row: Any) -> dict[str, Any]:
    return {**row, "id": row["workspace_id"]}
