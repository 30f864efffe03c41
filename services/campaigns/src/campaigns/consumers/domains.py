"""domain.changed: whether mail from a sender will be signed for its domain."""

from collections.abc import Sequence

from common.contracts.delivery import DomainChangedV1
from common.contracts.envelope import Received
from common.db.pool import Connection

from campaigns.db import domains, projections
from campaigns.use_cases.projections import CONSUMER


async def keep_domains(tx: Connection, batch: Sequence[Received[DomainChangedV1]]) -> None:
    """The newest revision of each domain stands."""
    await domains.store(tx, [(event.workspace_id, event.data) for event in batch])
    await projections.handled(tx, CONSUMER, max(event.time for event in batch))
