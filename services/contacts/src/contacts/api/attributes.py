"""`/v1/attributes`: which attributes contacts may have, and of which type."""

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.deps import ActingCaller
from contacts.db import attributes
from contacts.domain.values import AttributeType
from contacts.errors import (
    AttributeBeingDeleted,
    AttributeExists,
    AttributeInUse,
    AttributeNotFound,
    InvalidField,
)
from contacts.use_cases import attributes as use_cases

router = service_router("/attributes", "attributes")

Label = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
AllowedValues = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00]+$")]],
    Field(min_length=1, max_length=1000),
]


class AttributeCreate(BaseModel):
    """A new attribute. `indexed`: segments ask for it often."""

    model_config = ConfigDict(extra="forbid")

    name: str
    type: AttributeType = "text"
    label: Label | None = None
    allowed_values: AllowedValues | None = Field(None, description="of a text; null: any")
    indexed: bool = False


class AttributePatch(BaseModel):
    """A merge patch (RFC 7396)."""

    model_config = ConfigDict(extra="forbid")

    label: Label | None = None
    allowed_values: AllowedValues | None = Field(
        None, description="of a text; null: any. Contacts keep values that are no longer among them until changed"
    )
    indexed: bool | None = None


class AttributeOut(BaseModel):
    """An attribute."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    type: AttributeType
    label: str | None
    allowed_values: list[str] | None
    indexed: bool
    revision: int
    created_at: datetime


@router.get("", dependencies=[allow("attributes:read")])
async def list_attributes(tx: Tx, caller: Caller, paging: Paging) -> Page[AttributeOut]:
    """Attributes by name."""
    after = paging.after(str)
    rows = await attributes.page(tx, caller.workspace_id, after[0] if after else None, paging.limit + 1)
    return page(rows, paging, lambda row: AttributeOut(**dict(row)), lambda row: (row["name"],))


@router.post(
    "",
    status_code=201,
    dependencies=[allow("attributes:write")],
    responses=problems(AttributeExists, AttributeBeingDeleted, InvalidField),
)
async def create_attribute(body: AttributeCreate, tx: Tx, caller: Caller, response: Response) -> AttributeOut:
    """Define an attribute. Its type stays; a file's new attributes are defined by the import."""
    row = await use_cases.create_attribute(
        tx, caller.workspace_id, body.name, body.type, body.label, body.allowed_values, indexed=body.indexed
    )
    response.headers["Location"] = f"/v1/attributes/{quote(body.name)}"
    set_etag(response, row["revision"])
    return AttributeOut(**dict(row))


@router.patch(
    "/{name}",
    dependencies=[allow("attributes:write")],
    responses=problems(AttributeNotFound, PreconditionFailed, InvalidField),
)
async def update_attribute(
    name: str, body: AttributePatch, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> AttributeOut:
    """Change the label or the allowed values, or have the values indexed (a job does it) or no longer.

    What contacts have already stays, even if it is no longer allowed; a value is judged when it is written.
    """
    before = await use_cases.lock_attribute(tx, caller.workspace_id, name)
    require_match(if_match, before["revision"])
    row = await use_cases.change_attribute(tx, caller.workspace_id, before, body.model_dump(exclude_unset=True))
    set_etag(response, row["revision"])
    return AttributeOut(**dict(row))


@router.delete(
    "/{name}",
    status_code=204,
    dependencies=[allow("attributes:write")],
    responses=problems(AttributeNotFound, AttributeInUse, PreconditionFailed),
)
async def delete_attribute(name: str, tx: Tx, caller: Caller, actor: ActingCaller, if_match: IfMatch = None) -> None:
    """Delete an attribute and, by a job, every contact's value of it. No segment may name it."""
    before = await use_cases.lock_attribute(tx, caller.workspace_id, name)
    require_match(if_match, before["revision"])
    await use_cases.delete_attribute(tx, caller.workspace_id, before, actor)
