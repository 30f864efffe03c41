"""What a service consumes: one readable table per service, `consumers/subscriptions.py`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from common.contracts.base import EventData
from common.contracts.envelope import Received
from common.db.pool import Connection

Handler = Callable[[Connection, Sequence[Received[Any]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Subscription:
    """One event type and what is done with a batch of it.

    The handler gets the open transaction and new events of this one type, sorted by key, in order per key.
    It commutes with every other handler (design: no order across topics), never commits and never catches.
    `keyed_by_event`: a row keyed by the event's id exists in the handler's own tables, so no inbox row is
    written; the handler itself must ignore what it has.
    """

    contract: type[EventData]
    handle: Handler
    keyed_by_event: bool = False


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer group, named `<service>.<what for>`. One poll = one transaction over all its topics.

    `alive` is called with the name every second in which the bus answered and no batch was stuck: a sign of life
    for those who must know whether what they miss may still be on its way.
    """

    name: str
    subscriptions: tuple[Subscription, ...]
    max_batch: int = 2000
    alive: Callable[[Connection, str], Awaitable[None]] | None = None
