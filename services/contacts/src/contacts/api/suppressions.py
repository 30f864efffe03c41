"""`/v1/suppressions`: addresses and domains that must not be mailed. Only keyed hashes are kept."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from contacts.api.deps import ActingCaller, AddressReader
from contacts.api.schemas import Time
from contacts.db import suppressions
from contacts.errors import InvalidAddress, InvalidField, SuppressionNotFound
from contacts.use_cases import suppressions as use_cases

router = service_router("/suppressions", "suppressions")


class SuppressionCreate(BaseModel):
    """One address or one domain."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=1000)] | None = None
    domain: Annotated[str, Field(max_length=1000)] | None = None
    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = "manual"
    expires_at: Time | None = None


class SuppressionOut(BaseModel):
    """A suppression, without what it suppresses: only a keyed hash of that is stored."""

    id: UUID
    scope: Literal["address", "domain"]
    reason: str
    active: bool
    revision: int
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


@router.post(
    "",
    status_code=201,
    dependencies=[allow("suppressions:write")],
    responses=problems(InvalidAddress, InvalidField),
)
async def create_suppression(
    body: SuppressionCreate, tx: Tx, caller: Caller, actor: ActingCaller, addresses: AddressReader, response: Response
) -> SuppressionOut:
    """Stop all mail to an address or a domain, whoever has it, now and later."""
    scope, hash_ = use_cases.read_target(addresses, body.email, body.domain)
    row = await use_cases.suppress(
        tx, caller.workspace_id, scope, hash_, body.reason, actor.name, expires_at=body.expires_at
    )
    response.headers["Location"] = f"/v1/suppressions/{row['id']}"
    return SuppressionOut.model_validate(dict(row))


@router.get("", dependencies=[allow("suppressions:read")], responses=problems(InvalidAddress, InvalidField))
async def list_suppressions(
    tx: Tx,
    caller: Caller,
    paging: Paging,
    addresses: AddressReader,
    email: str | None = None,
    domain: str | None = None,
) -> Page[SuppressionOut]:
    """Active suppressions, the newest first; or that of one address or domain."""
    if email is not None or domain is not None:
        scope, hash_ = use_cases.read_target(addresses, email, domain)
        found = await suppressions.by_hash(tx, caller.workspace_id, scope, hash_)
        return Page(items=[SuppressionOut.model_validate(dict(found))] if found and found["active"] else [])
    before = paging.after(UUID)
    rows = await suppressions.page(tx, caller.workspace_id, before[0] if before else None, paging.limit + 1)
    return page(rows, paging, lambda row: SuppressionOut.model_validate(dict(row)), lambda row: (row["id"],))


@router.get("/{suppression_id}", dependencies=[allow("suppressions:read")], responses=problems(SuppressionNotFound))
async def get_suppression(suppression_id: UUID, tx: Tx, caller: Caller) -> SuppressionOut:
    """One suppression, lifted or not."""
    row = await suppressions.get(tx, caller.workspace_id, suppression_id)
    if row is None:
        raise SuppressionNotFound(suppression_id=str(suppression_id))
    return SuppressionOut.model_validate(dict(row))


@router.delete(
    "/{suppression_id}",
    status_code=204,
    dependencies=[allow("suppressions:write")],
    responses=problems(SuppressionNotFound),
)
async def delete_suppression(suppression_id: UUID, tx: Tx, caller: Caller, actor: ActingCaller) -> None:
    """Lift a suppression. Consent is another matter, and stays as it is."""
    await use_cases.lift(tx, caller.workspace_id, suppression_id, actor.name)
