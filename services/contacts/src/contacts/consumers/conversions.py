"""`conversion.recorded`: number, sum and last date of a contact's conversions."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.money import ConversionRecordedV1
from common.db.pool import Connection

from contacts.db import money


async def keep_money(tx: Connection, events: Sequence[Received[ConversionRecordedV1]]) -> None:
    """The highest revision of each conversion stands. What was given back whole, or never was, does not count."""
    latest = {
        (event.workspace_id, event.data.conversion_id): event.data
        for event in sorted(events, key=lambda event: event.data.revision)
    }
    told = [
        money.Told(
            workspace_id,
            conversion_id,
            data.contact_id,
            data.amount - data.refunded,
            data.currency,
            data.occurred_at,
            not data.voided and not 0 < data.amount <= data.refunded,
            data.revision,
        )
        for (workspace_id, conversion_id), data in sorted(latest.items())
    ]
    await money.put(tx, told)
