"""Lists and their members over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
from common.errors import Forbidden, PreconditionFailed
from common.web.etags import IfMatch, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.deps import only_of
from contacts.api.schemas import Key
from contacts.db import lists
from contacts.errors import ContactNotFound, ListFull, ListInUse, ListUnknown
from contacts.use_cases import lists as use_cases

router = service_router("/lists", "lists")

MOST_IDS = 10_000


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Owner = Annotated[Key | None, Field(description="the id of the member whose list it is; null: the workspace's")]
Limit = Annotated[
    Annotated[int, Field(ge=1, le=1_000_000)] | None,
    Field(description="the most it may hold, and bring into an audience: those who were added first"),
]


class ListWrite(BaseModel):
    """What a list is made of. A contributor's list is the contributor's own, whatever is sent."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    owner: Owner = None
    member_limit: Limit = None


class ListPatch(BaseModel):
    """A merge patch (RFC 7396)."""

    model_config = ConfigDict(extra="forbid")

    name: Name = ""
    owner: Owner = None
    member_limit: Limit = None


class ListOut(BaseModel):
    """A list."""

    id: UUID
    name: str
    owner: str | None
    member_limit: int | None
    revision: int
    created_at: datetime
    updated_at: datetime


class MemberIds(BaseModel):
    """Contacts to put on a list, or to take off it."""

    model_config = ConfigDict(extra="forbid")

    contact_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_IDS)]


class MembersChanged(BaseModel):
    """How many contacts were put on the list or taken off; those that were so already do not count."""

    changed: int


class ListMember(BaseModel):
    """A contact on a list."""

    contact_id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    added_at: datetime


def _out(row: asyncpg.Record) -> ListOut:
    return ListOut.model_validate(dict(row))


@router.post("", status_code=201, dependencies=[allow("lists:write")], responses=problems(Forbidden))
async def create_list(body: ListWrite, tx: Tx, caller: Caller, response: Response) -> ListOut:
    """Make an empty list."""
    row = await use_cases.create_list(
        tx, caller.workspace_id, body.model_dump(exclude_unset=True), str(caller.subject_id), only_of(caller)
    )
    set_etag(response, row["revision"])
    return _out(row)


@router.get("", dependencies=[allow("lists:read")])
async def list_lists(tx: Tx, caller: Caller, paging: Paging) -> Page[ListOut]:
    """Lists, newest first; a contributor's own alone."""
    after = paging.after(UUID)
    before = after[0] if after else None
    rows = await lists.page(tx, caller.workspace_id, before, paging.limit + 1, only_of(caller))
    return page(rows, paging, _out, lambda row: (row["id"],))


@router.get("/{list_id}", dependencies=[allow("lists:read")], responses=problems(ListUnknown))
async def get_list(list_id: UUID, tx: Tx, caller: Caller, response: Response) -> ListOut:
    """One list."""
    row = await lists.find(tx, caller.workspace_id, list_id, only_of(caller))
    if row is None:
        raise ListUnknown
    set_etag(response, row["revision"])
    return _out(row)


@router.patch(
    "/{list_id}",
    dependencies=[allow("lists:write")],
    responses=problems(ListUnknown, PreconditionFailed, Forbidden),
)
async def update_list(
    list_id: UUID, body: ListPatch, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> ListOut:
    """Change name, owner or limit of a list."""
    changes = body.model_dump(exclude_unset=True)
    row = await use_cases.change_list(tx, caller.workspace_id, list_id, changes, if_match, only_of(caller))
    set_etag(response, row["revision"])
    return _out(row)


@router.delete(
    "/{list_id}",
    status_code=204,
    dependencies=[allow("lists:write")],
    responses=problems(ListUnknown, ListInUse, PreconditionFailed, Forbidden),
)
async def delete_list(list_id: UUID, tx: Tx, caller: Caller, if_match: IfMatch = None) -> None:
    """Delete a list; the contacts on it stay."""
    await use_cases.delete_list(tx, caller.workspace_id, list_id, if_match, only_of(caller))


@router.get("/{list_id}/members", dependencies=[allow("lists:read")], responses=problems(ListUnknown))
async def list_list_members(list_id: UUID, tx: Tx, caller: Caller, paging: Paging) -> Page[ListMember]:
    """Who is on a list."""
    if await lists.find(tx, caller.workspace_id, list_id, only_of(caller)) is None:
        raise ListUnknown
    after = paging.after(UUID)
    rows = await lists.members(tx, caller.workspace_id, list_id, after[0] if after else None, paging.limit + 1)
    return page(rows, paging, lambda row: ListMember.model_validate(dict(row)), lambda row: (row["contact_id"],))


@router.post(
    "/{list_id}/members",
    dependencies=[allow("lists:write")],
    responses=problems(ListUnknown, ContactNotFound, ListFull, Forbidden),
)
async def add_list_members(list_id: UUID, body: MemberIds, tx: Tx, caller: Caller) -> MembersChanged:
    """Put contacts on a list; all of them, or with one unknown id none."""
    done = await use_cases.add_members(tx, caller.workspace_id, list_id, body.contact_ids, only_of(caller))
    return MembersChanged(changed=done)


@router.post(
    "/{list_id}/members/remove",
    dependencies=[allow("lists:write")],
    responses=problems(ListUnknown, ContactNotFound, Forbidden),
)
async def remove_list_members(list_id: UUID, body: MemberIds, tx: Tx, caller: Caller) -> MembersChanged:
    """Take contacts off a list."""
    done = await use_cases.remove_members(tx, caller.workspace_id, list_id, body.contact_ids, only_of(caller))
    return MembersChanged(changed=done)
