"""A way out: where and how to connect, and whether it is known to be down."""

import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Literal
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib
from common import egress
from common.errors import Misconfigured

from delivery.domain import limits
from delivery.domain.limits import Limits

CONNECT_S = 30.0
# A host that a user named must not keep a worker for long.
GUARDED_CONNECT_S = 10.0
BREAK_FIRST_S = 1.0
BREAK_MOST_S = 60.0
# The route of BARID_SMTP_URL, and the workspace it is of.
PLATFORM = UUID(int=0)

# offered: STARTTLS where the server offers it, as BARID_SMTP_URL has it; routes of workspaces say what they want.
Tls = Literal["implicit", "starttls", "offered", "none"]


class RouteRefused(OSError):
    """Nothing was connected to: the route itself is not allowed. The message says why."""


@dataclass(frozen=True, slots=True)
class Route:
    """A parsed BARID_SMTP_URL, or a route of a workspace with its password opened.

    `allowed`: None for the operator's own route; else the private networks in which the host may be.
    `direct`: no host of its own; each message goes to the mail hosts of its recipient's domain.
    """

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: Tls
    id: UUID = PLATFORM
    workspace_id: UUID = PLATFORM
    revision: int = 0
    priority: int = 0
    weight: int = 1
    limits: Limits = field(default_factory=dict)
    allowed: Sequence[egress.Network] | None = None
    direct: bool = False

    @classmethod
    def parse(cls, url: str, limits: Limits | None = None) -> "Route":
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
            "implicit" if parts.scheme == "smtps" else "offered",
            limits=limits or {},
        )

    async def connect(self, timeout_s: float = CONNECT_S) -> aiosmtplib.SMTP:
        """A connection after EHLO, STARTTLS and AUTH as the route wants them.

        Raises aiosmtplib's errors or OSError, of which RouteRefused is one.
        """
        checked = self.tls in {"implicit", "starttls"} or (self.tls == "offered" and self.username is not None)
        sock = None if self.allowed is None else await self._judged()
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=None if sock is not None else self.port,
            sock=sock,
            username=self.username,
            password=self.password,
            use_tls=self.tls == "implicit",
            start_tls={"starttls": True, "none": False}.get(self.tls),
            tls_context=_trusting() if checked else None,
            validate_certs=checked,
            timeout=timeout_s,
        )
        try:
            await client.connect()
            if not client.is_ehlo_or_helo_needed:
                return client
            await client.ehlo()
        except BaseException:
            client.close()
            if sock is not None:
                sock.close()
            raise
        return client

    async def _judged(self) -> socket.socket:
        """A socket to an address that a user may reach. Raises RouteRefused, OSError."""
        try:
            addresses = await egress.addresses_of(self.host, self.port, self.allowed or ())
        except (egress.ForbiddenHost, egress.UnknownHost) as error:
            raise RouteRefused(str(error)) from error
        if self.username and self.tls == "none" and any(map(egress.is_public, addresses)):
            raise RouteRefused("the password would cross the internet unencrypted: choose starttls or implicit")
        return await egress.connect(addresses, self.port)


def platform_route(url: str, limits_text: str) -> Route:
    """The route of BARID_SMTP_URL, with BARID_SMTP_LIMITS. Raises Misconfigured."""
    try:
        found = limits.from_text(limits_text)
    except ValueError as error:
        raise Misconfigured(f"BARID_SMTP_LIMITS: {error}") from error
    return Route.parse(url, found)


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
        # Whether a connection stood, or carried a message, since the last failure.
        self.proven = False

    def wait_s(self) -> float:
        """Seconds until the route may be tried again; 0: now."""
        return max(0.0, self._until - time.monotonic())

    def failed(self, least_s: float = 0.0) -> None:
        """The route refused, or could not be reached: no pause is meant to be shorter than `least_s`.

        Connections that fail together count once.
        """
        self.proven = False
        if self.wait_s() > 0:
            return
        self._failures += 1
        pause = max(least_s, min(BREAK_FIRST_S * 2 ** min(self._failures - 1, 10), BREAK_MOST_S))
        self._until = time.monotonic() + pause * self._rng.uniform(0.5, 1.0)

    def carried(self) -> None:
        """A message went by a connection that stands. A pause goes on: it is for new connections too."""
        self._failures = 0
        self.proven = True

    def worked(self) -> None:
        """A connection stands."""
        self._failures = 0
        self._until = 0.0
        self.proven = True
