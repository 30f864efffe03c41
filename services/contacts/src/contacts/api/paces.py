"""How often something may come in a minute: counted in this process alone, so that it costs no write and keeps nothing.

It keeps a flood from the database. Each process lets through as much.
"""

import time

MOST_SUBJECTS = 100_000


class Pace:
    """So many of a subject in a minute."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._minute = 0
        self._used: dict[object, int] = {}

    def exceeded(self, subject: object) -> bool:
        """Count one more; whether it is too many. Of more subjects than can be remembered, new ones wait."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._used = minute, {}
        used = self._used.get(subject, 0) + 1
        if used == 1 and len(self._used) >= MOST_SUBJECTS:
            return True
        self._used[subject] = used
        return used > self.most
