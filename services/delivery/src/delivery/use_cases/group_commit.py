"""Opens and clicks into the outbox: many requests, one commit; each is answered when its event is durable.

If the database does not commit in time the answer goes out anyway, and the event waits here, within a bound.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field

from common import metrics
from common.contracts.email import EmailClickedV1, EmailOpenedV1
from common.db.pool import TRANSIENT, Database
from common.outbox.writer import Outgoing, record
from common.telemetry import batch_span
from opentelemetry.trace import SpanKind

from delivery.use_cases.tracing import SERVICE, Origins

log = logging.getLogger(__name__)

GATHER_S = 0.004
ANSWER_AFTER_S = 0.25
COMMIT_S = 5.0
RETRY_S = 0.5
MOST_WAITING = 50_000
MOST_PER_COMMIT = 2_000


@dataclass(slots=True)
class _Batch:
    answered: "asyncio.Future[bool]"
    events: list[Outgoing] = field(default_factory=list)


class GroupCommit:
    """Start it with `run`; `durable` adds an event and says whether it was committed in time."""

    def __init__(self, db: Database, most_waiting: int = MOST_WAITING) -> None:
        self._db = db
        self._origins = Origins(db)
        self._most = most_waiting
        self._gathering: _Batch | None = None
        self._batches: deque[_Batch] = deque()
        self._waiting = 0
        self._some = asyncio.Event()
        self._closing = False
        for contract in (EmailOpenedV1, EmailClickedV1):
            metrics.TRACKER_LOST.labels(contract.__name__)  # shown from the start, so that the first one is an increase

    async def durable(self, event: Outgoing) -> bool:
        """Add an event; True once it is committed, False if that takes longer than anybody should wait."""
        if self._waiting >= self._most:
            metrics.TRACKER_LOST.labels(type(event.data).__name__).inc()
            return False
        batch = self._gathering
        if batch is None or len(batch.events) >= MOST_PER_COMMIT:
            loop = asyncio.get_running_loop()
            batch = self._gathering = _Batch(loop.create_future())
            self._batches.append(batch)
            loop.call_later(ANSWER_AFTER_S, _answer, batch.answered, False)
            self._some.set()
        batch.events.append(event)
        self._waiting += 1
        return await asyncio.shield(batch.answered)

    async def run(self) -> None:
        """Commit until closed, and then what is left."""
        while True:
            if not self._batches:
                if self._closing:
                    return
                self._some.clear()
                await self._some.wait()
                continue
            if not self._closing:
                await asyncio.sleep(GATHER_S)
            await self._commit(self._batches[0])

    def close(self) -> None:
        """No more events come: `run` ends once all are committed."""
        self._closing = True
        self._some.set()

    async def _commit(self, batch: _Batch) -> None:
        if self._gathering is batch:
            self._gathering = None
        try:
            async with asyncio.timeout(COMMIT_S):
                origins = await self._origins.of_events(batch.events)
                with batch_span("track", origins, kind=SpanKind.PRODUCER, attributes=SERVICE, follows=False):
                    async with self._db.transaction() as tx:
                        await record(tx, batch.events)
        except TRANSIENT as error:
            # It may have committed all the same; the events' ids make a repetition harmless.
            metrics.TRACKER_WAITING.set(self._waiting)
            log.warning("tracked events wait for the database", extra={"error": type(error).__name__})
            await asyncio.sleep(RETRY_S)
            return
        except Exception:
            log.exception("tracked events cannot be stored together", extra={"n": len(batch.events)})
            self._single_out(batch)
            return
        self._batches.popleft()
        self._waiting -= len(batch.events)
        _answer(batch.answered, True)
        metrics.TRACKER_WAITING.set(self._waiting)

    def _single_out(self, batch: _Batch) -> None:
        """One event must not hold up all the others for ever: each by itself, and what cannot be stored is lost."""
        self._batches.popleft()
        if len(batch.events) == 1:
            self._waiting -= 1
            metrics.TRACKER_LOST.labels(type(batch.events[0].data).__name__).inc()
            _answer(batch.answered, False)
            return
        parts = [_Batch(batch.answered, [event]) for event in batch.events]
        self._batches.extendleft(reversed(parts))


def _answer(future: "asyncio.Future[bool]", value: bool) -> None:
    if not future.done():
        future.set_result(value)
