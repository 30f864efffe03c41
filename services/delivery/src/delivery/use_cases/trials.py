"""First connections to mail hosts of which nothing is known: made beside the workers, so that silence keeps none."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from delivery.dns.resolver import DnsUnavailable
from delivery.smtp.dialogue import Dialogue
from delivery.smtp.pool import Line, Pool
from delivery.use_cases.direct import HOSTS_S, Destination, Unreachable
from delivery.use_cases.window import Item, Window

# So many messages wait in the window for the same hosts.
MOST_WAITING = 3
# Until there is room to wait, or to try.
TRY_LATER = timedelta(seconds=1)

Failed = Callable[[Item, Unreachable | DnsUnavailable], None]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Trial:
    """One connection, and who waits for what it shows."""

    task: "asyncio.Task[None] | None" = None
    waiting: list[Item] = field(default_factory=list)
    began_at: float = field(default_factory=time.monotonic)


class Trials:
    """One mailer's: one at a time for the same hosts. A connection that stands is the workers' then."""

    def __init__(self, window: Window, pool: Pool) -> None:
        self._window = window
        self._pool = pool
        self._most = max(1, window.size // 2)
        self._under_way: dict[frozenset[str], _Trial] = {}
        self._turn = 0.0

    def wait(self, destination: Destination) -> timedelta:
        """How long a message should wait elsewhere, as enough of the window waits for unknown hosts; 0: it need not.

        For the same hosts, as long as they have been silent. For others, as if trials took a second: if all came back
        at once, most would be marked in vain again.
        """
        if destination.proven:
            return timedelta(0)
        there = [item.destination for item in self._window.waiting() if item.destination is not None]
        unknown = [one.hosts for one in there if not one.proven]
        now = time.monotonic()
        if unknown.count(destination.hosts) >= MOST_WAITING:
            trial = self._under_way.get(destination.hosts)
            return max(TRY_LATER, timedelta(seconds=now - trial.began_at if trial is not None else 0.0))
        if len(unknown) < self._most:
            return timedelta(0)
        self._turn = min(max(self._turn, now) + 1 / self._most, now + HOSTS_S)
        return TRY_LATER + timedelta(seconds=self._turn - now)

    def begin(self, item: Item, destination: Destination, failed: Failed) -> None:
        """It waits until its hosts are known to work, or has `failed`. Its line has room for a connection."""
        line = item.line
        trial = self._under_way.get(destination.hosts)
        if trial is not None:
            trial.waiting.append(item)
        elif self._has_room(line):
            trial = self._under_way[destination.hosts] = _Trial(waiting=[item])
            dialogue = self._pool.try_out(item.route, line)
            trial.task = asyncio.create_task(self._try(trial, dialogue, line, destination, failed))
        else:
            self._window.give_back(item, TRY_LATER)
        self._window.unpark(line)

    async def close(self) -> None:
        """Give up what is under way: nobody waits for it any more."""
        tasks = [trial.task for trial in self._under_way.values() if trial.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _try(
        self, trial: _Trial, dialogue: Dialogue, line: Line, destination: Destination, failed: Failed
    ) -> None:
        failure: Unreachable | DnsUnavailable | None = None
        try:
            await self._pool.prove(dialogue, destination, self._window.shaping.most(line), HOSTS_S)
        except (Unreachable, DnsUnavailable) as error:
            failure = error
        except Exception:
            log.exception("mail hosts could not be tried")
            failure = Unreachable("the domain's mail hosts could not be tried")
        finally:
            self._pool.give(dialogue)
            del self._under_way[destination.hosts]
        for item in trial.waiting:
            if item.dropped:
                continue
            if failure is None:
                self._window.enqueue(item)
            else:
                item.dropped = True
                failed(item, failure)
        self._window.unpark(line)

    def _has_room(self, line: Line) -> bool:
        """Of a limited number of connections, half are for hosts that work."""
        most = self._window.shaping.most(line)
        mine = most is None or self._pool.trials(line) < max(1, most // 2)
        return mine and len(self._under_way) < self._most
