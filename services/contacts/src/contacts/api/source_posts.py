"""`/in/{source}`: what partners send, signed in their own way."""

from uuid import UUID

from common.errors import BadRequest
from common.web.problems import problems
from fastapi import APIRouter, Request
from pydantic import BaseModel

from contacts.api.public_pages import client_ip, database
from contacts.db import sources
from contacts.domain.addresses import Addresses
from contacts.domain.forms import read_public_key
from contacts.errors import ForgedDelivery, SourceUnknown, TooManyPosts
from contacts.use_cases.form_posts import network
from contacts.use_cases.sources import Outcome, accept

router = APIRouter(tags=["sources"])

MAX_BYTES = 256 * 1024


class DeliveryTaken(BaseModel):
    """The delivery is kept, whatever the mapping could make of it: nothing need be sent again."""

    id: UUID
    outcome: Outcome


@router.post(
    "/in/{source}",
    status_code=202,
    max_body_size=MAX_BYTES,
    responses=problems(SourceUnknown, ForgedDelivery, BadRequest, TooManyPosts),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}},
)
async def accept_source_delivery(source: str, request: Request) -> DeliveryTaken:
    """What a partner sends, in its own form."""
    ids = read_public_key(source)
    if ids is None:
        raise SourceUnknown
    workspace_id, source_id = ids
    db = database(request)
    async with db.transaction(workspace_id, readonly=True) as tx:
        row = await sources.get(tx, workspace_id, source_id)
    if row is None or not row["active"]:
        raise SourceUnknown
    addresses = Addresses(request.app.state.settings.pepper_bytes(), workspace_id)
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = await request.body()
    tried = await accept(db, request.app.state.sealer, addresses, row, headers, body, network(client_ip(request)))
    return DeliveryTaken(id=tried.id, outcome=tried.outcome)
