"""The envelope: CloudEvents 1.0, Kafka binding, binary mode."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from common.contracts.base import EventData

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
