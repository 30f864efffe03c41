"""A worker that sends one message at a time: takes marked ones, sends them, and says what became of them."""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import aiosmtplib
from common.clock import Clock
from common.db.pool import TRANSIENT, Database

from delivery.dns.resolver import DnsUnavailable
from delivery.domain import limits, smtp_replies
from delivery.domain.pacing import LATE_S
from delivery.smtp.dialogue import Dialogue, Lost, NotStarted, Replied, Result, TooLarge, UnsafeAddress
from delivery.smtp.pool import Pool
from delivery.smtp.route import CONNECT_S, GUARDED_CONNECT_S
from delivery.use_cases.composing import Composer, Mail, Uncomposable
from delivery.use_cases.direct import HOSTS_S, NotOnTheInternet, Unreachable
from delivery.use_cases.lease import Lease
from delivery.use_cases.slowing import Slowing
from delivery.use_cases.tracing import DialogueSpans
from delivery.use_cases.trials import Trials
from delivery.use_cases.ways import Ways
from delivery.use_cases.window import Item, Window

if TYPE_CHECKING:
    from delivery.use_cases.sending import SendingOptions

log = logging.getLogger(__name__)


class Transmitter:
    """Uses one connection of the pool at a time."""

    def __init__(
        self,
        db: Database,
        ways: Ways,
        pool: Pool,
        window: Window,
        slowing: Slowing,
        trials: Trials,
        lease: Lease,
        composer: Composer,
        options: "SendingOptions",
        clock: Clock,
        rng: Random,
    ) -> None:
        self._db = db
        self._ways = ways
        self._pool = pool
        self._window = window
        self._slowing = slowing
        self._trials = trials
        self._lease = lease
        self._composer = composer
        self._options = options
        self._clock = clock
        self._rng = rng
        self._done = asyncio.Event()
        self._spans = DialogueSpans()

    def finish(self) -> None:
        """Return after the message under way; one whose body was not begun waits for another mailer instead.

        So the longest wait of a mailer that ends is the one after the dot (BARID_SMTP_DOT_TIMEOUT_S).
        """
        self._done.set()

    async def run(self) -> None:
        """Send what the window's queue gives."""
        done = asyncio.create_task(self._done.wait())
        try:
            while not self._done.is_set():
                item = await self._next(done)
                if item is not None and not item.dropped:
                    await self._handle(item)
        finally:
            done.cancel()

    async def _next(self, done: "asyncio.Task[bool]") -> Item | None:
        queue = self._window.queue
        if not queue.empty():
            return queue.get_nowait()[2]
        getting = asyncio.create_task(queue.get())
        await asyncio.wait([getting, done], return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()[2]
        getting.cancel()
        return None

    async def _handle(self, item: Item) -> None:
        shaping, destination = self._window.shaping, item.destination
        if not shaping.may_open(item.line) or self._others_stand(item):
            self._window.park(item)
            return
        if destination is not None and not destination.proven:
            self._trials.begin(item, destination, self._unreached)
            return
        item.begun = True
        if destination is None:
            dialogue = await self._pool.take(item.route, item.line)
        else:
            dialogue = await self._pool.take(item.route, item.line, destination, shaping.most(item.line))
        try:
            await self._attempt(item, dialogue)
        except Uncomposable as error:
            self._window.settle(item, "failed", klass=error.klass, text=smtp_replies.without_addresses(str(error)))
        except UnsafeAddress as error:
            self._window.settle(item, "failed", klass="unsupported_address", text=str(error))
        except TooLarge as error:
            self._window.settle(item, "failed", klass="content", text=str(error))
        except (Unreachable, DnsUnavailable) as error:
            self._unreached(item, error)
        except Exception:
            # Nothing was written to a socket that the dialogue would not know of.
            log.exception("a message could not be tried", extra=_about(item))
            dialogue.abort()
            self._window.settle(item, "deferred", wait=self._wait_for(item))
        finally:
            self._pool.give(dialogue)
            self._window.unpark(item.line)

    def _others_stand(self, item: Item) -> bool:
        """Whether the server wants no new connection now, but has some that will be free."""
        if item.destination is not None:
            return False
        paused = self._ways.breaker(item.route).wait_s() > 0
        return paused and self._pool.in_use[item.line] > 0 and not self._pool.idle(item.line)

    async def _attempt(self, item: Item, dialogue: Dialogue) -> None:
        ready = self._lease.may_write(item.epoch) and self._ways.stands(item.route) and await self._on_time(item)
        if not ready or not await self._connected(item, dialogue):
            self._window.settle(item, "pending")
            return
        mail = await self._composer.compose(item.row, utf8=dialogue.supports("smtputf8"))
        item.variant_id = mail.variant_id
        began_at = time.monotonic()
        with self._spans.of(item):
            result = await self._send_once(item, mail, dialogue)
        self._settle(item, result, began_at)

    async def _on_time(self, item: Item) -> bool:
        """Whether it may begin now: in its slot, or in another one where it missed its own."""
        if item.at is None or time.monotonic() <= item.at + LATE_S:
            return True
        try:
            async with self._db.transaction() as tx:
                item.at = await self._window.shaping.slot_again(tx, item.route, item.line[2])
        except TRANSIENT:
            return False
        if item.at is None:
            return False
        await asyncio.sleep(max(0.0, item.at - time.monotonic()))
        return True

    async def _send_once(self, item: Item, mail: Mail, dialogue: Dialogue) -> Result:
        fresh = dialogue.carried == 0
        result = await self._send(item, mail, dialogue)
        stale = isinstance(result, Lost) and not result.after_dot and result.phase == "mail" and not fresh
        if stale and await self._connected(item, dialogue):
            # The peer had closed an idle connection; the message itself met nothing yet.
            result = await self._send(item, mail, dialogue)
        return result

    async def _send(self, item: Item, mail: Mail, dialogue: Dialogue) -> Result:
        def may_write() -> bool:
            return self._lease.may_write(item.epoch) and not self._done.is_set()

        return await dialogue.send(mail.sender, mail.recipient, mail.body, may_write)

    async def _connected(self, item: Item, dialogue: Dialogue) -> bool:
        route, limit = item.route, limits.limit_of(item.route.limits, item.line[2])
        most = limit.messages_per_connection or self._options.messages_per_connection
        if dialogue.connected and dialogue.carried < most:
            return True
        if dialogue.connected:
            await dialogue.quit()
        if item.destination is not None:
            await dialogue.connect(HOSTS_S)
            return True
        if self._ways.breaker(route).wait_s() > 0:
            return False
        try:
            await dialogue.connect(CONNECT_S if route.allowed is None else GUARDED_CONNECT_S)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            log.warning("the SMTP server cannot be reached", extra={"error": type(error).__name__})
            self._ways.failed(route, why(error))
            return False
        self._ways.worked(route)
        return True

    def _settle(self, item: Item, result: Result, began_at: float) -> None:
        window = self._window
        match result:
            case NotStarted():
                window.settle(item, "pending")
            case Lost(after_dot=True, cause=cause):
                window.settle(item, "uncertain", klass=cause)
            case Lost(cause=cause):
                window.settle(item, "deferred", wait=self._wait_for(item), text=cause)
            case Replied(code=code, text=text, phase="body") if 200 <= code < 300:
                self._ways.carried(item.route)
                self._slowing.accepted(item.route, item.provider)
                window.settle(item, "sent", at=self._clock.now(), **_reply(code, text))
            case Replied(code=code, text=text, phase=phase):
                self._refused(item, code, text, phase, began_at)

    def _refused(self, item: Item, code: int, text: str, phase: smtp_replies.Phase, began_at: float) -> None:
        verdict = smtp_replies.classify(code, text, phase)
        if verdict.slow and self._slowing.asked_for_less(item.route, item.provider, began_at):
            self._window.give_back_all(item.route, item.provider)
        if verdict.route and item.destination is None:
            self._ways.failed(item.route, f"{code} {smtp_replies.without_addresses(text)}")
            self._window.settle(item, "pending", wait=timedelta(seconds=1))
        elif verdict.temporary:
            self._window.settle(item, "deferred", wait=self._wait_for(item), **_reply(code, text))
        else:
            self._window.settle(item, "failed", klass=verdict.klass, **_reply(code, text))

    def _unreached(self, item: Item, error: Unreachable | DnsUnavailable) -> None:
        """None of a domain's mail hosts can be spoken to: its mail waits, and nobody else's."""
        if isinstance(error, DnsUnavailable):
            self._window.settle(
                item, "deferred", wait=self._wait_for(item), text=f"the DNS does not answer for {error}"
            )
        elif isinstance(error, NotOnTheInternet):
            self._window.settle(item, "failed", klass="other", enhanced="5.4.4", text=error.text)
        elif error.code is None:
            self._window.settle(item, "deferred", wait=self._wait_for(item), text=error.text)
        else:
            slow = smtp_replies.classify(error.code, error.text, "connect").slow
            if slow and self._slowing.asked_for_less(item.route, item.provider, time.monotonic()):
                self._window.give_back_all(item.route, item.provider)
            self._window.settle(item, "deferred", wait=self._wait_for(item), **_reply(error.code, error.text))

    def _wait_for(self, item: Item) -> timedelta:
        return wait_for(item, self._clock, self._rng, self._options.retry_first)


def wait_for(item: Item, clock: Clock, rng: Random, first: timedelta) -> timedelta:
    """How long a message waits after a temporary failure."""
    since: datetime | None = item.row["first_4xx_at"]
    refused_for = clock.now().astimezone(UTC) - since if since else timedelta(0)
    return smtp_replies.backoff(refused_for, rng, first)


def why(error: Exception) -> str:
    """What kept a connection from being made, for people."""
    code = getattr(error, "code", None)
    said = smtp_replies.without_addresses(str(getattr(error, "message", None) or error))
    return f"{code} {said}" if isinstance(code, int) else said or type(error).__name__


def _about(item: Item) -> dict[str, str]:
    return {"workspace_id": str(item.workspace_id), "message_id": str(item.id)}


def _reply(code: int, text: str) -> dict[str, object]:
    clean = text.replace("\x00", "").encode("utf-8", "replace").decode()
    return {
        "code": code,
        "enhanced": smtp_replies.enhanced_code(clean),
        "text": smtp_replies.without_addresses(clean),
    }
