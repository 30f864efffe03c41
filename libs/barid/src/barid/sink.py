"""A local SMTP server that delivers nothing: it keeps mails for its mailbox, and refuses whom it is told to.

Mails lie in one spool file; memory holds an index of the last ones.
"""

import asyncio
import os
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import IO, Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from common.errors import Misconfigured
from common.web.server import listen

KEPT = 100_000
MAX_BYTES = 30 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mail:
    """Where a mail lies in the spool, and what a list shows of it."""

    id: int
    at: datetime
    sender: str
    recipients: tuple[str, ...]
    offset: int
    size: int


class Spool:
    """Mails, the newest last; the oldest are forgotten."""

    def __init__(self, path: Path, kept: int = KEPT) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b")
        self.mails: deque[Mail] = deque(maxlen=kept)
        self.replies: dict[str, str] = {}
        self._next = 1
        self._end = 0

    def add(self, sender: str, recipients: list[str], content: bytes) -> Mail:
        """Keep a mail."""
        self._file.seek(self._end)
        self._file.write(content)
        self._file.flush()
        mail = Mail(self._next, datetime.now(UTC), sender, tuple(recipients), self._end, len(content))
        self._next += 1
        self._end += len(content)
        self.mails.append(mail)
        return mail

    def raw(self, mail: Mail) -> bytes:
        """The mail as it came."""
        return os.pread(self._file.fileno(), mail.size, mail.offset)

    def parsed(self, mail: Mail) -> EmailMessage:
        """The mail, parsed."""
        return message_from_bytes(self.raw(mail), policy=default)

    def find(self, mail_id: int) -> Mail | None:
        """A mail by its id."""
        if not self.mails:
            return None
        place = mail_id - self.mails[0].id
        return self.mails[place] if 0 <= place < len(self.mails) else None

    def close(self) -> None:
        """Close the spool."""
        self._file.close()


class Handler:
    """What the SMTP dialogue asks."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a recipient, or refuse as told."""
        reply = self.spool.replies.get(address.casefold())
        if reply is not None:
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        mail = self.spool.add(envelope.mail_from or "", envelope.rcpt_tos, content)
        return f"250 2.0.0 kept as {mail.id}"


async def run(area: Path, smtp_port: int, mailbox_port: int, stop: asyncio.Event) -> None:
    """Take mail and show the mailbox until told to stop. Raises Misconfigured when a port is taken."""
    from barid.mailbox import show

    spool = Spool(area / "mail.spool")
    listener = listen("127.0.0.1", smtp_port, "BARID_SINK_PORT")
    loop = asyncio.get_running_loop()
    handler = Handler(spool)
    connections: set[SMTP] = set()

    def connect() -> SMTP:
        protocol = SMTP(handler, enable_SMTPUTF8=True, data_size_limit=MAX_BYTES, hostname="sink.barid", loop=loop)
        connections.add(protocol)
        return protocol

    server = await loop.create_server(connect, sock=listener, backlog=512)
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(show(spool, mailbox_port))
            await stop.wait()
    finally:
        server.close()
        for protocol in connections:
            transport: Any = protocol.transport
            if transport is not None:
                transport.close()
        spool.close()


def ports() -> tuple[int, int]:
    """The sink's ports, from the environment. Raises Misconfigured."""
    try:
        return int(os.environ["BARID_SINK_PORT"]), int(os.environ["BARID_MAILBOX_PORT"])
    except (KeyError, ValueError):
        raise Misconfigured("BARID_SINK_PORT and BARID_MAILBOX_PORT must be two ports") from None
