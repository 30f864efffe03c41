"""How far a relay has read, when ids are given out before commits.

A sequence hands out ids in order, but transactions commit in any order: an id below the highest one seen may
still appear. So every id that was passed over stays open (a gap) and is looked at in each round, together with
all above the highest. A gap is closed when every transaction that could have held an id in it has ended: whoever
inserts holds a RowExclusiveLock on the table from before it draws its first id until after its commit shows.
Ids that were read are never looked at again, so deleted rows cost nothing, even while an old snapshot keeps them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_MAX_GAPS = 512
FOREVER = 2**63 - 1


@dataclass(slots=True)
class Frontier:
    """One lane's reading position. `gaps` are inclusive ranges below `high`, ascending."""

    high: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    _noted: tuple[int, frozenset[str]] | None = None
    _ended: int | None = None

    def ranges(self) -> tuple[list[int], list[int]]:
        """What to look at: the gaps, then all above."""
        return [a for a, _ in self.gaps] + [self.high + 1], [b for _, b in self.gaps] + [FOREVER]

    def read(self, ids: Sequence[int], *, complete: bool) -> None:
        """Take note of one round's ids, ascending. `complete`: the round looked at everything it wanted to.

        An incomplete round saw all open ids up to its last one, and none beyond.
        """
        seen_to = FOREVER if complete else ids[-1] if ids else -1
        new = [i for i in ids if i > self.high]
        late = {i for i in ids if i <= self.high}
        if late:
            self.gaps = [piece for gap in self.gaps for piece in _without(gap, late)]
        if self._ended is not None and seen_to > self._ended:
            ended = self._ended
            self.gaps = [(max(a, ended + 1), b) for a, b in self.gaps if b > ended]
            self._ended = None
        for i in new:
            if i > self.high + 1:
                self.gaps.append((self.high + 1, i - 1))
            self.high = i
        while len(self.gaps) > _MAX_GAPS:
            self.gaps = [(first[0], second[1]) for first, second in _pairs(self.gaps)]

    def writers(self, now: Iterable[str]) -> None:
        """Take note of the transactions that hold the table now; asked for after a round was read."""
        now = frozenset(now)
        if self._noted is not None and not (self._noted[1] & now):
            # All who could fill these gaps have ended; the next complete round shows what they left.
            self._ended = self._noted[0]
            self._noted = None
        if self._noted is None and self.gaps and self._ended is None:
            self._noted = (self.high, now)


def _without(gap: tuple[int, int], found: set[int]) -> list[tuple[int, int]]:
    start, end = gap
    pieces = []
    for i in sorted(i for i in found if start <= i <= end):
        if i > start:
            pieces.append((start, i - 1))
        start = i + 1
    if start <= end:
        pieces.append((start, end))
    return pieces


def _pairs(gaps: list[tuple[int, int]]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    odd = gaps[-1:] if len(gaps) % 2 else []
    return list(zip(gaps[0::2], gaps[1::2], strict=False)) + [(gap, gap) for gap in odd]
