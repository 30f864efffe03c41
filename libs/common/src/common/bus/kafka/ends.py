"""What lies in topics, without being a member of any group."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from common.bus.kafka.faults import reason, told
from common.bus.kafka.options import KafkaOptions

_ANSWER_S = 30.0


async def records(options: KafkaOptions, topics: Iterable[str]) -> dict[str, int]:
    """How many records each of these topics holds now; only those that hold some. Raises BusUnavailable."""
    names = {options.prefix + topic: topic for topic in topics}
    consumer = AIOKafkaConsumer(**options.client())
    held: dict[str, int] = {}
    try:
        async with asyncio.timeout(_ANSWER_S):
            await consumer.start()
            known = await consumer._client.fetch_all_metadata()
            places = [TopicPartition(name, part) for name in names for part in known.partitions_for_topic(name) or ()]
            first, after = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
            for place in places:
                if number := after[place] - first[place]:
                    held[names[place.topic]] = held.get(names[place.topic], 0) + number
    except (KafkaError, OSError) as error:
        raise told(await reason(error, options), options) from error
    finally:
        await consumer.stop()
    return held
