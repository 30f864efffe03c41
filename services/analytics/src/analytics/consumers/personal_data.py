"""lead.export_requested: a person is told what analytics keeps of them."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import LeadExportedV1, LeadExportRequestedV1
from common.db.pool import Connection
from common.outbox.writer import Outgoing, record
from common.personal_data import numbered

from analytics.db.personal import STATEMENTS


async def tell_person(tx: Connection, events: Sequence[Received[LeadExportRequestedV1]]) -> None:
    """What the person clicked, and their score with what it is made of."""
    for request in events:
        async for part in numbered(tx, STATEMENTS, request):
            told = LeadExportedV1(service="analytics", **part)
            await record(tx, [Outgoing(request.workspace_id, told)])
