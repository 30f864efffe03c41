"""The mailer's work: mark, send, record, over and over, with at most W messages under its intents."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from common import metrics
from common.clock import Clock
from common.db.pool import TRANSIENT, Database
from common.egress import Network
from common.sealing import Sealer
from common.telemetry import batch_span
from opentelemetry.trace import SpanKind

from delivery import events
from delivery.db import budgets, marks
from delivery.domain.providers import PROVIDERS
from delivery.smtp.pool import Pool, line_of
from delivery.smtp.route import Route
from delivery.use_cases.composing import Composer
from delivery.use_cases.direct import Direct
from delivery.use_cases.lease import RENEW_EVERY_S, RETRY_EVERY_S, Lease
from delivery.use_cases.record_outcomes import count, record_one_by_one, record_outcomes
from delivery.use_cases.shaping import Shaping
from delivery.use_cases.slowing import Slowing
from delivery.use_cases.sorting import Sorting
from delivery.use_cases.tracing import SERVICE
from delivery.use_cases.transmitting import Transmitter
from delivery.use_cases.trials import Trials
from delivery.use_cases.ways import Ways
from delivery.use_cases.window import FLUSH_AFTER_S, Item, Window

log = logging.getLogger(__name__)

IDLE_S = 0.25
PATROL_S = 1.0
STALE_S = 10.0
IDLE_CONNECTION_S = 20.0
SCARCE_CONNECTION_S = 2.0
LEAST_IDLE_S = 0.02


@dataclass(frozen=True, slots=True)
class SendingOptions:
    """How a mailer works. `networks`: private ones in which the hosts of routes may be; `direct`: None without such."""

    name: str
    window: int = 64
    connections: int = 8
    messages_per_connection: int = 200
    dot_timeout_s: float = 600.0
    retry_first: timedelta = timedelta(seconds=60)
    networks: Sequence[Network] = ()
    direct: Direct | None = None


class Mailer:
    """One mailer process. `run` returns when everything marked has its outcome in the ledger.

    `route`: the platform's own, for workspaces that have none. `calendar`: says which day it is for warm-up plans;
    the database's clock without it.
    """

    def __init__(
        self,
        db: Database,
        route: Route,
        composer: Composer,
        options: SendingOptions,
        clock: Clock,
        rng: Random,
        sealer: Sealer | None = None,
        calendar: Clock | None = None,
    ) -> None:
        self._db = db
        self._options = options
        self.lease = Lease(db, options.name)
        self.ways = Ways(db, route, sealer, options.networks, rng, direct=options.direct is not None)
        self.pool = Pool(min(options.connections, options.window), options.dot_timeout_s)
        self._shaping = Shaping(self.ways, self.pool, calendar)
        self._slowing = Slowing(db, self.ways, self._shaping, rng)
        self.window = Window(options.window, self._shaping)
        self._trials = Trials(self.window, self.pool)
        self._sorting = None
        if options.direct is not None:
            self._sorting = Sorting(self.window, options.direct, self._trials, clock, rng, options.retry_first)
        shared = (self.pool, self.window, self._slowing, self._trials, self.lease, composer, options, clock, rng)
        self._transmitters = [Transmitter(db, self.ways, *shared) for _ in range(self.pool.most)]
        self._stopping = False
        self._in_doubt = False
        self._closed = asyncio.Event()
        self._seconds = {provider: metrics.SEND_SECONDS.labels(provider) for provider in PROVIDERS}
        for provider in PROVIDERS:
            metrics.SENDS.labels("sent", "", provider)
            metrics.SLOWED.labels(provider)
        metrics.DKIM_FAILURES.labels("delivery")

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`; then give back what has not begun, finish what has, and record it all."""
        while not await self.lease.renew():
            if await _wait(stop, RETRY_EVERY_S):
                return
        await self.ways.refresh()
        tasks = [
            _task(self._keep_lease()),
            _task(self._patrol()),
            _task(self._record()),
            _task(self.ways.keep_fresh()),
            _task(self._slowing.tell()),
        ]
        feeder = _task(self._feed())
        workers = [_task(transmitter.run()) for transmitter in self._transmitters]
        await _first(stop, [*tasks, feeder, *workers])
        self._stopping = True
        self.window.freed.set()
        await asyncio.gather(feeder, return_exceptions=True)
        for item in self.window.waiting():
            self.window.give_back(item)
        for transmitter in self._transmitters:
            transmitter.finish()
        await asyncio.gather(*workers, return_exceptions=True)
        await self._trials.close()
        while self.window.items:
            self.window.freed.clear()
            await self.window.freed.wait()
        await self.pool.close_idle(0)
        self._closed.set()
        self.window.recorded.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._in_doubt:
            with contextlib.suppress(*TRANSIENT):
                await self._settle_doubt()
        with contextlib.suppress(*TRANSIENT):
            async with self._db.connection() as connection:
                await budgets.leave(connection, self.lease.mailer_id)
        await self.lease.leave()
        for task in (feeder, *workers, *tasks):
            if not task.cancelled() and task.exception() is not None:
                raise task.exception() or RuntimeError

    async def _feed(self) -> None:
        while not self._stopping:
            if not self.lease.may_write(self.lease.epoch):
                await asyncio.sleep(IDLE_S)
                continue
            free = self.window.free
            if free < self.window.batch and self.window.items:
                self.window.freed.clear()
                await self.window.freed.wait()
                continue
            try:
                self.window.freed.clear()
                taken = await self._take(free)
            except TRANSIENT as error:
                log.warning("cannot mark messages", extra={"error": type(error).__name__})
                self._in_doubt = True
                await asyncio.sleep(RETRY_EVERY_S)
                continue
            if not taken:
                # What is limited may have room again as soon as something is done with.
                await asyncio.sleep(LEAST_IDLE_S)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.window.freed.wait(), IDLE_S)

    async def _take(self, limit: int) -> int:
        epoch = self.lease.epoch
        if self._in_doubt:
            await self._settle_doubt()
        async with self._db.transaction() as tx:
            marked = await self._shaping.take(tx, self.lease.mailer_id, epoch, limit)
            suppressed = [one.row for one in marked if one.route is None]
            await events.statuses(tx, suppressed)
        count(suppressed)
        now = time.monotonic()
        for one in marked:
            if one.route is not None:
                row = one.row
                item = Item(
                    row["workspace_id"],
                    row["id"],
                    row["mailing_id"],
                    row["attempt"],
                    epoch,
                    row["provider"],
                    now,
                    row,
                    one.route,
                    line_of(one.route, one.bucket),
                    one.at,
                    one.day,
                    traceparent=row["traceparent"],
                )
                if self._sorting is not None and one.route.direct:
                    self._sorting.take(item)
                else:
                    self.window.put(item)
        return len(marked)

    async def _settle_doubt(self) -> None:
        """Give back what a commit without an answer may have marked: nothing of it was begun."""
        known = [item.id for item in self.window.items.values()]
        async with self._db.transaction() as tx:
            await marks.give_back_unknown(tx, self.lease.mailer_id, self.lease.epoch, known)
        self._in_doubt = False

    async def _record(self) -> None:
        """Write outcomes as they come. While the database is away they wait here, and the window with them."""
        window = self.window
        while not (self._closed.is_set() and not window.outcomes):
            if not window.outcomes:
                window.recorded.clear()
                await window.recorded.wait()
            if not self._stopping:
                # A moment for more to come: a commit costs the same for one as for twenty.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(window.full.wait(), FLUSH_AFTER_S)
            by_epoch: dict[int, list[tuple[Item, Any]]] = {}
            for entry in window.take_outcomes():
                by_epoch.setdefault(entry[0].epoch, []).append(entry)
            for epoch, entries in by_epoch.items():
                await self._record_batch(epoch, entries)

    async def _record_batch(self, epoch: int, entries: list[tuple[Item, Any]]) -> None:
        batch = [outcome for _, outcome in entries]
        traces = [item.traceparent for item, _ in entries]
        write = record_outcomes
        while batch:
            try:
                with batch_span("record outcomes", traces, kind=SpanKind.INTERNAL, attributes=SERVICE):
                    await write(self._db, self.lease.mailer_id, epoch, batch)
            except TRANSIENT as error:
                log.warning("outcomes wait for the database", extra={"n": len(batch), "error": type(error).__name__})
                await asyncio.sleep(RETRY_EVERY_S)
            except Exception:
                if write is record_one_by_one:
                    log.exception("an outcome cannot be written; it is kept and tried again")
                    await asyncio.sleep(RETRY_EVERY_S * 5)
                write = record_one_by_one
            else:
                break
        self.window.committed(entries)
        now = time.monotonic()
        for item, outcome in entries:
            if outcome.status != "pending":
                self._seconds[item.provider].observe(now - item.marked_at)

    async def _keep_lease(self) -> None:
        while True:
            renewed = await self.lease.renew()
            if not renewed and self.lease.must_close():
                self._close_sockets()
            started = time.monotonic()
            while time.monotonic() - started < (RENEW_EVERY_S if renewed else RETRY_EVERY_S):
                await asyncio.sleep(0.5)
                if self.lease.must_close():
                    self._close_sockets()
                    break

    def _close_sockets(self) -> None:
        for item in self.window.waiting():
            self.window.give_back(item)
        self.pool.abort()

    async def _patrol(self) -> None:
        """Give back what waits for a connection when its campaign stopped, or when it waited too long."""
        while True:
            await asyncio.sleep(PATROL_S)
            await self.pool.close_idle(IDLE_CONNECTION_S, self._shaping.scarce(), SCARCE_CONNECTION_S)
            now = time.monotonic()
            waiting = self.window.waiting()
            if not waiting:
                continue
            stopped: set[tuple[UUID, UUID]] = set()
            try:
                async with self._db.connection() as connection:
                    keys = list({(item.workspace_id, item.mailing_id) for item in waiting})
                    stopped = await marks.stopped(connection, keys)
            except TRANSIENT:
                pass
            for item in self.window.waiting():
                if (
                    now - item.marked_at > STALE_S
                    or item.epoch != self.lease.epoch
                    or (item.workspace_id, item.mailing_id) in stopped
                ):
                    self.window.give_back(item)


def _task(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    return asyncio.create_task(work)


async def _first(stop: asyncio.Event, tasks: "list[asyncio.Task[None]]") -> None:
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
