"""Purposes: what a person consents to, in words."""

from uuid import UUID

from common.web.etags import merge_patch
from common.web.pages import Page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router

from campaigns.api.schemas import PurposeCreate, PurposeOut, PurposeUpdate
from campaigns.db import purposes
from campaigns.errors import PurposeExists, PurposeNotFound
from campaigns.use_cases import workspaces

router = service_router("/purposes", "purposes")


@router.post("", status_code=201, dependencies=[allow("purposes:write")], responses=problems(PurposeExists))
async def create_purpose(body: PurposeCreate, tx: Tx, caller: Caller) -> PurposeOut:
    """Make a purpose. Its key cannot change: imports and campaigns name it."""
    return PurposeOut(**await workspaces.add_purpose(tx, caller.workspace_id, body.key, body.wording))


@router.get("", dependencies=[allow("purposes:read")])
async def list_purposes(tx: Tx, caller: Caller) -> Page[PurposeOut]:
    """All of them, by key."""
    return Page(items=[PurposeOut(**row) for row in await purposes.all_of(tx, caller.workspace_id)])


@router.get("/{purpose_id}", dependencies=[allow("purposes:read")], responses=problems(PurposeNotFound))
async def get_purpose(purpose_id: UUID, tx: Tx, caller: Caller) -> PurposeOut:
    """One purpose."""
    row = await purposes.get(tx, caller.workspace_id, purpose_id)
    if row is None:
        raise PurposeNotFound(purpose_id=str(purpose_id))
    return PurposeOut(**row)


@router.patch("/{purpose_id}", dependencies=[allow("purposes:write")], responses=problems(PurposeNotFound))
async def update_purpose(purpose_id: UUID, body: PurposeUpdate, tx: Tx, caller: Caller) -> PurposeOut:
    """Reword a purpose (RFC 7396): a new version, so that it stays known what each person agreed to."""
    row = await purposes.get(tx, caller.workspace_id, purpose_id, lock=True)
    if row is None:
        raise PurposeNotFound(purpose_id=str(purpose_id))
    wording = merge_patch(row["wording"], body.model_dump(exclude_unset=True).get("wording", {}))
    return PurposeOut(**await workspaces.reword_purpose(tx, caller.workspace_id, row, wording))
