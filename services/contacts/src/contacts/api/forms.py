"""`/v1/forms`: forms for signing up, and what was sent with them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from common.errors import PreconditionFailed
from common.web.etags import IfMatch, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.public_pages import links
from contacts.db import forms
from contacts.domain.forms import FormDefinition, FormField, FormTexts, Origin, public_key
from contacts.domain.import_options import Tag
from contacts.domain.pages.languages import Language
from contacts.errors import FormUnknown, InvalidField, ListUnknown, SenderUnknown, UnknownAttribute, UnknownPurpose
from contacts.use_cases import forms as use_cases

router = service_router("/forms", "forms")

Name = Annotated[str, Field(min_length=1, max_length=150, pattern=r"^[^\x00-\x1f\x7f]+$")]
_REFUSALS = (UnknownPurpose, UnknownAttribute, ListUnknown, SenderUnknown)


class FormCreate(FormDefinition):
    """A form to store."""

    name: Name


class FormPatch(BaseModel):
    """What to change of a form, each part whole; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name = ""
    purpose: str = ""
    languages: Annotated[list[Language], Field(min_length=1, max_length=3)] = ["en"]
    texts: dict[Language, FormTexts] = {}
    fields: Annotated[list[FormField], Field(max_length=30)] = []
    tags: Annotated[list[Tag], Field(max_length=20)] = []
    list_ids: Annotated[list[UUID], Field(max_length=20)] = []
    double_opt_in: bool = True
    sender_id: UUID | None = None
    ask_tracking: bool = False
    redirect_url: Annotated[str, Field(max_length=1000)] | None = None
    allowed_origins: Annotated[list[Origin], Field(max_length=20)] = []
    active: bool = True


class FormOut(FormDefinition):
    """A form, and where it is."""

    id: UUID
    name: str
    url: str = Field(description="the hosted page; posting to it sends the form")
    revision: int
    created_at: datetime
    updated_at: datetime


class SubmissionOut(BaseModel):
    """What somebody sent."""

    id: UUID
    contact_id: UUID | None
    outcome: str = Field(
        description="asked, subscribed, confirmed, already_subscribed, suppressed,"
        " or not_asked: the address was asked today, or the form has nobody who asks"
    )
    fields: dict[str, Any]
    language: str
    ip: str | None
    at: datetime


@router.post("", status_code=201, dependencies=[allow("forms:write")], responses=problems(*_REFUSALS))
async def create_form(body: FormCreate, tx: Tx, caller: Caller, request: Request, response: Response) -> FormOut:
    """Make a form. Its page is at `url` at once."""
    definition = FormDefinition.model_validate(body.model_dump(exclude={"name"}))
    row = await use_cases.create_form(tx, caller.workspace_id, body.name, definition, str(caller.subject_id))
    response.headers["Location"] = f"/v1/forms/{row['id']}"
    set_etag(response, row["revision"])
    return _out(request, row)


@router.get("", dependencies=[allow("forms:read")])
async def list_forms(tx: Tx, caller: Caller, paging: Paging, request: Request) -> Page[FormOut]:
    """Forms, the newest first."""
    before = paging.after(UUID)
    rows = await forms.page(tx, caller.workspace_id, before[0] if before else None, paging.limit + 1)
    return page(rows, paging, lambda row: _out(request, row), lambda row: (row["id"],))


@router.get("/{form_id}", dependencies=[allow("forms:read")], responses=problems(FormUnknown))
async def get_form(form_id: UUID, tx: Tx, caller: Caller, request: Request, response: Response) -> FormOut:
    """One form."""
    row = await forms.find(tx, caller.workspace_id, form_id)
    if row is None:
        raise FormUnknown(form_id=str(form_id))
    set_etag(response, row["revision"])
    return _out(request, row)


@router.patch(
    "/{form_id}",
    dependencies=[allow("forms:write")],
    responses=problems(FormUnknown, PreconditionFailed, InvalidField, *_REFUSALS),
)
async def update_form(
    form_id: UUID,
    body: FormPatch,
    tx: Tx,
    caller: Caller,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> FormOut:
    """Change a form; what was sent before stays as it is."""
    changes = body.model_dump(mode="json", exclude_unset=True)
    row = await use_cases.change_form(tx, caller.workspace_id, form_id, changes, if_match)
    set_etag(response, row["revision"])
    return _out(request, row)


@router.delete(
    "/{form_id}",
    status_code=204,
    dependencies=[allow("forms:write")],
    responses=problems(FormUnknown, PreconditionFailed),
)
async def delete_form(form_id: UUID, tx: Tx, caller: Caller, if_match: IfMatch = None) -> None:
    """Delete a form. What was sent with it stays, and who was asked by mail may still confirm."""
    await use_cases.delete_form(tx, caller.workspace_id, form_id, if_match)


@router.get("/{form_id}/submissions", dependencies=[allow("forms:read")], responses=problems(FormUnknown))
async def list_form_submissions(form_id: UUID, tx: Tx, caller: Caller, paging: Paging) -> Page[SubmissionOut]:
    """What was sent with a form, the newest first. What bots sent is not kept."""
    if await forms.find(tx, caller.workspace_id, form_id) is None:
        raise FormUnknown(form_id=str(form_id))
    before = paging.after(UUID)
    rows = await forms.submissions(tx, caller.workspace_id, form_id, before[0] if before else None, paging.limit + 1)
    return page(rows, paging, lambda row: SubmissionOut.model_validate(dict(row)), lambda row: (row["id"],))


def _out(request: Request, row: asyncpg.Record) -> FormOut:
    key = public_key(row["workspace_id"], row["id"])
    own = {name: row[name] for name in ("id", "name", "revision", "created_at", "updated_at")}
    return FormOut.model_validate({**row["definition"], **own, "url": f"{links(request).public_url}/f/{key}"})
