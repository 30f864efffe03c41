"""Senders: identities that mail comes from."""

from uuid import UUID

from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response

from campaigns.api.schemas import SenderCreate, SenderOut, SenderUpdate
from campaigns.db import senders as rows
from campaigns.errors import InvalidEmail, SenderInUse, SenderNotFound
from campaigns.use_cases import senders

router = service_router("/senders", "senders")


@router.post("", status_code=201, dependencies=[allow("senders:write")], responses=problems(InvalidEmail))
async def create_sender(body: SenderCreate, tx: Tx, caller: Caller, response: Response) -> SenderOut:
    """Make a sender."""
    row = await senders.create(tx, caller.workspace_id, body.name, body.email, body.reply_to)
    set_etag(response, row["revision"])
    return SenderOut(**row)


@router.get("", dependencies=[allow("senders:read")])
async def list_senders(tx: Tx, caller: Caller, paging: Paging) -> Page[SenderOut]:
    """Newest first."""
    after = paging.after(UUID)
    found = await rows.page(tx, caller.workspace_id, after[0] if after else None, paging.limit + 1)
    return page(found, paging, lambda row: SenderOut(**row), lambda row: (row["id"],))


@router.get("/{sender_id}", dependencies=[allow("senders:read")], responses=problems(SenderNotFound))
async def get_sender(sender_id: UUID, tx: Tx, caller: Caller, response: Response) -> SenderOut:
    """One sender."""
    row = await senders.require(tx, caller.workspace_id, sender_id)
    set_etag(response, row["revision"])
    return SenderOut(**row)


@router.patch(
    "/{sender_id}",
    dependencies=[allow("senders:write")],
    responses=problems(SenderNotFound, InvalidEmail, PreconditionFailed),
)
async def update_sender(
    sender_id: UUID, body: SenderUpdate, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> SenderOut:
    """Change a sender (RFC 7396). Campaigns that run keep the one they started with."""
    row = await senders.require(tx, caller.workspace_id, sender_id, lock=True)
    require_match(if_match, row["revision"])
    row = await senders.change(tx, row, body.model_dump(exclude_unset=True))
    set_etag(response, row["revision"])
    return SenderOut(**row)


@router.delete(
    "/{sender_id}",
    status_code=204,
    dependencies=[allow("senders:write")],
    responses=problems(SenderNotFound, SenderInUse),
)
async def delete_sender(sender_id: UUID, tx: Tx, caller: Caller) -> None:
    """Delete a sender. Campaigns that were started keep their copy."""
    await senders.delete(tx, await senders.require(tx, caller.workspace_id, sender_id, lock=True))
