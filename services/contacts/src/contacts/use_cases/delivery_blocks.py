"""What delivery saw and has blocked already: written down here, the authority, and answered by name (caused_by)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from common.db.pool import Connection
from common.ids import new_id

from contacts import events
from contacts.db import consents, contacts, merges, suppressions
from contacts.db.consents import ConsentRecord
from contacts.db.suppressions import Suppression
from contacts.use_cases.purposes import list_purposes

_ACTOR = "recipient"
_EVERYTHING = "unsubscribed_all"


@dataclass(frozen=True, slots=True)
class Block:
    """One address that delivery has blocked."""

    workspace_id: UUID
    contact_id: UUID
    block_id: UUID
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Leaving:
    """One person leaving a purpose, or everything."""

    workspace_id: UUID
    contact_id: UUID
    purpose_id: UUID | None
    everything: bool
    method: str
    message_id: UUID
    block_id: UUID
    at: datetime


async def suppress_addresses(tx: Connection, blocks: Sequence[Block]) -> None:
    """Suppress the contacts' addresses, those of merged ones too. Who is erased since has a tombstone, and delivery
    erased the block.
    """
    hashes = await contacts.hashes(tx, [b.workspace_id for b in blocks], [b.contact_id for b in blocks])
    hashes |= await merges.hashes(tx, [b.workspace_id for b in blocks], [b.contact_id for b in blocks])
    rows = await suppressions.put(
        tx,
        [
            Suppression(
                block.workspace_id,
                new_id(),
                "address",
                hashes[block.contact_id],
                block.reason,
                caused_by=block.block_id,
                actor="delivery",
            )
            for block in blocks
            if block.contact_id in hashes
        ],
    )
    await events.publish(tx, [events.suppression_changed(row) for row in rows])


async def suppress_hashes(tx: Connection, left: Sequence[tuple[UUID, bytes, UUID]]) -> None:
    """Suppress (workspace, address hash, block): people who left, whatever contact they are."""
    wanted = [
        Suppression(workspace_id, new_id(), "address", hash_, _EVERYTHING, caused_by=block_id, actor="delivery")
        for workspace_id, hash_, block_id in left
    ]
    rows = await suppressions.put(tx, wanted)
    await events.publish(tx, [events.suppression_changed(row) for row in rows])


async def record_leavings(tx: Connection, leavings: Sequence[Leaving]) -> None:
    """Append to the ledger and tell; leaving everything leaves every purpose and suppresses the address."""
    there = await contacts.lock_all(tx, [x.workspace_id for x in leavings], [x.contact_id for x in leavings])
    kept = [leaving for leaving in leavings if (leaving.workspace_id, leaving.contact_id) in there]
    gone = [leaving for leaving in leavings if (leaving.workspace_id, leaving.contact_id) not in there]
    if gone:
        # Whom they were merged into, as they are now that nobody can merge them under our hands.
        now = await merges.current(tx, [x.workspace_id for x in gone], [x.contact_id for x in gone])
        merged = [replace(x, contact_id=now[x.contact_id]) for x in gone if now[x.contact_id] != x.contact_id]
        there = await contacts.lock_all(tx, [x.workspace_id for x in merged], [x.contact_id for x in merged])
        kept += [leaving for leaving in merged if (leaving.workspace_id, leaving.contact_id) in there]
    purposes: dict[UUID, list[UUID]] = {}
    for workspace_id in {leaving.workspace_id for leaving in kept if leaving.everything}:
        purposes[workspace_id] = [purpose.id for purpose in await list_purposes(tx, workspace_id)]
    lines = [
        ConsentRecord(
            leaving.workspace_id,
            leaving.contact_id,
            purpose_id,
            "unsubscribed",
            f"unsubscribe {leaving.method}",
            f"message {leaving.message_id}",
            None,
            _ACTOR,
            None,
            leaving.block_id,
            happened_at=leaving.at,
        )
        for leaving in kept
        for purpose_id in sorted(
            {*([leaving.purpose_id] if leaving.purpose_id else []), *purposes.get(leaving.workspace_id, [])}
            if leaving.everything
            else filter(None, [leaving.purpose_id])
        )
    ]
    changed = await consents.append(tx, lines)
    await events.publish(tx, [events.consent_changed(state) for state in changed])
    await suppress_addresses(
        tx,
        [Block(x.workspace_id, x.contact_id, x.block_id, _EVERYTHING, x.at) for x in leavings if x.everything],
    )
