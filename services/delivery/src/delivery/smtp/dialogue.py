"""One connection and its dialogues. What became of a message is known by the phase in which a dialogue ended.

Before the body's final dot was written, no server can have taken the message: trying again is safe. After it,
a lost connection or a time-out says nothing (RFC 1047), and that is said.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import aiosmtplib

from delivery.domain.smtp_replies import Phase
from delivery.smtp.route import Route

COMMAND_S = 300.0
DATA_S = 120.0
_LOST = (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, ConnectionError, OSError)
_DOTS = re.compile(rb"(?m)^\.")
_UNSAFE = re.compile(r"[\x00-\x20\x7f<>]")


@dataclass(frozen=True, slots=True)
class Replied:
    """The server's last word on the message: 250 after the dot, or a refusal in the phase named."""

    code: int
    text: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection broke or fell silent. `after_dot`: the message may have been taken."""

    after_dot: bool
    cause: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Nothing of the message was given away: the mailer may not send now, or cannot."""

    cause: str


Result = Replied | Lost | NotStarted
_Command = tuple[Phase, bytes, tuple[int, ...], float]


class UnsafeAddress(ValueError):
    """An envelope address with a line break, space or angle bracket: never given to a library."""


@dataclass(slots=True)
class _Progress:
    phase: Phase = "mail"
    written: bool = False


class Dialogue:
    """A connection that carries one message after another."""

    def __init__(self, route: Route, dot_timeout_s: float) -> None:
        self._route = route
        self._dot_timeout_s = dot_timeout_s
        self._client: aiosmtplib.SMTP | None = None
        self.carried = 0

    @property
    def connected(self) -> bool:
        """Whether a connection stands, as far as this side knows."""
        return self._client is not None and self._client.is_connected

    async def connect(self) -> None:
        """Connect afresh. Raises aiosmtplib's errors or OSError: the route is at fault."""
        self.abort()
        self._client = await self._route.connect()
        self.carried = 0

    def supports(self, extension: str) -> bool:
        """Whether the server offered an extension."""
        return self._client is not None and self._client.supports_extension(extension)

    def abort(self) -> None:
        """Close the socket now."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def quit(self) -> None:
        """Say goodbye, briefly."""
        if self._client is not None and self._client.is_connected:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await self._client.quit(timeout=2)
        self.abort()

    async def send(self, sender: str, recipient: str, body: bytes, may_write: Callable[[], bool]) -> Result:
        """One message. The body has CRLF line ends; dots are stuffed here. Raises UnsafeAddress.

        `may_write` is asked before MAIL, before DATA and before the body.
        """
        for address in (sender, recipient):
            if _UNSAFE.search(address):
                raise UnsafeAddress("an envelope address has a character that cannot be in one")
        progress = _Progress()
        try:
            result = await self._steps(sender, recipient, body, may_write, progress)
        except _LOST as error:
            self.abort()
            cause = "timeout" if isinstance(error, aiosmtplib.SMTPTimeoutError) else "connection_lost"
            return Lost(progress.written, cause, progress.phase)
        except aiosmtplib.SMTPResponseException:
            # A reply that is not SMTP: nothing it says can be believed.
            self.abort()
            return Lost(progress.written, "malformed_reply", progress.phase)
        except Exception:
            self.abort()
            if progress.written:
                return Lost(True, "internal_error", progress.phase)
            raise
        return result

    async def _steps(
        self, sender: str, recipient: str, body: bytes, may_write: Callable[[], bool], progress: "_Progress"
    ) -> Result:
        protocol = None if self._client is None else self._client.protocol
        if protocol is None or not self.connected:
            return NotStarted("not_connected")
        for phase, command, wanted, timeout_s in self._commands(sender, recipient):
            progress.phase = phase
            if not may_write():
                return self._stopped(phase)
            reply = await protocol.execute_command(command, timeout=timeout_s)
            if reply.code not in wanted:
                return await self._refused(reply.code, reply.message, phase)
        if not may_write():
            return self._stopped("body")
        progress.phase, progress.written = "body", True
        protocol.write(_DOTS.sub(b"..", body) + b".\r\n")
        reply = await protocol.read_response(timeout=self._dot_timeout_s)
        self.carried += 1
        if reply.code == 421:
            self.abort()
        return Replied(reply.code, reply.message, progress.phase)

    def _commands(self, sender: str, recipient: str) -> tuple[_Command, ...]:
        # Not the library's mail() and rcpt(): they parse addresses anew, at more cost than the rest of the dialogue.
        encoding = "ascii" if sender.isascii() and recipient.isascii() else "utf-8"
        options = " SMTPUTF8" if encoding == "utf-8" else ""
        if self.supports("8bitmime"):
            options += " BODY=8BITMIME"
        return (
            ("mail", f"MAIL FROM:<{sender}>{options}".encode(encoding), (250,), COMMAND_S),
            ("rcpt", f"RCPT TO:<{recipient}>".encode(encoding), (250, 251), COMMAND_S),
            ("data", b"DATA", (354,), DATA_S),
        )

    def _stopped(self, phase: Phase) -> NotStarted:
        if phase != "mail":
            self.abort()
        return NotStarted("lease")

    async def _refused(self, code: int, text: str, phase: Phase) -> Replied:
        """A refusal leaves the session usable after RSET, but for 421."""
        if code == 421 or self._client is None:
            self.abort()
        else:
            try:
                await self._client.rset(timeout=30)
            except (aiosmtplib.SMTPException, OSError):
                self.abort()
        return Replied(code, text, phase)
