"""What one mailer has under its intents: never more than W messages, from the mark to the outcome's commit."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from delivery.db.outcomes import Outcome
from delivery.domain.pacing import Pacing

FLUSH_AFTER_S = 0.04


@dataclass(slots=True, eq=False)
class Item:
    """One marked message. `begun`: its dialogue is under way. `dropped`: it must not begin any more."""

    workspace_id: UUID
    id: UUID
    mailing_id: UUID
    attempt: int
    epoch: int
    provider: str
    marked_at: float
    row: asyncpg.Record
    begun: bool = False
    dropped: bool = False
    variant_id: str | None = None
    traceparent: str | None = None


@dataclass(slots=True)
class Window:
    """Items by their place: waiting in `queue`, under way, or with an outcome that is not yet committed."""

    size: int
    pacing: Pacing
    queue: "asyncio.Queue[Item]" = field(default_factory=asyncio.Queue)
    items: dict[tuple[UUID, int], Item] = field(default_factory=dict)
    outcomes: list[tuple[Item, Outcome]] = field(default_factory=list)
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    recorded: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def free(self) -> int:
        """How many more may be marked."""
        return self.size - len(self.items)

    def put(self, item: Item) -> None:
        """A marked message waits for a connection."""
        self.items[(item.id, item.attempt)] = item
        self.pacing.began(item.provider)
        self.queue.put_nowait(item)

    def settle(self, item: Item, status: Any, **details: Any) -> None:
        """Its outcome is known."""
        self.pacing.ended(item.provider)
        outcome = Outcome(item.workspace_id, item.id, item.attempt, status, variant_id=item.variant_id, **details)
        self.outcomes.append((item, outcome))
        self.recorded.set()

    def give_back(self, item: Item) -> None:
        """It never began: it waits for another turn."""
        item.dropped = True
        self.settle(item, "pending")

    def committed(self, batch: list[tuple[Item, Outcome]]) -> None:
        """Outcomes are in the ledger, and their ids under no intent."""
        for item, _ in batch:
            self.items.pop((item.id, item.attempt), None)
        self.freed.set()

    def waiting(self) -> list[Item]:
        """Marked, not begun, not dropped."""
        return [item for item in self.items.values() if not item.begun and not item.dropped]
