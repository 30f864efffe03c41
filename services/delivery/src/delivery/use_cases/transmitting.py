"""One connection's worker: takes marked messages, sends them, and says what became of them."""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import aiosmtplib
from common.clock import Clock

from delivery.domain import smtp_replies
from delivery.smtp.dialogue import Dialogue, Lost, NotStarted, Replied, Result, TooLarge, UnsafeAddress
from delivery.smtp.route import Breaker, Route
from delivery.use_cases.composing import Composer, Mail, Uncomposable
from delivery.use_cases.lease import Lease
from delivery.use_cases.tracing import DialogueSpans
from delivery.use_cases.window import Item, Window

if TYPE_CHECKING:
    from delivery.use_cases.sending import SendingOptions

log = logging.getLogger(__name__)

IDLE_CONNECTION_S = 20.0


class Transmitter:
    """Owns one connection of the pool."""

    def __init__(
        self,
        route: Route,
        window: Window,
        lease: Lease,
        breaker: Breaker,
        composer: Composer,
        options: "SendingOptions",
        clock: Clock,
        rng: Random,
    ) -> None:
        self._window = window
        self._lease = lease
        self._breaker = breaker
        self._composer = composer
        self._options = options
        self._clock = clock
        self._rng = rng
        self._dialogue = Dialogue(route, options.dot_timeout_s)
        self._done = asyncio.Event()
        self._used_at = 0.0
        self._spans = DialogueSpans()

    def finish(self) -> None:
        """Return after the message under way; one whose body was not begun waits for another mailer instead.

        So the longest wait of a mailer that ends is the one after the dot (BARID_SMTP_DOT_TIMEOUT_S).
        """
        self._done.set()

    def abort(self) -> None:
        """Close the socket now, whatever is under way."""
        self._dialogue.abort()

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
            await self._dialogue.quit()

    async def _next(self, done: "asyncio.Task[bool]") -> Item | None:
        queue = self._window.queue
        if not queue.empty():
            return queue.get_nowait()
        getting = asyncio.create_task(queue.get())
        await asyncio.wait([getting, done], timeout=IDLE_CONNECTION_S, return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        getting.cancel()
        if not self._done.is_set():
            await self._dialogue.quit()
        return None

    async def _handle(self, item: Item) -> None:
        item.begun = True
        try:
            await self._attempt(item)
        except Uncomposable as error:
            self._window.settle(item, "failed", klass=error.klass, text=smtp_replies.without_addresses(str(error)))
        except UnsafeAddress as error:
            self._window.settle(item, "failed", klass="unsupported_address", text=str(error))
        except TooLarge as error:
            self._window.settle(item, "failed", klass="content", text=str(error))
        except Exception:
            # Nothing was written to a socket that the dialogue would not know of.
            log.exception("a message could not be tried", extra=_about(item))
            self._dialogue.abort()
            self._window.settle(item, "deferred", wait=self._wait_for(item))

    async def _attempt(self, item: Item) -> None:
        if not self._lease.may_write(item.epoch) or not await self._connected():
            self._window.settle(item, "pending")
            return
        mail = await self._composer.compose(item.row, utf8=self._dialogue.supports("smtputf8"))
        item.variant_id = mail.variant_id
        with self._spans.of(item):
            result = await self._send_once(item, mail)
        self._used_at = time.monotonic()
        self._settle(item, result)

    async def _send_once(self, item: Item, mail: Mail) -> Result:
        fresh = self._dialogue.carried == 0
        result = await self._send(item, mail.sender, mail.recipient, mail.body)
        stale = isinstance(result, Lost) and not result.after_dot and result.phase == "mail" and not fresh
        if stale and await self._connected():
            # The peer had closed an idle connection; the message itself met nothing yet.
            result = await self._send(item, mail.sender, mail.recipient, mail.body)
        return result

    async def _send(self, item: Item, sender: str, recipient: str, body: bytes) -> Result:
        def may_write() -> bool:
            return self._lease.may_write(item.epoch) and not self._done.is_set()

        return await self._dialogue.send(sender, recipient, body, may_write)

    async def _connected(self) -> bool:
        dialogue = self._dialogue
        if dialogue.connected and dialogue.carried < self._options.messages_per_connection:
            return True
        if dialogue.connected:
            await dialogue.quit()
        if self._breaker.wait_s() > 0:
            return False
        try:
            await dialogue.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            log.warning("the SMTP server cannot be reached", extra={"error": type(error).__name__})
            self._breaker.failed()
            return False
        self._breaker.worked()
        return True

    def _settle(self, item: Item, result: Result) -> None:
        window = self._window
        match result:
            case NotStarted():
                window.settle(item, "pending")
            case Lost(after_dot=True, cause=cause):
                window.settle(item, "uncertain", klass=cause)
            case Lost(cause=cause):
                window.settle(item, "deferred", wait=self._wait_for(item), text=cause)
            case Replied(code=code, text=text, phase="body") if 200 <= code < 300:
                window.pacing.accepted(item.provider)
                window.settle(item, "sent", at=self._clock.now(), **_reply(code, text))
            case Replied(code=code, text=text, phase=phase):
                self._refused(item, code, text, phase)

    def _refused(self, item: Item, code: int, text: str, phase: smtp_replies.Phase) -> None:
        verdict = smtp_replies.classify(code, text, phase)
        if verdict.slow:
            self._window.pacing.slow_down(item.provider, time.monotonic())
        if verdict.route:
            self._breaker.failed()
            self._window.settle(item, "pending", wait=timedelta(seconds=1))
        elif verdict.temporary:
            self._window.settle(item, "deferred", wait=self._wait_for(item), **_reply(code, text))
        else:
            self._window.settle(item, "failed", klass=verdict.klass, **_reply(code, text))

    def _wait_for(self, item: Item) -> timedelta:
        since: datetime | None = item.row["first_4xx_at"]
        refused_for = self._clock.now().astimezone(UTC) - since if since else timedelta(0)
        return smtp_replies.backoff(refused_for, self._rng, self._options.retry_first)


def _about(item: Item) -> dict[str, str]:
    return {"workspace_id": str(item.workspace_id), "message_id": str(item.id)}


def _reply(code: int, text: str) -> dict[str, object]:
    clean = text.replace("\x00", "").encode("utf-8", "replace").decode()
    return {
        "code": code,
        "enhanced": smtp_replies.enhanced_code(clean),
        "text": smtp_replies.without_addresses(clean),
    }
