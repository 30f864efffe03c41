"""LMTP (RFC 2033): how a mail server on this network hands over what came back."""

import asyncio
import logging
from socket import socket

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope, Session
from common.db.pool import TRANSIENT

from delivery.domain.bounces import MAX_BYTES
from delivery.use_cases.intake import Intake

log = logging.getLogger(__name__)

MOST_SESSIONS = 64
MOST_RECIPIENTS = 50
# RFC 5321 allows 1,000 bytes; HTML of real reports and answers has longer lines, and a refusal would lose the mail.
LINE_BYTES = 1 << 20
_FINISH_S = 20.0
_TAKEN = "250 2.0.0 taken in"
_LATER = "451 4.3.0 cannot be stored now, try again"


class _Handler:
    """What a session asks. An answer of 250 means that it is committed."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.busy = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def handle_RCPT(  # noqa: N802
        self, _server: LMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take any recipient: what is nobody's is found out later, and refusing a bounce bounces it."""
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: LMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """One answer for each recipient (RFC 2033 §4.2), and the same: it is one mail."""
        self.busy += 1
        self.idle.clear()
        try:
            content = envelope.original_content or b""
            await self._intake.take(content, envelope.rcpt_tos, "lmtp")
            answer = _TAKEN
        except TRANSIENT as error:
            log.warning("a mail by LMTP must come again", extra={"error": type(error).__name__})
            answer = _LATER
        except Exception:  # else the protocol would refuse it for good
            log.exception("a mail by LMTP cannot be kept")
            answer = _LATER
        finally:
            self.busy -= 1
            if not self.busy:
                self.idle.set()
        return "\r\n".join([answer] * len(envelope.rcpt_tos))


class _Session(LMTP):
    """One connection; those beyond MOST_SESSIONS are asked to come again."""

    line_length_limit = LINE_BYTES

    def __init__(self, sessions: "set[_Session]", handler: _Handler, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            handler, data_size_limit=MAX_BYTES, enable_SMTPUTF8=True, hostname="barid", ident="barid", loop=loop
        )
        self._sessions = sessions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, or send it away."""
        if len(self._sessions) >= MOST_SESSIONS and isinstance(transport, asyncio.Transport):
            transport.write(b"421 4.3.2 too many connections, try again\r\n")
            transport.close()
            return
        self._sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Count it no more."""
        if self in self._sessions:
            self._sessions.discard(self)
            super().connection_lost(error)


async def listen_lmtp(intake: Intake, listener: socket, stop: asyncio.Event) -> None:
    """Take mail until told to stop; then what is being taken in is finished and answered."""
    loop = asyncio.get_running_loop()
    handler, sessions = _Handler(intake), set[_Session]()
    server = await loop.create_server(lambda: _Session(sessions, handler, loop), sock=listener, backlog=128)
    await stop.wait()
    server.close()
    try:
        await asyncio.wait_for(handler.idle.wait(), _FINISH_S)
        await asyncio.sleep(0.05)  # the answer's way to the socket
    except TimeoutError:
        log.warning("mails by LMTP were not taken in before the end; they come again", extra={"n": handler.busy})
    for session in list(sessions):
        if session.transport is not None:
            session.transport.close()
