"""segment.changed, list.changed, lead.created, lead.updated, lead.erased: what contacts owns, as far as needed."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import LeadData, LeadErasedV1, ListChangedV1, SegmentChangedV1
from common.db.pool import Connection

from campaigns import events
from campaigns.db import projections

CONSUMER = "campaigns.main"


async def keep_segments(tx: Connection, batch: Sequence[Received[SegmentChangedV1]]) -> None:
    """Segments that a campaign may name."""
    await projections.store_sources(
        tx,
        "segment",
        [(e.workspace_id, e.data.segment_id, e.data.name, e.data.deleted, e.data.revision) for e in batch],
    )
    await _handled(tx, batch)


async def keep_lists(tx: Connection, batch: Sequence[Received[ListChangedV1]]) -> None:
    """Lists that a campaign may name."""
    await projections.store_sources(
        tx, "list", [(e.workspace_id, e.data.list_id, e.data.name, e.data.deleted, e.data.revision) for e in batch]
    )
    await _handled(tx, batch)


async def keep_leads(tx: Connection, batch: Sequence[Received[LeadData]]) -> None:
    """Contacts, for previews."""
    await projections.store_leads(
        tx, [(e.workspace_id, e.data.contact_id, e.data.revision, e.data.model_dump_json()) for e in batch]
    )
    await _handled(tx, batch)


async def erase(tx: Connection, batch: Sequence[Received[LeadErasedV1]]) -> None:
    """Leave nothing of these people but a tombstone, and say so."""
    await projections.erase_leads(tx, [(e.workspace_id, e.data.contact_id) for e in batch])
    await events.erasures_done(tx, [(e.workspace_id, e.data.contact_id, e.data.request_id) for e in batch])


async def _handled(tx: Connection, batch: Sequence[Received[SegmentChangedV1 | ListChangedV1 | LeadData]]) -> None:
    await projections.handled(tx, CONSUMER, max(event.time for event in batch))
