"""`/v1/contacts`."""

from typing import Annotated, Any
from uuid import UUID

import asyncpg
from common.contracts.addresses import InvalidAddress as NoAddress
from common.contracts.addresses import normalise_address
from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.filters import Field, Filters, Grammar, Sort
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Query, Response

from contacts.api.deps import ActingCaller, AddressReader, only_of
from contacts.api.schemas import (
    ContactCreate,
    ContactDetail,
    ContactOut,
    ContactPatch,
    ContactPut,
    consents_out,
    contact_out,
)
from contacts.db import consents, contacts, lists, merges, suppressions
from contacts.errors import (
    ContactExists,
    ContactNotFound,
    ExternalIdTaken,
    InvalidAddress,
    InvalidField,
    ListUnknown,
    TwoPeople,
    UnknownAttribute,
    UnknownPurpose,
)
from contacts.use_cases import contacts as use_cases
from contacts.use_cases.purposes import list_purposes

router = service_router("/contacts", "contacts")

GRAMMAR = Grammar(
    {
        "id": Field("id", "uuid", ("eq", "in"), sortable=True),
        "email": Field("email_normalised", ops=("eq", "in", "starts"), sortable=True),
        "score": Field("score", "number", sortable=True),
        "external_id": Field("external_id", ops=("eq", "in", "is")),
        "phone": Field("phone_normalised", ops=("eq", "in", "is")),
        "company": Field("company"),
        "city": Field("city"),
        "city_normalised": Field("city_normalised"),
        "owner": Field("owner", ops=("eq", "in", "is")),
        "language": Field("language", ops=("eq", "ne", "in", "is")),
        "country": Field("country", ops=("eq", "ne", "in", "is")),
        "stage": Field("stage", ops=("eq", "ne", "in")),
        "created_at": Field("created_at", "time"),
        "updated_at": Field("updated_at", "time"),
    },
    default_sort="-id",
)

_TAGGED = "id in (select contact_id from contact_value where workspace_id = $1 and attribute = '#tag' and value = ${n})"
_LISTED = "id in (select contact_id from list_members where workspace_id = $1 and list_id = ${n})"
_MATCHING = r"search like '%' || replace(replace(replace(fold(${n}), '\', '\\'), '%', '\%'), '_', '\_') || '%'"

Word = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
_BAD_VALUES = (InvalidAddress, InvalidField, UnknownAttribute, UnknownPurpose)


@router.get("", dependencies=[allow("contacts:read")], responses=problems(ListUnknown))
async def list_contacts(
    tx: Tx,
    caller: Caller,
    paging: Paging,
    filters: Filters = [],  # noqa: B006 - never written to
    sort: Sort = None,
    email: Annotated[Word, Query(description="an address, in any spelling of it")] = None,
    phone: Annotated[Word, Query(description="a number, in any spelling; all who have it")] = None,
    tag: Word = None,
    list_id: UUID | None = None,
    q: Annotated[Word, Query(description="part of a name, address or external id; letter forms do not count")] = None,
) -> Page[ContactOut]:
    """Contacts, the newest first unless sorted."""
    selection = GRAMMAR.select(filters, sort, paging)
    if list_id is not None and await lists.find(tx, caller.workspace_id, list_id, only_of(caller)) is None:
        raise ListUnknown(list_id=str(list_id))
    where, args = [selection.where], list(selection.args)
    for fragment, value in (
        ("email_normalised = ${n}", _identity(email)),
        ("phone_normalised = ${n}", await use_cases.read_phone(tx, caller.workspace_id, phone) if phone else None),
        (_TAGGED, tag),
        (_LISTED, list_id),
        (_MATCHING, q or None),
    ):
        if value is not None:
            args.append(value)
            where.append(fragment.format(n=len(args) + 1))
    rows = await contacts.page(tx, caller.workspace_id, " and ".join(where), selection.order, selection.limit, args)
    return page(rows, paging, contact_out, lambda row: selection.key(_sort_values(row)))


@router.post(
    "",
    status_code=201,
    dependencies=[allow("contacts:write")],
    responses=problems(*_BAD_VALUES, ContactExists, ExternalIdTaken),
)
async def create_contact(
    body: ContactCreate, tx: Tx, caller: Caller, actor: ActingCaller, addresses: AddressReader, response: Response
) -> ContactDetail:
    """Store a contact; with `consent`, its first line in the ledger."""
    consent = body.consent.to_new() if body.consent else None
    row = await use_cases.create_contact(tx, caller.workspace_id, body.given(), consent, actor, addresses)
    response.headers["Location"] = f"/v1/contacts/{row['id']}"
    return await _detail(tx, caller.workspace_id, row, response)


@router.put(
    "",
    dependencies=[allow("contacts:write")],
    responses={**problems(*_BAD_VALUES, ContactExists, ExternalIdTaken, TwoPeople), 201: {"model": ContactDetail}},
)
async def put_contact(
    body: ContactPut, tx: Tx, caller: Caller, actor: ActingCaller, addresses: AddressReader, response: Response
) -> ContactDetail:
    """Create the contact with this address or external id, or change it: what is omitted stays as it is.

    With neither, the contact with this phone is changed, if only one has it.
    """
    consent = body.consent.to_new() if body.consent else None
    row, is_new = await use_cases.put_contact(tx, caller.workspace_id, body.given(), consent, actor, addresses)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/contacts/{row['id']}"
    return await _detail(tx, caller.workspace_id, row, response)


@router.get("/{contact_id}", dependencies=[allow("contacts:read")], responses=problems(ContactNotFound))
async def get_contact(contact_id: UUID, tx: Tx, caller: Caller, response: Response) -> ContactDetail:
    """One contact, with its score, stage and consents."""
    row = await contacts.get(tx, caller.workspace_id, contact_id)
    if row is None:
        merged = await merges.into(tx, caller.workspace_id, contact_id)
        if merged is not None:
            raise ContactNotFound(
                "This contact was merged into another",
                contact_id=str(contact_id),
                merged_into=str(merged),
                mend=f"Read {merged}",
            )
        raise ContactNotFound(contact_id=str(contact_id))
    return await _detail(tx, caller.workspace_id, row, response)


@router.patch(
    "/{contact_id}",
    dependencies=[allow("contacts:write")],
    responses=problems(*_BAD_VALUES, ContactNotFound, ContactExists, ExternalIdTaken, PreconditionFailed),
)
async def update_contact(
    contact_id: UUID,
    body: ContactPatch,
    tx: Tx,
    caller: Caller,
    actor: ActingCaller,
    addresses: AddressReader,
    response: Response,
    if_match: IfMatch = None,
) -> ContactDetail:
    """Change a contact by a merge patch (RFC 7396)."""
    before = await use_cases.lock_contact(tx, caller.workspace_id, contact_id)
    require_match(if_match, before["revision"])
    row = await use_cases.change_contact(tx, caller.workspace_id, before, body.given(), actor, addresses)
    return await _detail(tx, caller.workspace_id, row, response)


async def _detail(tx: Tx, workspace_id: UUID, row: asyncpg.Record, response: Response) -> ContactDetail:
    states = await consents.of_contact(tx, workspace_id, row["id"])
    keys = {purpose.id: purpose.key for purpose in await list_purposes(tx, workspace_id)}
    set_etag(response, row["revision"])
    return ContactDetail(
        **contact_out(row).model_dump(),
        consents=consents_out(states, keys),
        suppressed=await suppressions.covers(tx, workspace_id, row["id"]),
    )


def _identity(email: str | None) -> str | None:
    if not email:
        return None
    try:
        return normalise_address(email)
    except NoAddress:
        return ""


def _sort_values(row: asyncpg.Record) -> dict[str, Any]:
    return {"id": row["id"], "email": row["email_normalised"], "score": row["score"]}
