"""One aiokafka consumer as one member of one group, reading from the caller's positions."""

import asyncio
import contextlib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from common.bus.kafka.clients import consumer_of, stop
from common.bus.kafka.faults import reason, told
from common.bus.kafka.lag import Lag, ends, first_there
from common.bus.kafka.options import KafkaOptions, Timing
from common.errors import BaridError

log = structlog.get_logger(__name__)

_BLINK_S = 0.2


class Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """Joins in the background. Between a revocation and the next assignment it holds nothing.

    aiokafka knows only eager rebalances (no KIP-848, no cooperative assignor): each stops the whole group, so
    members with an instance name are static (KIP-345) and a short restart causes none.
    """

    def __init__(self, options: KafkaOptions, group: str, topics: Sequence[str], timing: Timing) -> None:
        self.group = options.prefix + group
        self._options = options
        self._topics = [options.prefix + topic for topic in topics]
        self._timing = timing
        self._consumer: AIOKafkaConsumer | None = None
        self._opening: asyncio.Task[None] | None = None
        self._held: set[TopicPartition] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._alone_since = time.monotonic()
        self.positions: dict[TopicPartition, int] = {}
        self.lag = Lag()

    # Membership

    async def held(self) -> frozenset[TopicPartition]:
        """What is assigned now. Called between batches: lets a waiting rebalance go on."""
        self._idle.set()
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name=f"join {self.group}")
        if not self._opening.done():
            await asyncio.wait({self._opening}, timeout=_BLINK_S)
        if self._opening.done() and (error := self._opening.exception()) is not None:
            await self._end()
            raise told(await reason(error, self._options), self._options) from error
        await self._watch()
        return frozenset(self._held)

    def busy(self) -> None:
        """A batch is being handled: a revocation waits for it."""
        self._idle.clear()

    async def _open(self) -> None:
        timing = self._timing
        self._alone_since = time.monotonic()
        self._consumer = consumer_of(self._options, self.group, timing)
        self._consumer.subscribe(self._topics, listener=self)
        await self._consumer.start()
        self.lag.keep(self._consumer, timing.mirror_s)

    def _started(self) -> bool:
        """Whether the consumer may be asked for anything; why it could not start is told by `held`."""
        opening = self._opening
        return opening is not None and opening.done() and not opening.cancelled() and opening.exception() is None

    async def on_partitions_revoked(self, _revoked: Iterable[TopicPartition]) -> None:
        """Drain: the batch at hand is finished first, within the time the group waits. Not called by stop()."""
        try:
            await asyncio.wait_for(self._idle.wait(), self._timing.drain_s)
        except TimeoutError:
            # It may commit later or not: the offsets in the database decide.
            log.warning("kafka_drain_timed_out", consumer=self.group)
        await self.lag.tell()
        self._held.clear()
        self.positions.clear()
        self._alone_since = time.monotonic()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Hold still until the caller has given the positions. (An error here would only be logged by aiokafka.)"""
        self.positions.clear()
        self._held = set(assigned)
        if self._consumer is not None:
            self._consumer.pause(*self._held)
        log.info("kafka_assigned", consumer=self.group, partitions=len(self._held))

    async def _watch(self) -> None:
        """aiokafka #1187: a member that had no partitions for longer than max_poll_interval never joins again."""
        if self._held:
            self._alone_since = time.monotonic()
        elif self._consumer is not None and time.monotonic() - self._alone_since > self._timing.max_poll_s:
            log.warning("kafka_member_without_partitions", consumer=self.group)
            await self._end()

    # Reading

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Set the next offsets and read on. What was revoked meanwhile is passed over."""
        if self._consumer is None:
            return
        for place, at in positions.items():
            with contextlib.suppress(IllegalStateError):
                if place in self._held:
                    self._consumer.seek(place, at)
                    self._consumer.resume(place)
                    self.positions[place] = at

    async def take(self, most: int, topics: frozenset[str] | None = None) -> list[Any]:
        """What was fetched already, in order per partition; waits for nothing.

        getmany() with a time-out is not used: aiokafka #629 leaks its waiters. During a rebalance it waits without
        any time-out (fetcher.py), and it must be called also without partitions, or the member counts as idle.
        """
        consumer = self._consumer
        if consumer is None or not self._started():
            return []
        wanted = [place for place in self.positions if topics is None or place.topic in topics]
        if self.positions and not wanted:
            return []
        try:
            async with asyncio.timeout(_BLINK_S):
                got = await consumer.getmany(*wanted, timeout_ms=0, max_records=most)
        except TimeoutError:
            return []
        except NoOffsetForPartitionError:
            return []  # assigned, not yet sought: the broker's offsets are not ours
        except OffsetOutOfRangeError as error:
            self.seek(await first_there(consumer, error.args[0], self._options))
            return []
        except (KafkaError, ConsumerStoppedError, OSError) as error:
            await self._end()
            raise told(error, self._options) from error
        taken: list[Any] = []
        for place, messages in got.items():
            at = self.positions.get(place)
            if at is not None and messages and messages[0].offset >= at:
                taken.extend(messages)
                self.positions[place] = messages[-1].offset + 1
        return taken

    def hold_back(self, topics: frozenset[str], *, hold: bool) -> None:
        """Pause the topics, or let them go on."""
        if self._consumer is not None:
            for place in self.positions:
                if place.topic in topics:
                    with contextlib.suppress(IllegalStateError):
                        (self._consumer.pause if hold else self._consumer.resume)(place)

    def silence_s(self) -> float:
        """How long no fetch was answered: while the broker is away aiokafka only tries again, without a word."""
        consumer = self._consumer
        if consumer is None:
            return math.inf
        held = consumer.assignment()
        answered = [consumer.last_poll_timestamp(place) or 0 for place in self.positions if place in held]
        return time.time() - max(answered, default=0) / 1000

    def lags(self) -> bool:
        """Whether the broker has told of records that were not yet taken."""
        consumer = self._consumer
        if consumer is None:
            return False
        there = consumer.assignment()  # highwater() asserts that it is asked for nothing else
        return any((consumer.highwater(place) or 0) > at for place, at in self.positions.items() if place in there)

    async def behind(self, places: Mapping[TopicPartition, int]) -> int:
        """How many records lie after these offsets, of the partitions held. Raises BusUnavailable."""
        consumer = self._consumer
        mine = {place: at for place, at in places.items() if place in self.positions}
        if consumer is None or not mine:
            return 0
        after = await ends(consumer, list(mine), self._options)
        return sum(max(0, after[place] - at) for place, at in mine.items())

    # The end

    async def close(self) -> None:
        """Leave; a static member leaves nothing, so that its partitions wait for it."""
        self._idle.set()
        if self._started():
            await self.lag.tell()
        await self._end()

    async def _end(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._held.clear()
        self.positions.clear()
        await self.lag.end()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError, KafkaError, OSError, BaridError):
                await opening
        if consumer is not None:
            await stop(consumer)
