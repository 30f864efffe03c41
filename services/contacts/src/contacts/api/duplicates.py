"""`/v1/contacts/duplicates` and `/v1/contacts/merges`: contacts that are one person, as people decide."""

from datetime import datetime
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.deps import ActingCaller
from contacts.db import contacts, duplicates, merges
from contacts.errors import CannotMerge, ContactNotFound, MergeNotFound
from contacts.use_cases.duplicates import call_different
from contacts.use_cases.merging import merge_contacts, undo_merge

router = service_router("/contacts", "contacts")


class Alike(BaseModel):
    """One of two contacts that may be one person."""

    id: UUID
    email: str
    first_name: str | None
    last_name: str | None


class DuplicatePair(BaseModel):
    """Two contacts that may be one person, and what speaks for it."""

    contacts: list[Alike]
    score: float = Field(description="0 to 1; the likeliest come first")
    reasons: list[str] = Field(description="phone, address (the same mailbox written otherwise), name")
    found_at: datetime


class NotOne(BaseModel):
    """Two contacts that are two people."""

    model_config = ConfigDict(extra="forbid")

    contact_id: UUID
    other_contact_id: UUID


class MergeCreate(BaseModel):
    """Which contact stays, and which becomes it."""

    model_config = ConfigDict(extra="forbid")

    contact_id: UUID = Field(description="stays, with its address; what it lacks comes from the other")
    merged_contact_id: UUID = Field(description="becomes the first; its address is not written to any more")


class MergeOut(BaseModel):
    """A merge."""

    id: UUID
    contact_id: UUID
    merged_contact_id: UUID
    actor: str
    at: datetime
    undone_at: datetime | None


@router.get("/duplicates", dependencies=[allow("contacts:read")])
async def list_duplicates(tx: Tx, caller: Caller, paging: Paging) -> Page[DuplicatePair]:
    """Pairs that nobody has decided about, the likeliest first. They are looked for every six hours."""
    rows = await duplicates.page(tx, caller.workspace_id, paging.after(float, UUID, UUID), paging.limit + 1)
    return page(rows, paging, _pair, lambda row: (row["score"], row["first_id"], row["second_id"]))


@router.post(
    "/duplicates/different",
    status_code=204,
    dependencies=[allow("contacts:write")],
    responses=problems(ContactNotFound, CannotMerge),
)
async def call_contacts_different(body: NotOne, tx: Tx, caller: Caller, actor: ActingCaller) -> None:
    """They are two people: they are not suggested again."""
    await call_different(tx, caller.workspace_id, body.contact_id, body.other_contact_id, actor.name)


@router.post(
    "/merges",
    status_code=201,
    operation_id="create_merge",
    dependencies=[allow("contacts:write")],
    responses=problems(ContactNotFound, CannotMerge),
)
async def create_merge_(body: MergeCreate, tx: Tx, caller: Caller, actor: ActingCaller, response: Response) -> MergeOut:
    """Merge two contacts. Who has left under either address has left; it can be taken back."""
    row = await merge_contacts(tx, caller.workspace_id, body.contact_id, body.merged_contact_id, actor.name)
    response.headers["Location"] = f"/v1/contacts/merges/{row['id']}"
    return _out(row)


@router.get("/merges/{merge_id}", dependencies=[allow("contacts:read")], responses=problems(MergeNotFound))
async def get_merge(merge_id: UUID, tx: Tx, caller: Caller) -> MergeOut:
    """One merge."""
    row = await merges.get(tx, caller.workspace_id, merge_id)
    if row is None:
        raise MergeNotFound(merge_id=str(merge_id))
    return _out(row)


@router.post(
    "/merges/{merge_id}/undo",
    operation_id="undo_merge",
    dependencies=[allow("contacts:write")],
    responses=problems(MergeNotFound, CannotMerge),
)
async def undo_merge_(merge_id: UUID, tx: Tx, caller: Caller, actor: ActingCaller) -> MergeOut:
    """Tell the two apart again. What was changed since the merge stays with the contact that was kept."""
    return _out(await undo_merge(tx, caller.workspace_id, merge_id, actor.name))


@router.get("/{contact_id}/merges", dependencies=[allow("contacts:read")], responses=problems(ContactNotFound))
async def list_contact_merges(contact_id: UUID, tx: Tx, caller: Caller) -> list[MergeOut]:
    """Who was merged into a contact, the newest first."""
    if await contacts.get(tx, caller.workspace_id, contact_id) is None:
        raise ContactNotFound(contact_id=str(contact_id))
    return [_out(row) for row in await merges.of_contact(tx, caller.workspace_id, contact_id)]


def _pair(row: asyncpg.Record) -> DuplicatePair:
    return DuplicatePair(
        contacts=[
            Alike(
                id=row[f"{which}_id"],
                email=row[f"{which}_email"],
                first_name=row[f"{which}_first_name"],
                last_name=row[f"{which}_last_name"],
            )
            for which in ("first", "second")
        ],
        score=row["score"],
        reasons=row["reasons"],
        found_at=row["found_at"],
    )


def _out(row: asyncpg.Record) -> MergeOut:
    return MergeOut(
        contact_id=row["kept_id"],
        merged_contact_id=row["gone_id"],
        **{name: row[name] for name in ("id", "actor", "at", "undone_at")},
    )
