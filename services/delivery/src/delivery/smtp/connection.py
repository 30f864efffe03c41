"""An open SMTP connection. Commands go out in groups (RFC 2920), and each reply is paired with its command.

aiosmtplib opens the connection (TLS, EHLO, AUTH) and is then out of the way: it sends one command at a time and
drops a reply that nobody is waiting for yet.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Literal, cast

import aiosmtplib

MAX_REPLY = 32 * 1024

LostCause = Literal["connection_lost", "timeout", "malformed_reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; the lines of a long one are joined by line feeds."""

    code: int
    text: str


class ConnectionEnded(Exception):
    """No reply will come any more."""

    def __init__(self, cause: LostCause) -> None:
        super().__init__(cause)
        self.cause: LostCause = cause


class Connection(asyncio.Protocol):
    """Takes over the transport of a client that has connected."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._extensions = dict(client.esmtp_extensions)
        size = self._extensions.get("size", "").strip()
        # The largest message that the server takes, if it says so (RFC 1870).
        self.size_limit = int(size) or None if size.isascii() and size.isdigit() else None
        self._transport = cast(asyncio.Transport, client.transport)
        self._buffer = b""
        self._lines: list[bytes] = []
        self._size = 0
        self._replies: deque[Reply] = deque()
        self._expected = 0
        self._waiter: asyncio.Future[None] | None = None
        self._ended: LostCause | None = None
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return self._ended is None and not self._transport.is_closing()

    def supports(self, extension: str) -> bool:
        """Whether the server offered an extension."""
        return extension in self._extensions

    def write(self, data: bytes, *, replies: int) -> None:
        """Write commands, or a body, that call for so many replies. Raises ConnectionEnded."""
        if not self.is_open:
            raise ConnectionEnded(self._ended or "connection_lost")
        self._expected += replies
        self._transport.write(data)

    async def reply(self, timeout_s: float) -> Reply:
        """The next reply. Raises ConnectionEnded; replies that came before the end are given first."""
        if not self._replies:
            if self._ended is not None:
                raise ConnectionEnded(self._ended)
            self._waiter = self._loop.create_future()
            self._wait_until(self._loop.time() + timeout_s)
            try:
                await self._waiter
            finally:
                self._waiter = None
            if not self._replies:
                raise ConnectionEnded(self._ended or "connection_lost")
        return self._replies.popleft()

    def _wait_until(self, deadline: float) -> None:
        """Watch a deadline, with the timer of an earlier wait where there is one: a timer each would cost more."""
        self._deadline = deadline
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if self._waiter is None or self._ended is not None:
            return
        if self._loop.time() >= self._deadline:
            self._end("timeout")
        else:
            self._timer = self._loop.call_at(self._deadline, self._look_at_the_clock)

    def close(self) -> None:
        """Close the socket now; what the transport still holds of a body is not written any more."""
        self._end("connection_lost")

    def data_received(self, data: bytes) -> None:
        """Cut what came into replies. One that nothing asked for would be taken for another's: the connection ends."""
        self._buffer += data
        start = 0
        while self._ended is None and (end := self._buffer.find(b"\n", start)) >= 0:
            self._line(self._buffer[start:end])
            start = end + 1
        self._buffer = self._buffer[start:]
        if self._size + len(self._buffer) > MAX_REPLY:
            self._end("malformed_reply")

    def eof_received(self) -> bool:
        """The peer will say no more: the transport closes."""
        self._end("connection_lost")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        del exc
        self._end("connection_lost")

    def _line(self, line: bytes) -> None:
        code, mark = line[:3], line[3:4]
        if not code.isdigit() or not b"200" <= code <= b"599" or mark not in (b" ", b"-", b"\r", b""):
            self._end("malformed_reply")
            return
        self._lines.append(line[4:].strip())
        self._size += len(line)
        if mark == b"-":
            return
        text = b"\n".join(self._lines).decode("utf-8", "replace")
        self._lines, self._size = [], 0
        if self._expected == 0:
            self._end("connection_lost" if code == b"421" else "malformed_reply")
            return
        self._expected -= 1
        self._replies.append(Reply(int(code), text))
        self._wake()

    def _end(self, cause: LostCause) -> None:
        if self._ended is None:
            self._ended = cause
            self._transport.abort()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
