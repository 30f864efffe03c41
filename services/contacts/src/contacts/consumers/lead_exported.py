"""`lead.exported`: what other services keep of a person who asked."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import LeadExportedV1
from common.db.pool import Connection

from contacts.use_cases.personal_data import as_part, keep_parts


async def collect(tx: Connection, events: Sequence[Received[LeadExportedV1]]) -> None:
    """Keep the parts, in whatever order and however often they come."""
    await keep_parts(tx, [as_part(event.workspace_id, event.data) for event in events])
