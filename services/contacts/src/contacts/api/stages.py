"""`/v1/contacts/{id}/stages`: how a contact came to its stage."""

from datetime import datetime
from uuid import UUID

from common.contracts.leads import Stage
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from pydantic import BaseModel, Field

from contacts.api.deps import moment
from contacts.db import contacts, stages
from contacts.errors import ContactNotFound

router = service_router("/contacts/{contact_id}/stages", "contacts")


class StageTransition(BaseModel):
    """A contact moved from one stage to another."""

    id: UUID
    from_stage: Stage
    to_stage: Stage
    actor: str = Field(description="who did it: user:<id>, token:<id>, or the event that did")
    cause: str = Field(description="manual, bulk, import, undo of an import, or the event's type")
    at: datetime


@router.get("", dependencies=[allow("contacts:read")], responses=problems(ContactNotFound))
async def list_contact_stages(contact_id: UUID, tx: Tx, caller: Caller, paging: Paging) -> Page[StageTransition]:
    """The moves of a contact between stages, the newest first."""
    if await contacts.get(tx, caller.workspace_id, contact_id) is None:
        raise ContactNotFound(contact_id=str(contact_id))
    key = paging.after(moment, UUID)
    before = None if key is None or None in key else (key[0], key[1])
    rows = await stages.page(tx, caller.workspace_id, contact_id, before, paging.limit + 1)
    return page(rows, paging, lambda row: StageTransition.model_validate(dict(row)), lambda row: (row["at"], row["id"]))
