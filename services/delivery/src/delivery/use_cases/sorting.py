"""Where the mail of direct routes goes: found before it waits for a connection, so that a slow DNS keeps no worker."""

import asyncio
import logging
from datetime import timedelta
from random import Random

from common.clock import Clock
from common.contracts.addresses import InvalidAddress, normalise_address

from delivery.dns.resolver import DnsUnavailable
from delivery.domain.exchanges import NoMail, provider_behind
from delivery.use_cases.direct import RESTING, Direct
from delivery.use_cases.transmitting import wait_for
from delivery.use_cases.trials import Trials
from delivery.use_cases.window import Item, Window

log = logging.getLogger(__name__)


class Sorting:
    """One mailer's messages for direct routes, between the mark and the queue."""

    def __init__(
        self, window: Window, direct: Direct, trials: Trials, clock: Clock, rng: Random, retry_first: timedelta
    ) -> None:
        self._window = window
        self._direct = direct
        self._trials = trials
        self._clock = clock
        self._rng = rng
        self._retry_first = retry_first
        self._under_way: set[asyncio.Task[None]] = set()

    def take(self, item: Item) -> None:
        """A marked message goes to its domain's mail hosts, or its outcome is known."""
        self._window.hold(item)
        task = asyncio.create_task(self._sort(item))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _sort(self, item: Item) -> None:
        try:
            domain = normalise_address(item.row["email"]).rpartition("@")[2]
            found = await self._direct.find(domain)
        except InvalidAddress as error:
            self._end(item, "failed", klass="unsupported_address", text=str(error))
        except DnsUnavailable as error:
            self._end(item, "deferred", wait=self._wait(item), text=f"the DNS does not answer for {error}")
        except Exception:
            about = {"workspace_id": str(item.workspace_id), "message_id": str(item.id)}
            log.exception("a message's mail hosts could not be found", extra=about)
            self._end(item, "deferred", wait=self._wait(item))
        else:
            if isinstance(found, NoMail):
                self._end(item, "failed", klass=found.klass, enhanced=found.enhanced, text=found.text)
            elif (provider := provider_behind(domain, found.exchange)) != item.provider:
                # Marked against another's limits: it waits for its own turn.
                self._end(item, "pending", provider=provider)
            elif found.resting:
                self._end(item, "deferred", wait=self._wait(item), text=RESTING)
            elif wait := self._trials.wait(found):
                self._end(item, "pending", wait=wait)
            elif not item.dropped:
                item.destination = found
                self._window.release(item)

    def _end(self, item: Item, status: str, **details: object) -> None:
        """Unless it was given back meanwhile."""
        if not item.dropped:
            item.dropped = True
            self._window.settle(item, status, **details)

    def _wait(self, item: Item) -> timedelta:
        return wait_for(item, self._clock, self._rng, self._retry_first)
