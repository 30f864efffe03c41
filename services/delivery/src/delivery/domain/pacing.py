"""How fast a route may send to a provider: slots that all mailers share, fewer after the provider asked for less.

A limit of r messages a second is a row of slots, 1/r apart. A mailer takes the next ones and sends a message in each;
a slot that was missed is gone. So whoever takes them, and however many mailers there are, no span of T seconds has
more than r·(T + LATE_S) + 1 messages, and none is lost by it. Times are seconds by the database's clock.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from uuid import UUID

# Slots are taken this long before their time, and are good for so long after it.
AHEAD_S = 0.5
LATE_S = 0.2

FIRST_PAUSE_S = 5.0
MOST_PAUSE_S = 300.0
# A refusal so soon after a pause, with nothing taken in between, means that the pause was too short.
SOON_S = 30.0
# From half of the rate that was refused back to all of it.
GROW_S = 300.0
LEAST_RATE = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """What is kept of a (route, provider). `ceiling`: the rate that was refused; None while nothing is.

    `base_rate`: the rate after the pause, from which it grows by a fixed step until it is the ceiling again.
    """

    next_slot: float = 0.0
    ceiling: float | None = None
    base_rate: float = 0.0
    refused_at: float = 0.0
    paused_until: float = 0.0
    pause_s: float = 0.0

    def rate(self, now: float, limit: float | None) -> float | None:
        """Messages a second now; None: as many as there are."""
        if self.ceiling is None:
            return limit
        grown = self.base_rate + self.ceiling / 2 * max(0.0, now - self.paused_until) / GROW_S
        if grown >= self.ceiling:
            return limit
        return grown if limit is None else min(limit, grown)

    def slots(self, now: float, rate: float) -> int:
        """How many slots there are to take."""
        if self.paused_until > now:
            return 0
        ahead = now + AHEAD_S - max(self.next_slot, now)
        return 0 if ahead < 0 else 1 + math.floor(ahead * rate)

    def left(self, now: float) -> float:
        """The part of what can be taken now that is not taken: 1 all, 0 nothing."""
        if self.paused_until > now:
            return 0.0
        return 1.0 - min(1.0, max(0.0, self.next_slot - now) / AHEAD_S)

    def taken(self, now: float, rate: float, n: int) -> tuple["Pace", list[float]]:
        """The pace after n slots were taken, and their times."""
        first = max(self.next_slot, now)
        return replace(self, next_slot=first + n / rate), [first + i / rate for i in range(n)]

    def refused(self, now: float, began: float, rate: float, rng: Random, *, took_some: bool = False) -> "Pace":
        """The pace after the provider asked for less, of a message that began to be sent at `began`.

        `rate`: what is being sent now; `took_some`: it took messages since it last refused one. Refusals that come
        together, or of messages begun before the last one was known, are one.
        """
        if self.paused_until > now or (self.refused_at and began <= self.refused_at):
            return self
        soon = not took_some and self.pause_s > 0 and now - self.paused_until < SOON_S
        pause = min(self.pause_s * 2, MOST_PAUSE_S) if soon else FIRST_PAUSE_S
        limited = self.ceiling is not None and self.rate(now, None) is not None
        ceiling = max(rate, LEAST_RATE * 2, self.ceiling if limited and self.ceiling else 0.0)
        return replace(
            self,
            ceiling=ceiling,
            base_rate=max(rate / 2, LEAST_RATE),
            refused_at=now,
            pause_s=pause,
            paused_until=now + pause * rng.uniform(0.75, 1.25),
        )


class Shares:
    """Whose turn it is, by weight: each gets its part of every run, and nobody catches up on what it missed."""

    def __init__(self) -> None:
        self._credit: dict[UUID, float] = {}

    def next(self, weights: Mapping[UUID, int]) -> UUID:
        """Who is furthest behind its share."""
        return max(weights, key=lambda one: (self._credit.get(one, 0.0), weights[one]))

    def gave(self, weights: Mapping[UUID, int], one: UUID, n: int) -> None:
        """`one` of these got n."""
        total = sum(weights.values())
        for other, weight in weights.items():
            self._credit[other] = self._credit.get(other, 0.0) + n * weight / total
        self._credit[one] -= n

    def keep(self, known: set[UUID]) -> None:
        """Forget all others."""
        self._credit = {one: credit for one, credit in self._credit.items() if one in known}
