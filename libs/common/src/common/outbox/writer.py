"""Writing events: rows of the outbox, in the transaction of the change they tell of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from common.contracts.base import EventData
from common.contracts.envelope import MAX_PAYLOAD_BYTES
from common.contracts.topics import BY_CONTRACT
from common.db.pool import Connection
from common.errors import TooLarge
from common.ids import new_id
from common.telemetry import current_traceparent

IMPORT_LANE = 2

_INSERT = """
insert into outbox (lane, topic, type, key, event_id, workspace_id, time, traceparent, payload)
select * from unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[],
                     $7::timestamptz[], $8::text[], $9::text[])
"""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event to publish. `lane` None: the topic's own."""

    workspace_id: UUID
    data: EventData
    id: UUID = field(default_factory=new_id)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    lane: int | None = None
    traceparent: str | None = None


async def record(tx: Connection, events: Sequence[Outgoing]) -> None:
    """Add events to the outbox, in this order. One statement, whatever their number.

    Raises TooLarge for one that the bus would not take: whoever asks for the change is told, and nothing is changed.
    Events whose order matters must have the same key, and be written under the row lock of what they tell of.
    Statements that build events in SQL insert into `outbox` themselves, with the same columns.
    """
    if not events:
        return
    trace = current_traceparent()
    topics = [BY_CONTRACT[type(event.data)] for event in events]
    payloads = [event.data.model_dump_json() for event in events]
    for topic, payload in zip(topics, payloads, strict=True):
        if 4 * len(payload) > MAX_PAYLOAD_BYTES and (size := len(payload.encode())) > MAX_PAYLOAD_BYTES:
            raise TooLarge(
                f"This makes an event {topic.name} of {size} bytes; at most {MAX_PAYLOAD_BYTES} can be told to others",
                mend="Make it smaller, or split it",
            )
    await tx.execute(
        _INSERT,
        [topic.lane if event.lane is None else event.lane for event, topic in zip(events, topics, strict=True)],
        [topic.name for topic in topics],
        [topic.type for topic in topics],
        [str(getattr(event.data, topic.key)) for event, topic in zip(events, topics, strict=True)],
        [event.id for event in events],
        [event.workspace_id for event in events],
        [event.time for event in events],
        [event.traceparent or trace for event in events],
        payloads,
    )
