"""How many to take at once: as many as are done in a moment, so that what is urgent never waits behind a long batch."""

MOMENT_S = 0.2
LEAST = 100


class BatchSize:
    """Follows how fast the work goes. At most halved or doubled by one batch: one slow commit says little.

    `most` and `least` bound it; a `most` below `least` stands as it is.
    """

    def __init__(self, most: int, *, moment_s: float = MOMENT_S, least: int = LEAST) -> None:
        self._most = most
        self._least = min(least, most)
        self._moment_s = moment_s
        self.now = most

    def took(self, n: int, seconds: float) -> None:
        """A batch of `n` took so long. A small one that was quick says nothing: its fixed costs are most of it."""
        if seconds <= self._moment_s and n < self.now:
            return
        wanted = int(n * self._moment_s / max(seconds, 1e-6))
        self.now = max(self._least, min(self._most, self.now * 2, max(self.now // 2, wanted)))
