"""The worst a bus may do: every event twice, in any order across topics; order only within a topic's key."""

import random
from collections import defaultdict
from collections.abc import Sequence

from common.consumer.subscription import Consumer
from common.contracts.topics import BY_CONTRACT
from common.db.pool import Database
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver


def doubled_and_permuted(events: Sequence[Outgoing], seed: int) -> list[Outgoing]:
    """Each event at least twice. The first copies keep their order per topic and key; repeats come later.

    A repeat is a stretch read again, as after a crash of a relay: a, b, a, b, c, c.
    """
    chance = random.Random(seed)  # noqa: S311 - a test's permutation
    by_key: dict[tuple[str, str], list[Outgoing]] = defaultdict(list)
    for event in events:
        topic = BY_CONTRACT[type(event.data)]
        by_key[topic.name, str(getattr(event.data, topic.key))].append(event)
    streams: list[list[Outgoing]] = []
    for own in by_key.values():
        stream: list[Outgoing] = []
        start = 0
        while start < len(own):
            end = chance.randint(start + 1, len(own))
            stream += own[start:end] * 2
            start = end
        streams.append(stream[::-1])
    result: list[Outgoing] = []
    while streams:
        stream = chance.choice(streams)
        result.append(stream.pop())
        if not stream:
            streams.remove(stream)
    return result


async def deliver_shuffled(
    db: Database, consumer: Consumer, events: Sequence[Outgoing], seed: int, *, most_per_batch: int = 7
) -> None:
    """Deliver every event doubled and permuted, in batches of random size, each its own transaction."""
    chance = random.Random(seed)  # noqa: S311
    waiting = doubled_and_permuted(events, seed)
    while waiting:
        size = chance.randint(1, most_per_batch)
        await deliver(db, consumer, waiting[:size])
        waiting = waiting[size:]
