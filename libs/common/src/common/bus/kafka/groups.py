"""Whether the consumer groups of the contracts are at work."""

from collections.abc import Iterable

from common.bus.kafka.clients import admin_of
from common.bus.kafka.options import KafkaOptions
from common.bus.kafka.reader import URGENT
from common.bus.kafka.records import lane_of
from common.contracts.topics import Topic

_STABLE = "Stable"


def names(topics: Iterable[Topic]) -> set[str]:
    """The groups as the broker knows them, without the prefix."""
    return {group + (URGENT if lane_of(topic.name) == 0 else "") for topic in topics for group in topic.consumers}


async def all_consume(options: KafkaOptions, topics: Iterable[Topic]) -> bool:
    """Whether every group has members that share out all its partitions; none is between two assignments."""
    async with admin_of(options) as admin:
        for name in sorted(names(topics)):
            # One at a time: aiokafka 0.14 reads the answer's version 3 as version 2, wrong from the second group on.
            (answer,) = await admin.describe_consumer_groups([options.prefix + name])
            ((_, _, state, _, _, members, *_),) = answer.groups
            if state != _STABLE or not members:
                return False
    return True
