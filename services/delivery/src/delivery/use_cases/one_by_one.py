"""One connection at a time, for mail outside the ledger: within what its route may carry, as all mailers keep it.

Where connections are limited it is leased as a mailer's are, so that the mailers leave it out of theirs.
"""

import asyncio
import time
from uuid import UUID

import aiosmtplib
from common.db.pool import Database

from delivery.db import budgets
from delivery.db.budgets import Key
from delivery.dns.resolver import DnsUnavailable
from delivery.domain import limits
from delivery.domain.pacing import Pace
from delivery.smtp.dialogue import Dialogue, Result
from delivery.smtp.route import CONNECT_S, GUARDED_CONNECT_S, Route
from delivery.use_cases.direct import Destination
from delivery.use_cases.lease import RENEW_EVERY_S, Lease
from delivery.use_cases.transmitting import why
from delivery.use_cases.ways import Ways

DOT_S = 120.0


class OneByOne:
    """A connection over a route, made when it is needed. `most`: messages on one, where the route says nothing."""

    def __init__(self, db: Database, ways: Ways, name: str, most: int) -> None:
        self._db = db
        self._ways = ways
        self._most = most
        self._lease = Lease(db, name)
        self._renewing: asyncio.Task[None] | None = None
        self._leased: Key | None = None
        self._line: tuple[UUID, int, str] | None = None
        self._dialogue: Dialogue | None = None

    async def open(self, route: Route, bucket: str, provider: str, destination: Destination | None = None) -> bool:
        """Whether one message may go over this route now; waits for its slot. Raises as `Route.connect`.

        `destination`: the mail hosts it goes to, on a direct route; raises as `Destination.connect` then.
        """
        if not await self._connected(route, bucket, destination):
            return False
        slot = await self._slot(route, bucket, provider)
        if slot is None:
            return False
        await asyncio.sleep(max(0.0, slot - time.monotonic()))
        return True

    async def send(self, sender: str, recipient: str, body: bytes) -> Result:
        """One message, after `open` said that it may go."""
        if self._dialogue is None:
            raise RuntimeError("nothing is open")
        return await self._dialogue.send(sender, recipient, body, lambda: True)

    async def close(self) -> None:
        """Say goodbye; the others may have the connection."""
        if self._dialogue is not None:
            await self._dialogue.quit()
        self._dialogue = self._line = None
        if self._leased is not None:
            async with self._db.transaction() as tx:
                await budgets.lease(tx, self._lease.mailer_id, self._lease.epoch, {self._leased: 0})
            self._leased = None

    async def leave(self) -> None:
        """Close for good."""
        if self._dialogue is not None:
            await self._dialogue.quit()
        if self._renewing is not None:
            self._renewing.cancel()
            await self._lease.leave()

    async def _connected(self, route: Route, bucket: str, destination: Destination | None) -> bool:
        line = (route.id, route.revision, bucket)
        most = limits.limit_of(route.limits, bucket).messages_per_connection or self._most
        dialogue = self._dialogue
        fits = dialogue is not None and (destination is None or dialogue.host in destination.hosts)
        if dialogue is not None and fits and dialogue.connected and line == self._line and dialogue.carried < most:
            return True
        await self.close()
        if not await self._leave_to_connect(route, bucket):
            return False
        dialogue = Dialogue(destination or route, DOT_S)
        try:
            await dialogue.connect(CONNECT_S if route.allowed is None else GUARDED_CONNECT_S)
        except (aiosmtplib.SMTPException, OSError, ValueError, DnsUnavailable) as error:
            self._ways.failed(route, why(error))
            await self.close()
            raise
        self._ways.worked(route)
        self._dialogue, self._line = dialogue, line
        return True

    async def _leave_to_connect(self, route: Route, bucket: str) -> bool:
        cap = limits.limit_of(route.limits, bucket).connections
        if cap is None:
            return True
        if not await self._lease.renew():
            return False
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._keep_lease())
        key = (route.workspace_id, route.id, bucket)
        async with self._db.transaction() as tx:
            if await budgets.lock_one(tx, key) is None:
                return False
            if (await budgets.connections(tx, self._lease.mailer_id)).get(key, 0) >= cap:
                return False
            await budgets.lease(tx, self._lease.mailer_id, self._lease.epoch, {key: 1})
        self._leased = key
        return True

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            await self._lease.renew()

    async def _slot(self, route: Route, bucket: str, provider: str) -> float | None:
        """When it may begin (monotonic); None: not soon. A provider that asked for less is asked for less here too."""
        keys = sorted({(route.workspace_id, route.id, one) for one in (bucket, provider)} & self._ways.budgets)
        paces: dict[Key, Pace] = {}
        begin = time.monotonic()
        if not keys:
            return begin
        async with self._db.transaction() as tx:
            for key in keys:
                held = await budgets.lock_one(tx, key)
                if held is None:
                    continue
                if held.pace.paused_until > held.now:
                    return None
                rate = held.pace.rate(held.now, limits.limit_of(route.limits, key[2]).per_second)
                if rate is None:
                    continue
                if not held.pace.slots(held.now, rate):
                    return None
                paces[key], (slot,) = held.pace.taken(held.now, rate, 1)
                begin = max(begin, time.monotonic() + slot - held.now)
            if paces:
                await budgets.store(tx, paces)
        return begin
