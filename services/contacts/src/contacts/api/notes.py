"""`/v1/contacts/{id}/notes`: what members write down about a contact."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
from common.ids import new_id
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.deps import ActingCaller
from contacts.db import contacts, notes
from contacts.errors import ContactNotFound, NoteNotFound
from contacts.use_cases.contacts import lock_contact

router = service_router("/contacts/{contact_id}/notes", "contacts")


class NoteCreate(BaseModel):
    """A note."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")]


class NoteOut(BaseModel):
    """A note about a contact."""

    id: UUID
    contact_id: UUID
    text: str
    author: str = Field(description="who wrote it: member:<id> or token:<id>")
    at: datetime


def _out(row: asyncpg.Record) -> NoteOut:
    return NoteOut.model_validate(dict(row))


@router.post("", status_code=201, dependencies=[allow("contacts:write")], responses=problems(ContactNotFound))
async def create_contact_note(
    contact_id: UUID, body: NoteCreate, tx: Tx, caller: Caller, actor: ActingCaller, response: Response
) -> NoteOut:
    """Write a note about a contact."""
    await lock_contact(tx, caller.workspace_id, contact_id)  # an erasure under way would not see the note
    row = await notes.insert(tx, caller.workspace_id, contact_id, new_id(), body.text, actor.name)
    response.headers["Location"] = f"/v1/contacts/{contact_id}/notes/{row['id']}"
    return _out(row)


@router.get("", dependencies=[allow("contacts:read")], responses=problems(ContactNotFound))
async def list_contact_notes(contact_id: UUID, tx: Tx, caller: Caller, paging: Paging) -> Page[NoteOut]:
    """Notes about a contact, the newest first."""
    if await contacts.get(tx, caller.workspace_id, contact_id) is None:
        raise ContactNotFound(contact_id=str(contact_id))
    before = paging.after(UUID)
    rows = await notes.page(tx, caller.workspace_id, contact_id, before[0] if before else None, paging.limit + 1)
    return page(rows, paging, _out, lambda row: (row["id"],))


@router.delete("/{note_id}", status_code=204, dependencies=[allow("contacts:write")], responses=problems(NoteNotFound))
async def delete_contact_note(contact_id: UUID, note_id: UUID, tx: Tx, caller: Caller) -> None:
    """Delete a note."""
    if not await notes.delete(tx, caller.workspace_id, contact_id, note_id):
        raise NoteNotFound
