"""When too much dies, the fault is the deploy, not the events: then the consumer stops."""

from collections import deque

from common.errors import BaridError

WINDOW = 1000
MOST = 100
MEMORY_S = 600.0


class TooManyDeadLetters(BaridError):
    """Too many events could not be handled; the consumer stops before it buries more."""

    code = "too_many_dead_letters"


class DeadLetterLimit:
    """At most `most` of the last `window` events may die."""

    def __init__(self, consumer: str, *, most: int = MOST, window: int = WINDOW) -> None:
        self._consumer = consumer
        self._most = most
        self._window = window
        self._runs: deque[tuple[int, int]] = deque()  # (good, dead), oldest first
        self._seen = 0
        self._dead = 0

    def check(self, dead: int, last_error: str = "") -> None:
        """Raises TooManyDeadLetters when `dead` more would be too many."""
        if dead and self._dead + dead > self._most:
            raise TooManyDeadLetters(
                f"{self._consumer} stops: {self._dead + dead} of the last {self._window} events could not be handled"
                f" (limit {self._most}); the last error: {last_error or 'see the dead letters'}",
                mend="mend the handler or the producer, start again, then replay: barid dlq replay",
                consumer=self._consumer,
            )

    def count(self, good: int, dead: int) -> None:
        """After the commit."""
        self._runs.append((good, dead))
        self._seen += good + dead
        self._dead += dead
        while self._runs and self._seen - sum(self._runs[0]) >= self._window:
            old_good, old_dead = self._runs.popleft()
            self._seen -= old_good + old_dead
            self._dead -= old_dead
