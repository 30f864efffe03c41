"""What a consumer tells of itself: how far it is behind, how old what it works on is, what it has buried."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog

from common import metrics
from common.bus.port import Polled, Reader
from common.consumer import dead_letters
from common.consumer.batch import Applied
from common.db.pool import Database

log = structlog.get_logger(__name__)

EVERY_S = 5.0


class Meter:
    """One member's metrics. The figures that cost a question are asked for every few seconds, beside the work."""

    def __init__(self, consumer: str, db: Database, reader: Reader) -> None:
        self._consumer = consumer
        self._db = db
        self._reader = reader
        self._uncommitted: Mapping[str, int] = {}
        self._oldest: float | None = None
        self._batch = metrics.CONSUMER_BATCH.labels(consumer)
        self._event = metrics.CONSUMER_EVENT.labels(consumer)
        self._outcomes = {name: metrics.CONSUMED.labels(consumer, name) for name in ("handled", "duplicate", "dead")}
        self._retries = {why: metrics.CONSUMER_RETRIES.labels(consumer, why) for why in ("fenced", "transient", "data")}
        metrics.CONSUMER_OLDEST.labels(consumer).set_function(self._age)

    def polled(self, polled: Sequence[Polled]) -> None:
        """This was read, or nothing was there; the reader is where the database says, and no batch is under way."""
        self._uncommitted = {}
        metrics.CONSUMER_LAST_POLL.labels(self._consumer).set_to_current_time()
        self._oldest = min((one.record.time.timestamp() for one in polled), default=None)

    def began(self, committed: Mapping[str, int]) -> None:
        """A batch is being handled; these are the offsets before it."""
        self._uncommitted = committed

    def ended(self, polled: Sequence[Polled], seconds: float) -> None:
        """All of it is committed."""
        now = time.time()
        self._uncommitted = {}
        self._batch.observe(seconds)
        newest = max(one.record.time.timestamp() for one in polled)
        metrics.CONSUMER_DELAY.labels(self._consumer).set(max(0.0, now - newest))
        if self._oldest is not None:
            self._event.observe(max(0.0, now - self._oldest))
        self._oldest = None

    def count(self, applied: Applied) -> None:
        """What became of events."""
        self._outcomes["handled"].inc(applied.handled)
        self._outcomes["duplicate"].inc(applied.duplicates)
        self._outcomes["dead"].inc(len(applied.dead))

    def retried(self, why: str) -> None:
        """A batch was rolled back."""
        self._retries[why].inc()

    async def run(self) -> None:
        """Measure for ever. While the database or the bus is away the last figures stand."""
        while True:
            try:
                await self.measure()
            except Exception as error:
                # Whatever is wrong here, the work goes on, and says so itself when it is wrong there too.
                log.info("consumer_not_measured", consumer=self._consumer, error=type(error).__name__)
            await asyncio.sleep(EVERY_S)

    async def measure(self) -> None:
        """Lag, partitions and dead letters."""
        # Nothing between what was committed and what is read next is ours, but for the batch at hand.
        committed = {**self._reader.positions(), **self._uncommitted}
        metrics.CONSUMER_PARTITIONS.labels(self._consumer).set(len(committed))
        async with self._db.connection() as connection:
            buried = await dead_letters.depth(connection, self._consumer)
        metrics.DEAD_LETTERS.labels(self._consumer).set(buried)
        metrics.CONSUMER_LAG.labels(self._consumer).set(await self._reader.behind(committed))

    def _age(self) -> float:
        return 0.0 if self._oldest is None else max(0.0, time.time() - self._oldest)
