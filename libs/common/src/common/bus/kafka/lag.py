"""The broker's side of the offsets: a copy to show lag, and where a partition begins and ends."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from common.bus.kafka.faults import told
from common.bus.kafka.options import KafkaOptions

log = structlog.get_logger(__name__)
_ANSWER_S = 10.0
_COMMIT_S = 2.0


class Lag:
    """Tells the broker, best effort, what was committed in the database; nothing is ever read from there."""

    def __init__(self) -> None:
        self._offsets: dict[TopicPartition, int] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._keeping: asyncio.Task[None] | None = None

    def note(self, offsets: Mapping[TopicPartition, int]) -> None:
        """What to tell the next time."""
        self._offsets.update(offsets)

    def keep(self, consumer: AIOKafkaConsumer, every_s: float) -> None:
        """Tell for this consumer, from now on."""
        self._consumer = consumer
        self._keeping = asyncio.create_task(self._keep(every_s), name="kafka lag")

    async def _keep(self, every_s: float) -> None:
        # Not for ever: before Python 3.12 wait_for() in tell() can lose the cancellation that is to end this.
        while self._consumer is not None:
            await asyncio.sleep(every_s)
            await self.tell()

    async def tell(self) -> None:
        """Always explicit offsets: a bare commit() commits positions, also those of failed batches."""
        if self._consumer is None:
            return
        held = self._consumer.assignment()
        offsets, self._offsets = {place: at for place, at in self._offsets.items() if place in held}, {}
        if offsets:
            # commit() repeats some errors without end, and is shielded: one that is given up may still land.
            with contextlib.suppress(KafkaError, OSError, ValueError):
                await asyncio.wait_for(self._consumer.commit(offsets), _COMMIT_S)

    async def end(self) -> None:
        """Tell no more."""
        keeping, self._keeping = self._keeping, None
        self._consumer = None
        self._offsets.clear()
        if keeping is not None:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping


async def ends(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], options: KafkaOptions
) -> dict[TopicPartition, int]:
    """The offset that each partition's next record will get. Raises BusUnavailable."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            found: dict[TopicPartition, int] = await consumer.end_offsets(places)
    except (KafkaError, OSError) as error:
        raise told(error, options) from error
    return found


async def first_there(
    consumer: AIOKafkaConsumer, places: Mapping[TopicPartition, int], options: KafkaOptions
) -> dict[TopicPartition, int]:
    """Where to read on when an offset is not there: retention was faster than we, or the topic was made again."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            first = await consumer.beginning_offsets(list(places))
            after = await consumer.end_offsets(list(places))
    except (KafkaError, OSError) as error:
        raise told(error, options) from error
    on: dict[TopicPartition, int] = {}
    for place, at in places.items():
        if at < first[place]:
            log.error("kafka_events_lost", topic=place.topic, partition=place.partition, lost=first[place] - at)
        elif at > after[place]:
            log.error("kafka_topic_made_again", topic=place.topic, partition=place.partition, was_at=at)
        else:
            on[place] = at
            continue
        on[place] = first[place]
    return on
