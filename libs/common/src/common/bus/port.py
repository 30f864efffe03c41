"""The port to the bus. Two transports stand behind it: `postgres` and `kafka`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.contracts.envelope import Record


@dataclass(frozen=True, slots=True)
class Polled:
    """One record as read, with its place: `source` names the partition, `offset` is the record's own."""

    record: Record
    source: str
    offset: int


class Producer(Protocol):
    """Appends records; when `publish` returns they are durable, in the order given per key."""

    async def publish(self, records: Sequence[Record]) -> None:
        """Append. Raises on any doubt; a repeated call may append twice."""
        ...

    async def close(self) -> None:
        """Flush and close."""
        ...


class Reader(Protocol):
    """One member of one consumer group. Positions are the caller's: `poll` reads from the offsets given."""

    async def poll(self, max_records: int, timeout_s: float) -> list[Polled]:
        """Records after the positions, in order per source; empty after the time-out."""
        ...

    async def assignment(self) -> frozenset[str]:
        """The sources this member reads now."""
        ...

    def seek(self, positions: Mapping[str, int]) -> None:
        """Set the next offset per source, after assignment and after a rolled-back batch."""
        ...

    async def close(self) -> None:
        """Leave the group."""
        ...
