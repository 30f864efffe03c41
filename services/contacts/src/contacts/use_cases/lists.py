"""Lists: contacts put together by hand, by an import or by a form."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.leads import ListChangedV1
from common.db.pool import Connection
from common.errors import Forbidden
from common.ids import new_id
from common.outbox.writer import Outgoing, record
from common.web.etags import require_match

from contacts.db import lists
from contacts.errors import ContactNotFound, ListFull, ListInUse, ListUnknown


async def create_list(
    tx: Connection, workspace_id: UUID, fields: Mapping[str, Any], created_by: str, only_of: str | None
) -> asyncpg.Record:
    """Store a list and announce it. A contributor's list is the contributor's own. Raises Forbidden."""
    _to_oneself(fields, only_of)
    owner = only_of or fields.get("owner")
    row = await lists.insert(tx, workspace_id, new_id(), fields["name"], created_by, owner, fields.get("member_limit"))
    await _announce(tx, row)
    return row


async def change_list(
    tx: Connection,
    workspace_id: UUID,
    list_id: UUID,
    changes: Mapping[str, Any],
    if_match: str | None,
    only_of: str | None,
) -> asyncpg.Record:
    """Change name, owner or limit of a list. Raises ListUnknown, PreconditionFailed, Forbidden.

    Whoever is on the list stays when the limit falls; audiences keep to it.
    """
    before = await own_list(tx, workspace_id, list_id, only_of)
    require_match(if_match, before["revision"])
    _to_oneself(changes, only_of)
    if all(before[name] == value for name, value in changes.items()):
        return before
    row = await lists.change(tx, before, changes)
    await _announce(tx, row)
    return row


async def delete_list(
    tx: Connection, workspace_id: UUID, list_id: UUID, if_match: str | None, only_of: str | None
) -> None:
    """Delete a list; its contacts stay. Raises ListUnknown, ListInUse, PreconditionFailed, Forbidden."""
    row = await own_list(tx, workspace_id, list_id, only_of)
    require_match(if_match, row["revision"])
    if users := await lists.users(tx, workspace_id, list_id):
        raise ListInUse(
            f"the segment {users[0]['name']!r} names this list",
            mend="change or delete the segments that name it",
            segment_ids=[str(user["id"]) for user in users],
        )
    await lists.clear(tx, workspace_id, list_id)
    await _announce(tx, await lists.change(tx, row, {}, deleted=True))


async def add_members(
    tx: Connection, workspace_id: UUID, list_id: UUID, contact_ids: Sequence[UUID], only_of: str | None
) -> int:
    """Put contacts on a list, all or none. Raises ListUnknown, ContactNotFound, ListFull, Forbidden."""
    row = await own_list(tx, workspace_id, list_id, only_of, shared=True)
    limit = row["member_limit"]
    if limit is not None:  # one at a time, so that two do not fill the last place
        row = await own_list(tx, workspace_id, list_id, only_of)
    await _no_strangers(tx, workspace_id, contact_ids)
    added = await lists.add(tx, workspace_id, list_id, contact_ids)
    if added and limit is not None and await lists.is_over(tx, workspace_id, list_id, limit):
        raise full(limit)
    return added


def full(limit: int) -> ListFull:
    """Why nobody was added."""
    return ListFull(
        f"This list may hold {limit} contacts; nobody was added", limit=limit, mend="Take others off it first"
    )


async def remove_members(
    tx: Connection, workspace_id: UUID, list_id: UUID, contact_ids: Sequence[UUID], only_of: str | None
) -> int:
    """Take contacts off a list; those not on it do not matter. Raises ListUnknown, ContactNotFound, Forbidden."""
    await own_list(tx, workspace_id, list_id, only_of, shared=True)
    await _no_strangers(tx, workspace_id, contact_ids)
    return await lists.remove(tx, workspace_id, list_id, contact_ids)


async def _no_strangers(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID]) -> None:
    if strangers := await lists.strangers(tx, workspace_id, contact_ids):
        raise ContactNotFound(
            f"{strangers[0]} is no contact of this workspace; nothing was changed",
            mend="leave out the ids that are not contacts of this workspace",
            ids=[str(one) for one in strangers[:20]],
        )


async def own_list(
    tx: Connection, workspace_id: UUID, list_id: UUID, only_of: str | None, *, shared: bool = False
) -> asyncpg.Record:
    """The list, locked. Raises ListUnknown, Forbidden. `only_of`: a contributor, who may change the own lists only."""
    row = await (lists.kept if shared else lists.locked)(tx, workspace_id, list_id)
    if row is None:
        raise ListUnknown
    if only_of is not None and (row["owner"] or row["created_by"]) != only_of:
        raise Forbidden("A contributor may change the own lists only", mend="ask an editor, or make a list")
    return row


def _to_oneself(fields: Mapping[str, Any], only_of: str | None) -> None:
    if only_of is not None and ("member_limit" in fields or fields.get("owner", only_of) != only_of):
        raise Forbidden("A contributor may not give lists away or set their limits", mend="ask an editor")


async def _announce(tx: Connection, row: asyncpg.Record) -> None:
    event = ListChangedV1(list_id=row["id"], name=row["name"], deleted=row["deleted"], revision=row["revision"])
    await record(tx, [Outgoing(row["workspace_id"], event)])
