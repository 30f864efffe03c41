"""Merging two contacts that are one person, as a person decided; and taking it back."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.leads import LeadMergedV1
from common.db.pool import Connection
from common.ids import new_id
from common.outbox.writer import Outgoing

from contacts import events
from contacts.db import consents, contacts, duplicates, merges
from contacts.db.consents import ConsentRecord
from contacts.domain.merging import (
    combined,
    consents_after,
    consents_given_back,
    consents_restored,
    restored,
)
from contacts.errors import CannotMerge, ContactNotFound, MergeNotFound

# What a row of contacts has beside what a person may change.
_KEPT = ("email", "email_normalised")


async def merge_contacts(
    tx: Connection, workspace_id: UUID, kept_id: UUID, gone_id: UUID, actor: str
) -> asyncpg.Record:
    """Let one contact become the other. Raises ContactNotFound, CannotMerge."""
    if kept_id == gone_id:
        raise CannotMerge("A contact cannot be merged into itself", mend="Name two contacts")
    rows = {one: await merges.locked_row(tx, workspace_id, one) for one in sorted((kept_id, gone_id))}
    kept, gone = _there(rows, kept_id), _there(rows, gone_id)
    said = {one: await _consents(tx, workspace_id, one) for one in (kept_id, gone_id)}
    left_all = await merges.left_all(tx, workspace_id, gone_id)
    was = await merges.move(tx, workspace_id, gone_id, kept_id)
    aliases = await merges.alias(tx, workspace_id, gone_id, kept_id, bytes.fromhex(gone["address_hash"][2:]))
    await contacts.remove(tx, workspace_id, gone_id)
    values = combined(kept, gone)
    row = await _write(tx, workspace_id, kept_id, kept, values)
    changed = consents_after(said[kept_id], said[gone_id], left_all=left_all)
    states = await _say(tx, workspace_id, kept_id, changed, "merge", f"contact {gone_id}", actor)
    merge_id = new_id()
    before = {
        "kept": kept, "gone": gone, "values": values, "aliases": [str(one) for one in aliases], **was,
        "consents": {"kept": said[kept_id], "gone": said[gone_id], "merged": {**said[kept_id], **changed}},
    }  # fmt: skip
    merge = await merges.insert(tx, workspace_id, merge_id, kept_id, gone_id, actor, before)
    await duplicates.merged(tx, workspace_id, kept_id, gone_id, actor)
    revision = 2 * await merges.times(tx, workspace_id, gone_id) - 1
    told = [Outgoing(workspace_id, LeadMergedV1(merged_id=gone_id, contact_id=kept_id, active=True, revision=revision))]
    told.append(events.lead_updated(row, await consents.of_contact(tx, workspace_id, kept_id)))
    await events.publish(tx, [*told, *map(events.consent_changed, states)])
    return merge


async def undo_merge(tx: Connection, workspace_id: UUID, merge_id: UUID, actor: str) -> asyncpg.Record:
    """Tell the two apart again; what changed since stays with the kept one. Raises MergeNotFound, CannotMerge."""
    merge = await merges.get(tx, workspace_id, merge_id, lock=True)
    if merge is None:
        raise MergeNotFound(merge_id=str(merge_id))
    if merge["undone_at"] is not None:
        raise CannotMerge("This merge has been taken back already")
    kept_id, gone_id, was = merge["kept_id"], merge["gone_id"], merge["before"]
    now = await merges.locked_row(tx, workspace_id, kept_id)
    if now is None:
        raise CannotMerge(
            "The contact that was kept is gone itself",
            mend="Take back what became of it first",
            contact_id=str(kept_id),
        )
    # The external id may go back to whom it came from: the kept contact must have let go of it.
    row = await _write(tx, workspace_id, kept_id, now, restored(was["kept"], was["values"], now))
    try:
        await merges.put_back(tx, {**was["gone"], "revision": was["gone"]["revision"] + 2})
    except asyncpg.UniqueViolationError as error:
        raise CannotMerge(
            "Another contact has the address or external id by now", mend="Change that contact first"
        ) from error
    await merges.move_back(tx, workspace_id, kept_id, gone_id, was)
    await merges.unalias(tx, workspace_id, gone_id, kept_id, [UUID(one) for one in was["aliases"]])
    said, current = was["consents"], await _consents(tx, workspace_id, kept_id)
    states = [
        *await _say(
            tx, workspace_id, kept_id, consents_restored(said["kept"], said["merged"], current),
            "merge taken back", f"contact {gone_id}", actor,
        ),
        *await _say(
            tx, workspace_id, gone_id, consents_given_back(said["gone"], said["merged"], current),
            "merge taken back", f"contact {kept_id}", actor,
        ),
    ]  # fmt: skip
    await merges.undone(tx, workspace_id, merge_id)
    await duplicates.reopen(tx, workspace_id, kept_id, gone_id)
    revision = 2 * await merges.times(tx, workspace_id, gone_id)
    told = [
        Outgoing(workspace_id, LeadMergedV1(merged_id=gone_id, contact_id=kept_id, active=False, revision=revision))
    ]
    again = await contacts.get(tx, workspace_id, gone_id)
    assert again is not None  # noqa: S101
    told += [events.lead_updated(one, await consents.of_contact(tx, workspace_id, one["id"])) for one in (row, again)]
    await events.publish(tx, [*told, *map(events.consent_changed, states)])
    found = await merges.get(tx, workspace_id, merge_id)
    assert found is not None  # noqa: S101
    return found


def _there(rows: Mapping[UUID, dict[str, Any] | None], contact_id: UUID) -> dict[str, Any]:
    found = rows[contact_id]
    if found is None:
        raise ContactNotFound(contact_id=str(contact_id))
    return found


async def _write(
    tx: Connection, workspace_id: UUID, contact_id: UUID, row: Mapping[str, Any], values: Mapping[str, Any]
) -> asyncpg.Record:
    kept = {name: row[name] for name in _KEPT}
    written = await contacts.update(tx, workspace_id, contact_id, None, {**kept, **values})
    assert written is not None  # noqa: S101
    return written


async def _consents(tx: Connection, workspace_id: UUID, contact_id: UUID) -> dict[str, str]:
    states = await consents.of_contact(tx, workspace_id, contact_id)
    return {str(state["purpose_id"]): state["status"] for state in states}


async def _say(
    tx: Connection,
    workspace_id: UUID,
    contact_id: UUID,
    changed: Mapping[str, str],
    source: str,
    evidence: str,
    actor: str,
) -> Sequence[asyncpg.Record]:
    lines = [
        ConsentRecord(workspace_id, contact_id, UUID(purpose), status, source, evidence, None, actor)
        for purpose, status in changed.items()
    ]
    return await consents.append(tx, lines)
