"""A provider asked for less: all mailers are told, once for each burst of refusals."""

import asyncio
import logging
import time
from collections import defaultdict
from random import Random
from uuid import UUID

from common import metrics
from common.db.pool import TRANSIENT, Database

from delivery.db import budgets
from delivery.db.budgets import Key
from delivery.domain import limits
from delivery.domain.providers import OTHER
from delivery.smtp.route import Route
from delivery.use_cases.shaping import Shaping
from delivery.use_cases.ways import Ways

log = logging.getLogger(__name__)

# How long what was sent is looked back on, to know how much it was.
SPAN_S = 5.0
# Domains that share nothing but being unknown: one of them that greylists says nothing of the others.
OTHER_LEAST, OTHER_PART = 3, 0.2
RETRY_S = 1.0


class _Recent:
    """What became of messages in the span that is running and in the one before."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._before: tuple[float, int, int] = (0.0, 0, 0)
        self.taken = self.refused = 0
        self.took_some = False

    def turn(self, now: float) -> None:
        """Begin another span when this one is over."""
        if (age := now - self._began) >= SPAN_S:
            fresh = age < 2 * SPAN_S
            self._before = (age, self.taken, self.refused) if fresh else (0.0, 0, 0)
            self._began, self.taken, self.refused = now, 0, 0

    def rate(self, now: float) -> float:
        """Messages a second, refused ones too: that is what was too much."""
        seconds, taken, refused = self._before
        return (taken + refused + self.taken + self.refused) / max(1.0, seconds + now - self._began)

    def is_only_some(self) -> bool:
        """Whether few of many were refused."""
        _, taken, refused = self._before
        refused += self.refused
        return refused < OTHER_LEAST or refused < OTHER_PART * (taken + self.taken + refused)


class Slowing:
    """One mailer's record of what providers say to its speed."""

    def __init__(self, db: Database, ways: Ways, shaping: Shaping, rng: Random) -> None:
        self._db = db
        self._ways = ways
        self._shaping = shaping
        self._rng = rng
        self._recent: dict[tuple[UUID, str], _Recent] = defaultdict(lambda: _Recent(time.monotonic()))
        self._waiting: dict[Key, tuple[Route, float]] = {}
        self._asked = asyncio.Event()

    def accepted(self, route: Route, provider: str) -> None:
        """The provider took a message."""
        recent = self._recent[(route.id, provider)]
        recent.turn(time.monotonic())
        recent.taken += 1
        recent.took_some = True

    def asked_for_less(self, route: Route, provider: str, began_at: float) -> bool:
        """By code or words, to a message whose sending began at `began_at` (monotonic); whether it goes slower now."""
        recent = self._recent[(route.id, provider)]
        recent.turn(time.monotonic())
        recent.refused += 1
        if provider == OTHER and recent.is_only_some():
            return False
        key = (route.workspace_id, route.id, provider)
        self._waiting.setdefault(key, (route, began_at))
        self._shaping.hushed.add(key)
        self._asked.set()
        return True

    async def tell(self) -> None:
        """Tell all mailers, for ever; nothing goes to the provider from here until they know."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            for key, (route, began_at) in list(self._waiting.items()):
                try:
                    await self._slow_down(key, route, began_at)
                except TRANSIENT as error:
                    log.warning("cannot tell of a slow provider", extra={"error": type(error).__name__})
                    self._asked.set()
                    await asyncio.sleep(RETRY_S)
                    continue
                del self._waiting[key]
                self._shaping.hushed.discard(key)

    async def _slow_down(self, key: Key, route: Route, began_at: float) -> None:
        provider, now = key[2], time.monotonic()
        async with self._db.transaction() as tx:
            await budgets.ensure(tx, [key])
            held = await budgets.lock_one(tx, key)
            if held is None:
                return
            limit = limits.limit_of(route.limits, provider).per_second
            rate, recent = held.pace.rate(held.now, limit), self._recent[(route.id, provider)]
            if rate is None:
                rate = recent.rate(now) * max(1, held.mailers)
            began = held.now - (now - began_at)
            pace = held.pace.refused(held.now, began, rate, self._rng, took_some=recent.took_some)
            await budgets.store(tx, {key: pace})
        self._ways.budgets.add(key)
        recent.took_some = False
        if pace is not held.pace:
            metrics.SLOWED.labels(provider).inc()
            log.warning(
                "a provider asks for less",
                extra={"provider": provider, "route_id": str(route.id), "per_second": round(pace.base_rate, 3)},
            )
