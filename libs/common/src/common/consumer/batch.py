"""One batch in one open transaction: decode, drop duplicates, hand over by type, bury what cannot be handled."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from common.bus.port import Polled
from common.consumer import dead_letters, inbox
from common.consumer.decode import Dead, by_type, decode
from common.consumer.subscription import Consumer, Subscription
from common.contracts.envelope import Received
from common.db.pool import Connection


@dataclass(slots=True)
class Applied:
    """What became of a batch."""

    handled: int = 0
    duplicates: int = 0
    dead: list[Dead] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch, decoded outside the transaction."""

    events: Mapping[str, list[Received[Any]]]
    duplicates: int
    dead: list[Dead]


class Batches:
    """The consumer's side of a batch; made once per consumer."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.subscriptions: dict[str, Subscription] = by_type(consumer)

    def decode(self, polled: Sequence[Polled]) -> Decoded:
        """Events by type, each once, sorted by key, in order per key."""
        events: dict[str, list[Received[Any]]] = defaultdict(list)
        dead: list[Dead] = []
        seen: set[UUID] = set()
        duplicates = 0
        for one in polled:
            if one.record.id in seen:
                duplicates += 1
                continue
            seen.add(one.record.id)
            event = decode(self.subscriptions, one)
            if isinstance(event, Dead):
                dead.append(event)
            else:
                events[one.record.type].append(event)
        for of_type in events.values():
            of_type.sort(key=lambda event: event.key)
        return Decoded(events, duplicates, dead)

    async def apply(self, tx: Connection, decoded: Decoded) -> Applied:
        """Hand the events over. Types in alphabetical order, so that two members lock in the same order."""
        applied = Applied(duplicates=decoded.duplicates, dead=decoded.dead)
        need_inbox = [
            event
            for name, events in decoded.events.items()
            if not self.subscriptions[name].keyed_by_event
            for event in events
        ]
        new = await inbox.claim(tx, self.consumer.name, need_inbox)
        for name in sorted(decoded.events):
            subscription = self.subscriptions[name]
            events = decoded.events[name]
            if not subscription.keyed_by_event:
                fresh = [event for event in events if event.id in new]
                applied.duplicates += len(events) - len(fresh)
                events = fresh
            if events:
                await subscription.handle(tx, events)
                applied.handled += len(events)
        await dead_letters.bury(tx, self.consumer.name, decoded.dead)
        return applied
