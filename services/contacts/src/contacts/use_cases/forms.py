"""Forms: making and changing them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id
from common.web.etags import require_match
from pydantic import ValidationError

from contacts.db import attributes, forms, lists, senders
from contacts.domain.forms import ATTRIBUTE, FormDefinition
from contacts.errors import FormUnknown, InvalidField, ListUnknown, SenderUnknown, UnknownAttribute
from contacts.use_cases.purposes import resolve_purpose


async def create_form(
    tx: Connection, workspace_id: UUID, name: str, definition: FormDefinition, created_by: str
) -> asyncpg.Record:
    """Store a form. Raises UnknownPurpose, UnknownAttribute, ListUnknown, SenderUnknown."""
    await _check(tx, workspace_id, definition)
    return await forms.insert(tx, workspace_id, new_id(), name, definition.model_dump(mode="json"), created_by)


async def change_form(
    tx: Connection, workspace_id: UUID, form_id: UUID, changes: Mapping[str, Any], if_match: str | None
) -> asyncpg.Record:
    """Change what is given, each part whole. Raises FormUnknown, PreconditionFailed, InvalidField, and as create."""
    row = await _locked(tx, workspace_id, form_id, if_match)
    given = dict(changes)
    name = given.pop("name", row["name"])
    try:
        definition = FormDefinition.model_validate({**row["definition"], **given})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "/" + "/".join(map(str, first["loc"]))
        raise InvalidField(first["msg"], where=where) from error
    await _check(tx, workspace_id, definition)
    return await forms.change(tx, workspace_id, form_id, name, definition.model_dump(mode="json"))


async def delete_form(tx: Connection, workspace_id: UUID, form_id: UUID, if_match: str | None) -> None:
    """Delete a form: its page is gone; what was sent with it stays. Raises FormUnknown, PreconditionFailed."""
    row = await _locked(tx, workspace_id, form_id, if_match)
    await forms.change(tx, workspace_id, form_id, row["name"], row["definition"], deleted=True)


async def _check(tx: Connection, workspace_id: UUID, definition: FormDefinition) -> None:
    await resolve_purpose(tx, workspace_id, definition.purpose)
    types = await attributes.types(tx, workspace_id)
    for one in definition.fields:
        name = one.name.removeprefix(ATTRIBUTE)
        if one.name.startswith(ATTRIBUTE) and name not in types:
            raise UnknownAttribute(
                f"There is no attribute {name!r}", attribute=name, mend="Create it with POST /v1/attributes first"
            )
    if missing := await lists.unknown(tx, workspace_id, definition.list_ids):
        raise ListUnknown(f"{missing[0]} is no list of this workspace", ids=[str(one) for one in missing])
    if definition.sender_id is not None and await senders.get(tx, workspace_id, definition.sender_id) is None:
        raise SenderUnknown(sender_id=str(definition.sender_id))


async def _locked(tx: Connection, workspace_id: UUID, form_id: UUID, if_match: str | None) -> asyncpg.Record:
    row = await forms.locked(tx, workspace_id, form_id)
    if row is None:
        raise FormUnknown(form_id=str(form_id))
    require_match(if_match, row["revision"])
    return row
