"""The envelope: CloudEvents 1.0, Kafka binding, binary mode."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from common.contracts.base import EventData

# What the bus takes for one event, its key and headers included. The same on every transport, so that an
# installation can move from one to the other.
MAX_EVENT_BYTES = 4 * 1024 * 1024
MAX_PAYLOAD_BYTES = MAX_EVENT_BYTES - 4096

T_co = TypeVar("T_co", bound=EventData, covariant=True)


@dataclass(frozen=True, slots=True)
class Received(Generic[T_co]):
    """One event as a handler gets it: decoded, validated, not seen before by this consumer."""

    id: UUID
    workspace_id: UUID
    time: datetime
    key: str
    data: T_co
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One event as a transport carries it: `payload` is the JSON text, not yet looked at."""

    id: UUID
    topic: str
    type: str
    source: str
    workspace_id: UUID
    time: datetime
    key: str
    payload: str
    lane: int = 1
    traceparent: str | None = None

    def headers(self) -> list[tuple[str, bytes]]:
        """The CloudEvents headers of the Kafka binding."""
        pairs = {
            "ce_specversion": "1.0",
            "ce_id": str(self.id),
            "ce_type": self.type,
            "ce_source": self.source,
            "ce_time": self.time.isoformat(),
            "ce_subject": self.key,
            "ce_workspaceid": str(self.workspace_id),
            "content-type": "application/json",
        }
        if self.traceparent:
            pairs["traceparent"] = self.traceparent
        return [(name, value.encode()) for name, value in pairs.items()]

    def size(self) -> int:
        """About what the event takes on the bus, in bytes."""
        pairs = self.headers()
        return len(self.payload.encode()) + len(self.key.encode()) + sum(len(n) + len(v) + 10 for n, v in pairs) + 100


def too_large(record: Record) -> str:
    """How large the event is, if it is more than the bus takes; else empty."""
    if 4 * (len(record.payload) + len(record.key)) < MAX_PAYLOAD_BYTES or record.size() <= MAX_EVENT_BYTES:
        return ""  # four bytes a character at most
    return f"{len(record.payload.encode())} bytes without its headers; the bus takes {MAX_EVENT_BYTES} with them"
