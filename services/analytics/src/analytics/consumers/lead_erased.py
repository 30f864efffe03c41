"""lead.erased: each consumer forgets what it keeps."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import LeadErasedV1
from common.db.pool import Connection

from analytics.use_cases import erasure


async def forget_facts(tx: Connection, events: Sequence[Received[LeadErasedV1]]) -> None:
    """The ingest consumer's part."""
    await erasure.forget(tx, "ingest", events)


async def forget_scores(tx: Connection, events: Sequence[Received[LeadErasedV1]]) -> None:
    """The scoring consumer's part."""
    await erasure.forget(tx, "scoring", events)
