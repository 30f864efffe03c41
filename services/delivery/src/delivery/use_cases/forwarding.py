"""Sending people's answers on. Rather twice than never: a connection lost after the dot is tried again.

An answer goes as other mail of its workspace does: over the workspace's own routes where it has some, within what they
may carry, and not to an address that the workspace must not write to.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiosmtplib
import asyncpg
from common import metrics
from common.contracts.addresses import InvalidAddress, normalise_address
from common.db.pool import TRANSIENT, Database

from delivery.db import blocks, forwards, set_aside
from delivery.dns.resolver import DnsUnavailable
from delivery.domain import limits, smtp_replies
from delivery.domain.addressed import Addressed, addressed
from delivery.domain.exchanges import NoMail, provider_behind
from delivery.domain.forwarding import forwarded
from delivery.smtp.dialogue import Replied, TooLarge, UnsafeAddress
from delivery.smtp.route import PLATFORM, Route
from delivery.use_cases.direct import Destination, Direct
from delivery.use_cases.intake import NOT_FORWARDED
from delivery.use_cases.one_by_one import OneByOne
from delivery.use_cases.ways import Ways

log = logging.getLogger(__name__)

BATCH = 10
IDLE_S = 2.0
NO_ROOM = timedelta(seconds=1)
BACKOFF_FIRST = timedelta(seconds=30)
BACKOFF_MOST = timedelta(hours=2)
GIVE_UP_AFTER = timedelta(days=5)
NULL_SENDER = ""  # so that nothing answers, and nothing bounces back


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Of one answer: sent; refused for good, and why; or to be tried again. `tried`: it met a server."""

    sent: bool = False
    refused: str = ""
    tried: bool = True


class _NoMail(Exception):
    """The recipient's domain takes no mail."""


class Forwarder:
    """Sends on what is due. `pepper` keys the hashes by which addresses are blocked."""

    def __init__(self, db: Database, ways: Ways, line: OneByOne, pepper: bytes, direct: Direct | None = None) -> None:
        self._db = db
        self._ways = ways
        self._line = line
        self._pepper = pepper
        self._direct = direct

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        try:
            while not stop.is_set():
                rows: list[asyncpg.Record] = []
                try:
                    async with self._db.transaction() as tx:
                        rows = await forwards.take(tx, BATCH)
                    if rows:
                        await self._ways.refresh()
                        await self._send_on(rows)
                except TRANSIENT as error:
                    log.warning("answers wait for the database", extra={"error": type(error).__name__})
                if not rows:
                    await self._line.close()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), IDLE_S)
        finally:
            await self._line.leave()

    async def _send_on(self, rows: Sequence[asyncpg.Record]) -> None:
        at = [addressed(self._pepper, row["workspace_id"], row["recipient"]) for row in rows]
        async with self._db.connection() as connection:
            blocked = await blocks.standing(
                connection,
                [row["workspace_id"] for row in rows],
                [one.address_hash or b"" for one in at],
                [one.domain_hash or b"" for one in at],
            )
        for row, address, reason in zip(rows, at, blocked, strict=True):
            outcome = _Outcome(refused=f"suppressed: {reason}") if reason else await self._send(row, address)
            await self._settle(row, outcome)

    async def _settle(self, row: asyncpg.Record, outcome: _Outcome) -> None:
        workspace_id, id_ = row["workspace_id"], row["id"]
        async with self._db.transaction() as tx:
            if outcome.sent:
                await forwards.done(tx, workspace_id, id_)
            elif outcome.refused or datetime.now(UTC) - row["at"] > GIVE_UP_AFTER:
                log.warning("an answer is not sent on", extra={"why": outcome.refused or "nobody took it in five days"})
                await set_aside.keep(
                    tx, id_, "forward", NOT_FORWARDED, [row["recipient"]], row["mail"], workspace_id=workspace_id
                )
                await forwards.done(tx, workspace_id, id_)
                metrics.SET_ASIDE.labels("forward", NOT_FORWARDED).inc()
            elif outcome.tried:
                wait = min(BACKOFF_FIRST * 2 ** min(row["attempts"] - 1, 12), BACKOFF_MOST)
                await forwards.later(tx, workspace_id, id_, wait)
            else:
                await forwards.later(tx, workspace_id, id_, NO_ROOM, tried=False)

    async def _send(self, row: asyncpg.Record, at: Addressed) -> _Outcome:
        """By the first route that has room for it and can be reached."""
        way = row["workspace_id"] if row["workspace_id"] in self._ways.own else PLATFORM
        tried = False
        for route in self._in_turn(way):
            try:
                provider, destination = await self._where(route, row["recipient"], at)
                bucket = limits.bucket_of(route.limits, provider)
                if not await self._line.open(route, bucket, provider, destination):
                    continue
                result = await self._line.send(NULL_SENDER, row["recipient"], forwarded(row["mail"], row["id"]))
            except (UnsafeAddress, TooLarge, InvalidAddress, _NoMail) as error:
                return _Outcome(refused=str(error))
            except (aiosmtplib.SMTPException, OSError, ValueError, DnsUnavailable) as error:
                log.warning("an answer cannot be sent on now", extra={"error": type(error).__name__})
                tried = True
                continue
            if not isinstance(result, Replied):
                return _Outcome()
            if 200 <= result.code < 300:
                self._ways.carried(route)
                return _Outcome(sent=True)
            verdict = smtp_replies.classify(result.code, result.text, result.phase)
            said = f"{result.code} {smtp_replies.without_addresses(result.text)}"
            if verdict.route:
                self._ways.failed(route, said)
                return _Outcome()
            return _Outcome() if verdict.temporary else _Outcome(refused=said)
        return _Outcome(tried=tried)

    async def _where(self, route: Route, recipient: str, at: Addressed) -> tuple[str, Destination | None]:
        """Whose limits count, and the mail hosts of a direct route. Raises InvalidAddress, DnsUnavailable, _NoMail."""
        if not route.direct or self._direct is None:
            return at.provider, None
        domain = normalise_address(recipient).rpartition("@")[2]
        found = await self._direct.find(domain)
        if isinstance(found, NoMail):
            raise _NoMail(found.text)
        return provider_behind(domain, found.exchange), found

    def _in_turn(self, way: UUID) -> Iterator[Route]:
        """The routes that work now, by weight; others once those are known to be down."""
        gone: set[UUID] = set()
        while left := {route.id: route for route in self._ways.working(way) if route.id not in gone}:
            weights = {route_id: route.weight for route_id, route in left.items()}
            chosen = self._ways.shares.next(weights)
            self._ways.shares.gave(weights, chosen, 1)
            gone.add(chosen)
            yield left[chosen]
