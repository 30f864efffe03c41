"""What one mailer has under its intents: never more than W messages, from the mark to the outcome's commit."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg

from delivery.db.outcomes import NO_WAIT, Outcome
from delivery.smtp.pool import Line
from delivery.smtp.route import PLATFORM, Route
from delivery.use_cases.direct import Destination
from delivery.use_cases.shaping import Day, Shaping

FLUSH_AFTER_S = 0.04


@dataclass(slots=True, eq=False)
class Item:
    """One marked message. `begun`: its dialogue is under way. `dropped`: it must not begin any more.

    `line`: the connections it may go by; `at`: its slot (monotonic), before which it must not begin; `day`: the day of
    a warm-up that it counts for; `destination`: the mail hosts that it goes to, on a direct route.
    """

    workspace_id: UUID
    id: UUID
    mailing_id: UUID
    attempt: int
    epoch: int
    provider: str
    marked_at: float
    row: asyncpg.Record
    route: Route
    line: Line
    at: float | None = None
    day: Day | None = None
    begun: bool = False
    dropped: bool = False
    destination: Destination | None = None
    variant_id: str | None = None
    traceparent: str | None = None


@dataclass(slots=True)
class Window:
    """Items by their place: waiting in `queue`, under way, or with an outcome that is not yet committed.

    `parked`: for a connection of a limited number. The queue gives single mail first, then what has a slot. `full`:
    there are as many outcomes as are worth a commit.
    """

    size: int
    shaping: Shaping
    queue: "asyncio.PriorityQueue[tuple[int, int, Item]]" = field(default_factory=asyncio.PriorityQueue)
    parked: dict[tuple[UUID, str], deque[Item]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    items: dict[tuple[UUID, int], Item] = field(default_factory=dict)
    outcomes: list[tuple[Item, Outcome]] = field(default_factory=list)
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    full: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def batch(self) -> int:
        """How many are marked or recorded together, so that others are under way meanwhile."""
        return max(1, self.size // 3)

    @property
    def free(self) -> int:
        """How many more may be marked."""
        return self.size - len(self.items)

    def put(self, item: Item) -> None:
        """A marked message waits for a connection."""
        self.hold(item)
        self.release(item)

    def hold(self, item: Item) -> None:
        """A message is marked; it does not wait for a connection yet."""
        self.items[(item.id, item.attempt)] = item
        self.shaping.began(item.line)

    def release(self, item: Item) -> None:
        """It waits for a connection, in its slot if it has one."""
        if item.at is None:
            self.enqueue(item)
        else:
            asyncio.get_running_loop().call_later(max(0.0, item.at - time.monotonic()), self.enqueue, item)

    def enqueue(self, item: Item) -> None:
        """Its time has come."""
        urgency = item.row["lane"] * 2 + (item.at is None)
        self.queue.put_nowait((urgency, next(self.numbers), item))

    def park(self, item: Item) -> None:
        """All connections that it may go by are in use: it waits for one."""
        self.parked.setdefault((item.line[0], item.line[2]), deque()).append(item)

    def unpark(self, line: Line) -> None:
        """A connection is free."""
        waiting = self.parked.get((line[0], line[2])) or deque()
        while waiting:
            if not (item := waiting.popleft()).dropped:
                self.enqueue(item)
                return

    def settle(self, item: Item, status: Any, **details: Any) -> None:
        """Its outcome is known."""
        self.shaping.ended(item.line)
        if item.day is not None and status in {"pending", "deferred"}:
            self.shaping.refund(item.day)
        route_id = item.route.id if item.route.id != PLATFORM else None
        outcome = Outcome(
            item.workspace_id,
            item.id,
            item.attempt,
            status,
            variant_id=item.variant_id,
            route_id=route_id,
            **details,
        )
        self.outcomes.append((item, outcome))
        self.recorded.set()
        if len(self.outcomes) >= self.batch:
            self.full.set()

    def take_outcomes(self) -> list[tuple[Item, Outcome]]:
        """All there are; they stay under their intents until `committed`."""
        batch, self.outcomes = self.outcomes, []
        self.full.clear()
        return batch

    def give_back(self, item: Item, wait: timedelta = NO_WAIT) -> None:
        """It never began: it waits for another turn."""
        item.dropped = True
        self.settle(item, "pending", wait=wait)

    def give_back_all(self, route: Route, provider: str) -> None:
        """Nothing more is sent to this provider for now."""
        for item in self.waiting():
            if item.provider == provider and item.route.id == route.id:
                self.give_back(item)

    def committed(self, batch: list[tuple[Item, Outcome]]) -> None:
        """Outcomes are in the ledger, and their ids under no intent."""
        for item, _ in batch:
            self.items.pop((item.id, item.attempt), None)
        self.freed.set()

    def waiting(self) -> list[Item]:
        """Marked, not begun, not dropped."""
        return [item for item in self.items.values() if not item.begun and not item.dropped]
