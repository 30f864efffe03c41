"""`/v1/consents`: the ledger of who consented to what."""

from typing import Annotated
from uuid import UUID

from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Query
from pydantic import BaseModel

from contacts.api.deps import ActingCaller
from contacts.api.schemas import ConsentIn, ConsentOut, ConsentRecordOut, consents_out
from contacts.db import consents, contacts
from contacts.errors import ContactNotFound, UnknownPurpose
from contacts.use_cases.consents import record_consent
from contacts.use_cases.purposes import list_purposes

router = service_router("/consents", "consents")


class ConsentCreate(ConsentIn):
    """A new line of the ledger."""

    contact_id: UUID


class ConsentState(BaseModel):
    """Where a contact stands now."""

    contact_id: UUID
    consents: list[ConsentOut]


@router.post(
    "",
    status_code=201,
    dependencies=[allow("consents:write")],
    responses=problems(ContactNotFound, UnknownPurpose),
)
async def create_consent(body: ConsentCreate, tx: Tx, caller: Caller, actor: ActingCaller) -> ConsentState:
    """Record that a contact consented, or took it back. The ledger is never changed, only added to."""
    states = await record_consent(tx, caller.workspace_id, body.contact_id, body.to_new(), actor)
    keys = {purpose.id: purpose.key for purpose in await list_purposes(tx, caller.workspace_id)}
    return ConsentState(contact_id=body.contact_id, consents=consents_out(states, keys))


@router.get("", dependencies=[allow("consents:read")], responses=problems(ContactNotFound))
async def list_consents(
    contact_id: Annotated[UUID, Query()], tx: Tx, caller: Caller, paging: Paging
) -> Page[ConsentRecordOut]:
    """The ledger of one contact, the newest first."""
    if await contacts.get(tx, caller.workspace_id, contact_id) is None:
        raise ContactNotFound(contact_id=str(contact_id))
    before = paging.after(UUID)
    rows = await consents.history(tx, caller.workspace_id, contact_id, before[0] if before else None, paging.limit + 1)
    return page(rows, paging, lambda row: ConsentRecordOut.model_validate(dict(row)), lambda row: (row["id"],))
