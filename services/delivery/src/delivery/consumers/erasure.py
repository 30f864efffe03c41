"""lead.erased: the person's data goes from the ledger; the rows and a tombstone stay."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import LeadErasedV1
from common.db.pool import Connection

from delivery import events as told
from delivery.db import messages, strikes


async def erase_people(tx: Connection, events: Sequence[Received[LeadErasedV1]]) -> None:
    """Blank rows, suppress what waits, and say that it is done."""
    erased = await messages.erase(
        tx, [event.workspace_id for event in events], [event.data.contact_id for event in events]
    )
    await strikes.forget(
        tx,
        [event.workspace_id for event in events for _ in event.data.address_hashes],
        [bytes.fromhex(one) for event in events for one in event.data.address_hashes],
    )
    await told.statuses(tx, [row for row in erased if row["status"] == "suppressed" and row["class"] == "erased"])
    await told.erasure_done(tx, events)
