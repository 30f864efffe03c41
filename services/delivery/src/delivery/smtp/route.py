"""The way out: where and how to connect, and whether it is known to be down."""

import ssl
import time
from dataclasses import dataclass
from functools import cache
from random import Random
from urllib.parse import unquote, urlsplit

import aiosmtplib
from common.errors import Misconfigured

CONNECT_S = 30.0
BREAK_FIRST_S = 1.0
BREAK_MOST_S = 60.0


@dataclass(frozen=True, slots=True)
class Route:
    """A parsed BARID_SMTP_URL."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: bool

    @classmethod
    def parse(cls, url: str) -> "Route":
        """Raises Misconfigured, naming the setting and never the password."""
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise Misconfigured("BARID_SMTP_URL must be smtp://[user:password@]host[:port] or smtps://…")
        try:
            port = parts.port or (465 if parts.scheme == "smtps" else 25)
        except ValueError as error:
            raise Misconfigured("BARID_SMTP_URL has a port that is no number") from error
        return cls(
            parts.hostname,
            port,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            parts.scheme == "smtps",
        )

    async def connect(self, timeout_s: float = CONNECT_S) -> aiosmtplib.SMTP:
        """A connection after EHLO, STARTTLS where offered, and AUTH. Raises aiosmtplib's errors or OSError."""
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            use_tls=self.tls,
            tls_context=_trusting() if self.tls or self.username else None,
            validate_certs=self.tls or self.username is not None,
            timeout=timeout_s,
        )
        try:
            await client.connect()
            if not client.is_ehlo_or_helo_needed:
                return client
            await client.ehlo()
        except BaseException:
            client.close()
            raise
        return client


@cache
def _trusting() -> ssl.SSLContext:
    """Checks certificates by the system's authorities, which take longer to read than many mails to send."""
    return ssl.create_default_context()


class Breaker:
    """Open after the route itself failed; closes after a while, longer each time in a row."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._failures = 0
        self._until = 0.0

    def wait_s(self) -> float:
        """Seconds until the route may be tried again; 0: now."""
        return max(0.0, self._until - time.monotonic())

    def failed(self) -> None:
        """The route refused, or could not be reached. Connections that fail together count once."""
        if self.wait_s() > 0:
            return
        self._failures += 1
        pause = min(BREAK_FIRST_S * 2 ** min(self._failures - 1, 10), BREAK_MOST_S)
        self._until = time.monotonic() + pause * self._rng.uniform(0.5, 1.0)

    def worked(self) -> None:
        """A connection stands."""
        self._failures = 0
        self._until = 0.0
