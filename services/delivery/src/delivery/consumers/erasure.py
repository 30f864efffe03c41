"""lead.erased: the person's data goes from the ledger; the rows and a tombstone stay."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import ErasureDoneV1, LeadErasedV1
from common.db.pool import Connection
from common.outbox.writer import Outgoing, record

from delivery import events as told
from delivery.db import messages


async def erase_people(tx: Connection, events: Sequence[Received[LeadErasedV1]]) -> None:
    """Blank rows, suppress what waits, and say that it is done."""
    erased = await messages.erase(
        tx, [event.workspace_id for event in events], [event.data.contact_id for event in events]
    )
    await told.statuses(tx, [row for row in erased if row["status"] == "suppressed" and row["class"] == "erased"])
    await record(
        tx,
        [
            Outgoing(
                event.workspace_id,
                ErasureDoneV1(contact_id=event.data.contact_id, request_id=event.data.request_id, service="delivery"),
            )
            for event in events
        ],
    )
