"""Open connections between messages, by what they may carry."""

import time
from collections import Counter
from typing import Protocol
from uuid import UUID

from delivery.smtp.dialogue import Dialogue, Target
from delivery.smtp.route import Route

# Mail of direct routes goes to many hosts, and a connection to one is of no use for another: more may stand idle.
HOSTS_FOR_EACH = 4
# A route in one revision, and whose limit on connections it counts against.
Line = tuple[UUID, int, str]


class AnyOf(Target, Protocol):
    """Hosts of which any will do."""

    @property
    def hosts(self) -> frozenset[str]:
        """Their names."""


def line_of(route: Route, bucket: str) -> Line:
    """The connections that a message over this route may use."""
    return (route.id, route.revision, bucket)


class Pool:
    """At most `most` connections stand, those in use included; on direct routes some more that are not."""

    def __init__(self, most: int, dot_timeout_s: float) -> None:
        self.most = most
        self._dot_timeout_s = dot_timeout_s
        self._idle: list[tuple[float, Line, Dialogue]] = []
        self._busy: dict[Dialogue, Line] = {}
        self._tried: dict[Dialogue, Line] = {}
        self.in_use: Counter[Line] = Counter()

    def idle(self, line: Line) -> int:
        """How many stand and wait."""
        return sum(one == line for _, one, _ in self._idle)

    def open(self, line: Line) -> int:
        """How many stand, or are being made: those of the route before it was changed count too."""
        return self.used(line) + sum(_same(one, line) for _, one, _ in self._idle)

    def used(self, line: Line) -> int:
        """How many of them are in use."""
        return sum(n for one, n in self.in_use.items() if _same(one, line))

    async def take(
        self, route: Route, line: Line, destination: AnyOf | None = None, most: int | None = None
    ) -> Dialogue:
        """The connection of a line that was used last, or a new one that is not connected yet.

        With a destination, it is one to any of its hosts, and no more than `most` of the line stand beside it.
        """
        found: Dialogue | None = None
        for at in range(len(self._idle) - 1, -1, -1):
            _, one, idle = self._idle[at]
            if one == line and (destination is None or idle.host in destination.hosts):
                found = self._idle.pop(at)[2]
                break
        dialogue = found or Dialogue(route, self._dot_timeout_s)
        if destination is not None:
            dialogue.target = destination
        self._busy[dialogue] = line
        self.in_use[line] += 1
        if found is None:
            await self._make_room(line, destination, most)
        return dialogue

    def try_out(self, route: Route, line: Line) -> Dialogue:
        """A connection to hosts of which nothing is known, to be made with `prove` and given back.

        It counts against its line, and takes no worker's place.
        """
        dialogue = Dialogue(route, self._dot_timeout_s)
        self._tried[dialogue] = line
        self.in_use[line] += 1
        return dialogue

    def trials(self, line: Line) -> int:
        """How many connections of a line are being tried out."""
        return sum(_same(one, line) for one in self._tried.values())

    async def prove(self, dialogue: Dialogue, destination: AnyOf, most: int | None, timeout_s: float) -> None:
        """Connect; no more than `most` of the line stand beside it. Raises what the destination does."""
        await self._make_room(self._tried[dialogue], destination, most)
        dialogue.target = destination
        await dialogue.connect(timeout_s)

    def give(self, dialogue: Dialogue) -> None:
        """The message is done with, or the trial."""
        line = self._busy.pop(dialogue) if dialogue in self._busy else self._tried.pop(dialogue)
        self.in_use[line] -= 1
        if dialogue.connected:
            self._idle.append((time.monotonic(), line, dialogue))

    async def _make_room(self, line: Line, destination: AnyOf | None, most: int | None) -> None:
        surplus = [one for one in self._idle if _same(one[1], line)]
        if destination is not None:
            surplus = surplus[: max(0, self.open(line) - most)] if most is not None else []
        standing = self.most if destination is None else self.most * HOSTS_FOR_EACH
        if not surplus and len(self._busy) + len(self._idle) > standing:
            surplus = self._idle[:1]
        self._idle = [one for one in self._idle if one not in surplus]
        for _, _, other in surplus:
            await other.quit()

    async def close_idle(self, seconds: float, scarce: frozenset[Line] = frozenset(), scarce_s: float = 0.0) -> None:
        """Close what waited so long; connections that others may want, sooner."""
        now = time.monotonic()
        late = [one for one in self._idle if now - one[0] > (scarce_s if one[1] in scarce else seconds)]
        self._idle = [one for one in self._idle if one not in late]
        for _, _, dialogue in late:
            await dialogue.quit()

    def abort(self) -> None:
        """Close every socket now, whatever is under way."""
        for _, _, dialogue in self._idle:
            dialogue.abort()
        for dialogue in self._busy:
            dialogue.abort()
        self._idle = []


def _same(one: Line, other: Line) -> bool:
    """Whether two lines differ in the route's revision at most: the server does not know of revisions."""
    return one[0] == other[0] and one[2] == other[2]
