"""`/v1/contacts/{id}/timeline`: everything that happened to a contact, in one list."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Query
from pydantic import BaseModel, Field

from contacts.api.deps import moment
from contacts.db import contacts, timeline
from contacts.errors import ContactNotFound

router = service_router("/contacts/{contact_id}/timeline", "contacts")

Type = Annotated[str, Field(max_length=100, pattern=r"^[^\x00]+$")]
Types = Annotated[
    list[Type],
    Query(alias="type", max_length=50, description=f"repeat it: {', '.join(timeline.KINDS)} or an activity's type"),
]


class TimelineItem(BaseModel):
    """One thing that happened."""

    id: UUID
    type: str = Field(description="consent, stage, note, import, or the type of an activity, like email.opened")
    at: datetime
    data: dict[str, Any]


@router.get("", dependencies=[allow("contacts:read")], responses=problems(ContactNotFound))
async def list_contact_timeline(
    contact_id: UUID,
    tx: Tx,
    caller: Caller,
    paging: Paging,
    types: Types = [],  # noqa: B006 - never written to
) -> Page[TimelineItem]:
    """Activity, consents, moves between stages, notes and imports of a contact, the newest first."""
    if await contacts.get(tx, caller.workspace_id, contact_id) is None:
        raise ContactNotFound(contact_id=str(contact_id))
    key = paging.after(moment, UUID)
    before = None if key is None or None in key else (key[0], key[1])
    rows = await timeline.page(tx, caller.workspace_id, contact_id, types, before, paging.limit + 1)
    return page(rows, paging, _out, lambda row: (row["at"], row["id"]))


def _out(row: asyncpg.Record) -> TimelineItem:
    return TimelineItem(id=row["id"], type=row["kind"], at=row["at"], data=row["data"])
