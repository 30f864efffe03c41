"""Running one consumer: one poll = one transaction over all its sources."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from common.batch_size import BatchSize
from common.bus.port import Polled, Reader
from common.consumer import dead_letters, offsets
from common.consumer.batch import Applied, Batches, Decoded
from common.consumer.decode import Dead, described
from common.consumer.limit import MEMORY_S, DeadLetterLimit, TooManyDeadLetters
from common.consumer.meter import Meter
from common.consumer.subscription import Consumer
from common.consumer.tracing import process_span
from common.db.faults import of_the_schema, passes
from common.db.pool import Connection, Database
from common.db.schema import UnfitSchema

log = structlog.get_logger(__name__)

POLL_S = 1.0
REPLAY_EVERY_S = 2.0
ALIVE_EVERY_S = 0.5  # at most; an idle consumer says so after each poll, every POLL_S
HEARD_S = 1.0  # how lately the bus must have answered for a sign of life
SKIPPED_EVERY_S = 10.0
_BACKOFF_S = (0.1, 10.0)


class Runner:
    """One member of the consumer's group."""

    def __init__(
        self, consumer: Consumer, db: Database, reader: Reader, *, limit: DeadLetterLimit | None = None
    ) -> None:
        self.consumer = consumer
        self.batches = Batches(consumer)
        self._db = db
        self._reader = reader
        self._limit = limit or DeadLetterLimit(consumer.name)
        self._meter = Meter(consumer.name, db, reader)
        self._at: dict[str, int] = {}
        self._size = BatchSize(consumer.max_batch)
        self._failures = 0
        self._skipped_due = time.monotonic() + SKIPPED_EVERY_S
        self._replay_due = 0.0
        self._alive_due = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped, then finish the batch at hand. Raises TooManyDeadLetters and UnfitSchema."""
        measuring = asyncio.create_task(self._meter.run(), name=f"measure {self.consumer.name}")
        try:
            await self._run(stop)
        finally:
            measuring.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await measuring

    async def _run(self, stop: asyncio.Event) -> None:
        remembered = False
        while not stop.is_set():
            try:
                if not remembered:
                    await self._remember()
                    remembered = True
                await self.step(stop)
                self._failures = 0
            except offsets.Fenced:
                self._meter.retried("fenced")
                log.info("consumer_fenced", consumer=self.consumer.name)
                self._at.clear()
                await _pause(stop, random.uniform(0, 0.2))  # noqa: S311
            except Exception as error:
                if of_the_schema(error):
                    raise UnfitSchema(
                        f"{self.consumer.name} stops: {described(error)}", mend="migrate, or run the code that fits"
                    ) from error
                if not passes(error):
                    raise
                self._meter.retried("transient")
                self._failures += 1
                self._at.clear()
                most = min(_BACKOFF_S[0] * 2 ** min(self._failures, 10), _BACKOFF_S[1])
                wait = random.uniform(most / 2, most)  # noqa: S311
                log.warning(
                    "consumer_retries", consumer=self.consumer.name, error=described(error), again_in_s=round(wait, 2)
                )
                await _pause(stop, wait)

    async def _remember(self) -> None:
        """Remember what died lately, so that restarts do not hide a bad deploy."""
        async with self._db.connection() as connection:
            self._limit.count(0, await dead_letters.recent(connection, self.consumer.name, MEMORY_S))

    async def step(self, stop: asyncio.Event | None = None) -> int:
        """One poll and its transaction. Returns the number of records read."""
        await self._follow_assignment()
        polled = await self._poll(stop)
        self._meter.polled(polled)
        if polled:
            started = time.monotonic()
            await self._process(polled)
            took = time.monotonic() - started
            self._size.took(len(polled), took)
            self._meter.ended(polled, took)
        if time.monotonic() >= self._skipped_due:
            self._skipped_due = time.monotonic() + SKIPPED_EVERY_S
            await self._keep_skipped()
        if time.monotonic() >= self._replay_due:
            self._replay_due = time.monotonic() + REPLAY_EVERY_S
            await self._replay()
        if self.consumer.alive is not None and time.monotonic() >= self._alive_due:
            await self._say_alive(self.consumer.alive)
        return len(polled)

    async def _say_alive(self, alive: Callable[[Connection, str], Awaitable[None]]) -> None:
        if self._reader.silence_s() < HEARD_S:
            self._alive_due = time.monotonic() + ALIVE_EVERY_S
            async with self._db.transaction() as tx:
                await alive(tx, self.consumer.name)

    async def _follow_assignment(self) -> None:
        """Begin new sources, and those whose batch was rolled back, at the offsets in the database."""
        assigned = await self._reader.assignment()
        for source in self._at.keys() - assigned:
            del self._at[source]
        if new := assigned - (self._at.keys() & self._reader.positions().keys()):
            async with self._db.transaction() as tx:
                found = await offsets.load(tx, self.consumer.name, new)
            self._at.update(found)
            self._reader.seek(found)

    async def _poll(self, stop: asyncio.Event | None) -> list[Polled]:
        """Poll; a stop ends the waiting at once."""
        poll = asyncio.ensure_future(self._reader.poll(self._size.now, POLL_S))
        if stop is None:
            return await poll
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((poll, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not poll.done():
                poll.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await poll
        self._at.clear()
        return []

    async def _process(self, polled: Sequence[Polled]) -> None:
        with process_span(self.consumer.name, polled):
            positions = self._reader.positions()
            after = {source: max(positions.get(source, 0), last + 1) for source, last in _last(polled).items()}
            self._meter.began({source: self._at[source] for source in after})
            try:
                await self._commit(polled, after)
            except (offsets.Fenced, TooManyDeadLetters):
                raise
            except Exception as error:
                if passes(error) or of_the_schema(error):
                    raise
                log.warning("consumer_batch_failed", consumer=self.consumer.name, error=described(error))
                self._meter.retried("data")
                for source in after:
                    await self._divide([one for one in polled if one.source == source])

    async def _divide(self, polled: Sequence[Polled]) -> None:
        """Source by source, then half by half, down to the event that cannot be handled."""
        after = {source: last + 1 for source, last in _last(polled).items()}
        try:
            await self._commit(polled, after)
        except (offsets.Fenced, TooManyDeadLetters):
            raise
        except Exception as error:
            if passes(error) or of_the_schema(error):
                raise
            if len(polled) == 1:
                await self._bury(Dead(polled[0], described(error)), after)
                return
            middle = len(polled) // 2
            await self._divide(polled[:middle])
            await self._divide(polled[middle:])

    async def _commit(self, polled: Sequence[Polled], after: Mapping[str, int]) -> Applied:
        """Offsets, inbox, effects, outbox rows and dead letters: one transaction."""
        decoded = self.batches.decode(polled)
        if decoded.dead:
            self._limit.check(len(decoded.dead), decoded.dead[-1].error)
        async with self._db.transaction() as tx:
            await offsets.move(tx, self.consumer.name, self._at, after)
            applied = await self.batches.apply(tx, decoded)
        self._moved(after)
        self._count(applied)
        return applied

    async def _bury(self, dead: Dead, after: Mapping[str, int]) -> None:
        self._limit.check(1, dead.error)
        async with self._db.transaction() as tx:
            await offsets.move(tx, self.consumer.name, self._at, after)
            await dead_letters.bury(tx, self.consumer.name, [dead])
        self._moved(after)
        self._count(Applied(dead=[dead]))
        log.error(
            "event_dead",
            consumer=self.consumer.name,
            event_type=dead.polled.record.type,
            event_id=str(dead.polled.record.id),
            workspace_id=str(dead.polled.record.workspace_id),
            error=dead.error.split(":")[0],
        )

    def _moved(self, after: Mapping[str, int]) -> None:
        self._at.update(after)
        self._reader.committed(after)

    def _count(self, applied: Applied) -> None:
        self._limit.count(applied.handled + applied.duplicates, len(applied.dead))
        self._meter.count(applied)

    async def _keep_skipped(self) -> None:
        """Keep how far the reader went past what is not subscribed, so that a restart does not read it again."""
        positions = self._reader.positions()
        after = {source: at for source, at in positions.items() if at > self._at.get(source, at)}
        if after:
            async with self._db.transaction() as tx:
                await offsets.move(tx, self.consumer.name, self._at, after)
            self._moved(after)

    async def _replay(self) -> None:
        """Handle what `dead_letters.replay` asked for, one by one."""
        while True:
            async with self._db.transaction() as tx:
                claimed = await dead_letters.claim_requested(tx, self.consumer.name, 1)
                if not claimed:
                    return
                letter_id, polled = claimed[0]
                decoded = self.batches.decode([polled])
                error = decoded.dead[0].error if decoded.dead else None
                if error is None:
                    with process_span(self.consumer.name, [polled]):
                        error = await self._try(tx, decoded)
                if error is None:
                    await dead_letters.mark_replayed(tx, [letter_id])
                else:
                    await dead_letters.mark_failed(tx, letter_id, error)

    async def _try(self, tx: Connection, decoded: Decoded) -> str | None:
        """Handle within a savepoint; the error in one line, if it fails again."""
        await tx.execute("savepoint replay")
        try:
            await self.batches.apply(tx, decoded)
        except Exception as error:
            if passes(error) or of_the_schema(error):
                raise
            await tx.execute("rollback to savepoint replay")
            return described(error)
        return None


def _last(polled: Sequence[Polled]) -> dict[str, int]:
    return {one.source: one.offset for one in polled}


async def run_consumer(consumer: Consumer, db: Database, reader: Reader, stop: asyncio.Event) -> None:
    """Run one member of the consumer's group until stopped. Raises TooManyDeadLetters."""
    runner = Runner(consumer, db, reader)
    await runner.run(stop)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
