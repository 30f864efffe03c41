"""`/v1/contacts/search`: people by words, also misspelt or half typed ones."""

from typing import Annotated
from uuid import UUID

from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Query

from contacts.api.schemas import ContactOut, contact_out
from contacts.db import contacts
from contacts.errors import NothingToSearch
from contacts.use_cases import contacts as use_cases
from contacts.use_cases import searching
from contacts.use_cases.searching import Found

router = service_router("/contacts/search", "contacts")

Asked = Annotated[
    str,
    Query(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="words of a name, company or city, the beginning of an address, a whole phone or external id",
    ),
]


@router.get("", dependencies=[allow("contacts:read")], responses=problems(NothingToSearch))
async def search_contacts(q: Asked, tx: Tx, caller: Caller, paging: Paging) -> Page[ContactOut]:
    """Contacts that have all the words, the best answers first, at most 500.

    Case, diacritics, letter forms of Arabic and Persian and kinds of digits do not count; words of three letters and
    more may have an error. A change shows here after a second or two.
    """
    key = paging.after(float, UUID)
    after = None if key is None or None in key else Found(*key)
    phone = await use_cases.read_phone(tx, caller.workspace_id, q) or None
    found = await searching.find(tx, caller.workspace_id, q, phone, after, paging.limit + 1)
    rows = await contacts.of_ids(tx, caller.workspace_id, [one.contact_id for one in found])
    ranks = {one.contact_id: one.rank for one in found}
    return page(rows, paging, contact_out, lambda row: (ranks[row["id"]], row["id"]))
