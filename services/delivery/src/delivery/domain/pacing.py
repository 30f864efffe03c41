"""How much one mailer sends to each provider at once: halved when the provider asks for less, grown by success."""

from dataclasses import dataclass

FIRST_PAUSE_S = 5.0
MOST_PAUSE_S = 300.0
GROW_AFTER = 20


@dataclass(slots=True)
class _Pace:
    limit: int
    under_way: int = 0
    paused_until: float = 0.0
    pause_s: float = 0.0
    good: int = 0


class Pacing:
    """Budgets by provider. Time is given by the caller (monotonic seconds)."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._paces: dict[str, _Pace] = {}

    def quotas(self, providers: tuple[str, ...], free: int, now: float) -> dict[str, int]:
        """How many more messages each provider may get now; providers without budget are left out."""
        found = {}
        for provider in providers:
            pace = self._paces.get(provider)
            budget = free if pace is None else min(free, pace.limit - pace.under_way)
            if budget > 0 and (pace is None or pace.paused_until <= now):
                found[provider] = budget
        return found

    def next_change(self, now: float) -> float | None:
        """When a paused provider may go on, if any is paused."""
        later = [pace.paused_until for pace in self._paces.values() if pace.paused_until > now]
        return min(later, default=None)

    def began(self, provider: str) -> None:
        """A message to this provider was marked."""
        self._pace(provider).under_way += 1

    def ended(self, provider: str) -> None:
        """Its outcome is known."""
        pace = self._pace(provider)
        pace.under_way = max(0, pace.under_way - 1)

    def accepted(self, provider: str) -> None:
        """The provider took a message."""
        pace = self._pace(provider)
        pace.good += 1
        pace.pause_s = 0.0
        if pace.good >= GROW_AFTER and pace.limit < self._most:
            pace.limit, pace.good = min(self._most, pace.limit * 2), 0

    def slow_down(self, provider: str, now: float) -> None:
        """The provider asked for less (421, 4.7.x). Replies that come together count once."""
        pace = self._pace(provider)
        if pace.paused_until > now:
            return
        pace.limit, pace.good = max(1, pace.limit // 2), 0
        pace.pause_s = min(max(FIRST_PAUSE_S, pace.pause_s * 2), MOST_PAUSE_S)
        pace.paused_until = now + pace.pause_s

    def _pace(self, provider: str) -> _Pace:
        return self._paces.setdefault(provider, _Pace(self._most))
