"""The first workspace, its first owner and a token: what an installation needs before anybody can log in."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.db.pool import Database
from common.ids import derived_id

from campaigns.db import members
from campaigns.errors import WorkspaceNotFound
from campaigns.use_cases import access, workspaces

_WORKSPACES = UUID("0d3f6a37-6c0e-5a8e-8a5d-53e4c1f0a7b2")
DEFAULT_TTL_S = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """`created`: the workspace was not there before."""

    workspace_id: UUID
    member_id: UUID
    token: str
    created: bool


async def bootstrap(
    db: Database,
    signing_key: str,
    *,
    name: str,
    owner_email: str,
    values: dict[str, Any] | None = None,
    workspace_id: UUID | None = None,
    ttl_s: int = DEFAULT_TTL_S,
) -> Bootstrapped:
    """Make workspace and owner unless they exist, and give a new token (an old one cannot be shown again).

    Without an id, the workspace's id follows from its name, so that the same call finds it. `values` (postal_address,
    tracking_mode, languages, time_zone, weekend) count when the workspace is made, and not after.
    """
    wanted = workspace_id or derived_id(_WORKSPACES, name)
    async with db.transaction(wanted) as tx:
        created = await workspaces.create(tx, wanted, {**(values or {}), "name": name}) is not None
        member = await members.by_email(tx, wanted, owner_email)
        if member is None:
            member = await access.add_member(tx, wanted, owner_email, "", "owner")
        _, token = await access.issue_token(tx, signing_key, member, "bootstrap", ttl_s)
    return Bootstrapped(wanted, member["id"], token, created)


async def owner_token(db: Database, signing_key: str, workspace_id: UUID, *, ttl_s: int = DEFAULT_TTL_S) -> str:
    """A new token of the workspace's first owner. Raises WorkspaceNotFound."""
    async with db.transaction(workspace_id) as tx:
        owners = await members.lock_owners(tx, workspace_id)
        if not owners:
            raise WorkspaceNotFound(workspace_id=str(workspace_id))
        member = await access.require_member(tx, workspace_id, owners[0])
        _, token = await access.issue_token(tx, signing_key, member, "owner", ttl_s)
    return token
