"""`segment.entered`, `segment.left`: where each contact stands with each segment that it moved in or out of."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from common.contracts.envelope import Received
from common.contracts.leads import SegmentMove
from common.db.pool import Connection

from analytics.db import segment_moves

Handler = Callable[[Connection, Sequence[Received[SegmentMove]]], Awaitable[None]]


def keep_moves(*, inside: bool) -> Handler:
    """The highest revision stands, whichever of the two events it is."""

    async def handle(tx: Connection, events: Sequence[Received[SegmentMove]]) -> None:
        latest: dict[tuple[UUID, UUID, UUID], Received[SegmentMove]] = {}
        for event in sorted(events, key=lambda event: event.data.revision):
            latest[event.workspace_id, event.data.contact_id, event.data.segment_id] = event
        await segment_moves.put(tx, [latest[key] for key in sorted(latest)], inside=inside)

    return handle
