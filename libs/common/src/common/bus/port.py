"""The port to the bus. Two transports stand behind it: `postgres` and `kafka`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.contracts.envelope import Record
from common.errors import Unavailable


class BusUnavailable(Unavailable, ConnectionError):
    """The bus cannot be used now; as with any lost connection, the same work is tried again."""

    code = "bus_unavailable"


@dataclass(frozen=True, slots=True)
class Polled:
    """One record as read, with its place: `source` names the partition, `offset` is the record's own.

    `fault`: why it is no event at all, where a transport lets anybody write.
    """

    record: Record
    source: str
    offset: int
    fault: str | None = None


class Producer(Protocol):
    """Appends records; when `publish` returns they are durable, in the order given per key."""

    async def publish(self, records: Sequence[Record]) -> None:
        """Append. Raises on any doubt; a repeated call may append twice."""
        ...

    async def ready(self) -> None:
        """Raise when the bus cannot be reached."""
        ...

    async def close(self) -> None:
        """Flush and close."""
        ...


class Reader(Protocol):
    """One member of one consumer group. Offsets are the caller's: nothing is read before `seek`."""

    async def assignment(self) -> frozenset[str]:
        """The sources this member reads now. Between batches only: sources to be given up leave here."""
        ...

    def seek(self, positions: Mapping[str, int]) -> None:
        """Set the next offset per source, after assignment and after a rolled-back batch."""
        ...

    async def poll(self, max_records: int, timeout_s: float) -> list[Polled]:
        """Records from the positions on, in order per source; empty after the time-out."""
        ...

    def positions(self) -> Mapping[str, int]:
        """Where the next poll reads, per source; it may be ahead of the last record, past what is not subscribed."""
        ...

    async def behind(self, positions: Mapping[str, int]) -> int:
        """How many events lie between these positions, of sources held, and their ends. Raises when nobody can say."""
        ...

    def silence_s(self) -> float:
        """How long the bus has not answered for the sources held; endless while it has not, or none is held."""
        ...

    def committed(self, positions: Mapping[str, int]) -> None:
        """Tell the bus, best effort and only to show lag, what the consumer has committed in its own database."""
        ...

    async def close(self) -> None:
        """Leave the group at once."""
        ...
