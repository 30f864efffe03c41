"""lead.erased: the person's data goes from the ledger; the rows and a tombstone stay."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import LeadErasedV1
from common.db.pool import Connection

from delivery import events as told
from delivery.db import messages, strikes


async def erase_people(tx: Connection, events: Sequence[Received[LeadErasedV1]]) -> None:
    """Blank rows, suppress what waits, and say that it is done."""
    addresses = [(event.workspace_id, bytes.fromhex(one)) for event in events for one in event.data.address_hashes]
    contacts = [(event.workspace_id, event.data.contact_id) for event in events]
    erased = await messages.erase(tx, contacts, addresses)
    await strikes.forget(tx, [one for one, _ in addresses], [one for _, one in addresses])
    await told.statuses(tx, [row for row in erased if row["status"] == "suppressed" and row["class"] == "erased"])
    await told.erasure_done(tx, events)
