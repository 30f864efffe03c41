"""A mailer's lease: kept in the database by its clock, trusted here only by the monotonic clock."""

import asyncio
import time
from uuid import UUID

from common.db.pool import TRANSIENT, Database
from common.ids import new_id

from delivery.db import mailers

RENEW_EVERY_S = 5.0
RETRY_EVERY_S = 1.0
# The lease counts from before the renewal was asked for. No new command after START_S without renewal, and the
# sockets are closed at CLOSE_S: before the database lets anybody else conclude anything.
START_S = 20.0
CLOSE_S = mailers.LEASE_S - 3.0


class Lease:
    """The right to send. `may_write` is asked before each MAIL, DATA and body."""

    def __init__(self, db: Database, name: str) -> None:
        self._db = db
        self._name = name
        self.mailer_id: UUID = new_id()
        self.epoch = 0
        self._renewed = float("-inf")

    def may_write(self, epoch: int) -> bool:
        """Whether what was marked under this epoch may still begin something: never after the epoch has ended."""
        return epoch == self.epoch and time.monotonic() - self._renewed < START_S

    def must_close(self) -> bool:
        """Whether the lease is about to end."""
        return time.monotonic() - self._renewed >= CLOSE_S

    async def renew(self) -> bool:
        """Renew, or take a new epoch when the lease has ended; False when the database does not answer."""
        asked = time.monotonic()
        try:
            async with asyncio.timeout(4), self._db.connection() as connection:
                if self.epoch and await mailers.renew(connection, self.mailer_id, self.epoch):
                    self._renewed = asked
                    return True
                if self.epoch and not self.must_close():
                    # Fenced while we still believed: nothing begins any more, and the sockets close first.
                    self._renewed = float("-inf")
                    return False
                self.epoch = await mailers.register(connection, self.mailer_id, self._name)
                self._renewed = asked
                return True
        except TRANSIENT:
            return False

    async def leave(self) -> None:
        """Give the lease back; the database may be away."""
        try:
            async with asyncio.timeout(4), self._db.connection() as connection:
                await mailers.leave(connection, self.mailer_id, self.epoch)
        except TRANSIENT:
            return
