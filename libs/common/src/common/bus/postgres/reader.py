"""Reading the log as one member of a group."""

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import structlog

from common.bus.port import Polled
from common.bus.postgres import members
from common.bus.postgres.places import SOURCES, source_name
from common.bus.postgres.wake import Waker
from common.contracts.envelope import Record
from common.db.pool import TRANSIENT, Database

log = structlog.get_logger(__name__)

LEASE_S = 10.0
FALLBACK_S = 1.0
LINGER_S = 0.01
MAX_BYTES = 8 * 1024 * 1024
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

_HEAD = "select next_id, clock_timestamp() - interval '1 hour' as floor from log_head"
_READ = "select * from log_read($1, $2, $3, $4, $5, $6, $7)"


class PostgresReader:
    """Polls from the caller's positions; a background task keeps the leases."""

    def __init__(self, db: Database, waker: Waker, group: str, topics: Sequence[str], lease_s: float = LEASE_S) -> None:
        self._db = db
        self._waker = waker
        self._group = group
        self._topics = sorted(set(topics))
        self._lease_s = lease_s
        self._member: UUID = uuid4()
        self._woken = waker.add(topics)
        self._held: frozenset[str] = frozenset()
        self._surplus: frozenset[str] = frozenset()
        self._held_until = 0.0
        self._positions: dict[str, int] = {}
        self._mirror: dict[str, int] = {}
        self._turn = 0
        self._beat: asyncio.Task[None] | None = None
        self._floor = _BEGINNING
        self._heard_at = -math.inf

    async def assignment(self) -> frozenset[str]:
        """The sources held now. Joins the group on first use; gives surplus ones up."""
        if self._beat is None:
            await self._heartbeat()
            self._beat = asyncio.create_task(self._keep(), name=f"lease {self._group}")
        if self._surplus:
            leaving, self._surplus = self._surplus, frozenset()
            self._held -= leaving
            async with self._db.transaction() as tx:
                await members.release(tx, self._group, self._member, leaving)
        if time.monotonic() > self._held_until:
            self._held = frozenset()
        for source in self._positions.keys() - self._held:
            del self._positions[source]
        return self._held

    def seek(self, positions: Mapping[str, int]) -> None:
        """Set the next offset per source."""
        self._positions.update({source: at for source, at in positions.items() if source in self._held})
        self._floor = _BEGINNING

    def positions(self) -> Mapping[str, int]:
        """Where the next poll reads."""
        return dict(self._positions)

    async def behind(self, positions: Mapping[str, int]) -> int:
        """The ids of the log after the lowest position: an upper bound, as they are given out over all topics."""
        if not positions:
            return 0
        async with self._db.connection() as connection:
            head = await connection.fetchrow(_HEAD)
        return max(0, head["next_id"] - min(positions.values())) if head else 0

    def silence_s(self) -> float:
        """How long the log has not answered; endless while it has not, or no source is held."""
        return time.monotonic() - self._heard_at if self._positions else math.inf

    def committed(self, positions: Mapping[str, int]) -> None:
        """Shown as lag after the next heartbeat."""
        self._mirror.update(positions)

    async def poll(self, max_records: int, timeout_s: float) -> list[Polled]:
        """Records from the positions on; lanes in order; waits for an append when there is none."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._woken.clear()
            if polled := await self._read(max_records):
                return polled
            left = min(deadline - time.monotonic(), FALLBACK_S)
            if left <= 0:
                return []
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), left)
            # Appends come in bursts: a moment's wait makes one batch of them.
            await asyncio.sleep(min(LINGER_S, left))

    async def _read(self, limit: int) -> list[Polled]:
        if not self._positions:
            return []
        # The head is read first: all below it is visible to the second statement, so a source without
        # further rows has nothing up to there.
        async with self._db.connection() as connection:
            head = await connection.fetchrow(_HEAD)
            self._heard_at = time.monotonic()
            if head is None or min(self._positions.values()) >= head["next_id"]:
                return []
            self._turn += 1
            order = sorted(self._positions, key=lambda s: (SOURCES[s][0], (SOURCES[s][1] + self._turn) % 4))
            rows = await connection.fetch(
                _READ,
                [SOURCES[source][0] for source in order],
                [SOURCES[source][1] for source in order],
                [self._positions[source] for source in order],
                self._topics,
                self._floor,
                limit,
                MAX_BYTES,
            )
        polled = [
            Polled(
                Record(
                    id=row["event_id"],
                    topic=row["topic"],
                    type=row["type"],
                    source=row["source"],
                    workspace_id=row["workspace_id"],
                    time=row["time"],
                    key=row["key"],
                    payload=row["payload"],
                    lane=row["lane"],
                    traceparent=row["traceparent"],
                ),
                source_name(row["lane"], row["part"]),
                row["id"],
            )
            for row in rows
        ]
        for one in polled:
            self._positions[one.source] = one.offset + 1
        # With the budget used up, only the sources before the last one read are known to be exhausted.
        whole = len(polled) < limit and (not rows or rows[0]["found"] == len(rows))
        exhausted = order if whole else order[: order.index(polled[-1].source)]
        for source in exhausted:
            self._positions[source] = max(self._positions[source], head["next_id"])
        if whole:
            self._floor = head["floor"]
        return polled

    async def _heartbeat(self) -> None:
        started = time.monotonic()
        told, self._mirror = self._mirror, {}
        async with self._db.transaction() as tx:
            found = await members.heartbeat(tx, self._group, self._member, self._lease_s)
            if told:
                await members.mirror(tx, self._group, told)
        self._held, self._surplus = found.held, found.surplus
        self._held_until = started + self._lease_s

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                await self._heartbeat()
            except TRANSIENT as error:
                log.warning("bus_heartbeat_failed", consumer=self._group, error=str(error))

    async def close(self) -> None:
        """Leave the group, so that others need not wait for the lease."""
        self._waker.remove(self._woken)
        if self._beat is not None:
            self._beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beat
            try:
                async with self._db.transaction() as tx:
                    if self._mirror:
                        await members.mirror(tx, self._group, self._mirror)
                    await members.leave(tx, self._group, self._member)
            except TRANSIENT as error:
                log.warning("bus_leave_failed", consumer=self._group, error=str(error))
