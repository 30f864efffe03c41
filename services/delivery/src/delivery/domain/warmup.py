"""A plan by which a sending domain becomes known: so many messages on its first day of sending, more on each next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from common.contracts.addresses import InvalidAddress, u_label

MOST_DAYS = 400
MOST_A_DAY = 100_000_000
# No provider publishes a schedule. Practice: 50 to 200 on the first day, 10 to 50 % more on each next, 2 to 8 weeks.
FIRST, GROWTH, DAYS = 50, 1.4, 28


def usual() -> list[int]:
    """The plan of whoever has none of their own: from 50 a day to some 440,000 in four weeks."""
    return [round(FIRST * GROWTH**n) for n in range(DAYS)]


@dataclass(frozen=True, slots=True)
class Plan:
    """How far a domain is. `number`: its how-manieth day of sending `day` is; `used`: what was sent on it."""

    daily: Sequence[int]
    number: int
    day: date
    used: int

    def on(self, today: date) -> "Plan":
        """The plan today. A day on which nothing was sent is not counted, and none is counted twice."""
        if today <= self.day:
            return self
        return replace(self, day=today, number=self.number + (1 if self.used else 0), used=0)

    @property
    def done(self) -> bool:
        """Whether there is no cap any more."""
        return self.number > len(self.daily)

    @property
    def cap(self) -> int | None:
        """How many messages on this day; None: as many as there are."""
        return None if self.done else self.daily[self.number - 1]

    @property
    def left(self) -> int | None:
        """How many more on this day."""
        return None if self.cap is None else max(0, self.cap - self.used)


def spellings(domain: str) -> list[str]:
    """The ways in which a sender's address may write the domain (an A-label), in lower case."""
    try:
        return list(dict.fromkeys((domain, u_label(domain))))
    except InvalidAddress:
        return [domain]
