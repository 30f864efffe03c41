"""Routes of a workspace: made, changed, and tried out. A password is sealed as it comes in and never shown."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import aiosmtplib
import asyncpg
from common import egress
from common.db.pool import Connection
from common.ids import new_id
from common.sealing import CannotOpen, Sealer

from delivery.db import routes
from delivery.domain import limits
from delivery.errors import (
    DirectNotOffered,
    InvalidRoute,
    RouteHostRefused,
    RouteNameTaken,
    RouteNotFound,
)
from delivery.smtp.route import RouteRefused
from delivery.use_cases.transmitting import why
from delivery.use_cases.ways import password_context, route_of

CHECK_S = 10.0
# What a relay has and a direct route has not; what of it need not be given.
_OF_RELAYS = ("host", "port", "tls", "username", "password")
_RELAY = {"port": 587, "tls": "starttls"}

# The first that fits: an error of TLS is also one of the connection.
_STAGES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (RouteRefused, "host"),
    (aiosmtplib.SMTPAuthenticationError, "auth"),
    (ssl.SSLError, "tls"),
    (aiosmtplib.SMTPConnectResponseError, "greeting"),
    ((aiosmtplib.SMTPConnectError, aiosmtplib.SMTPConnectTimeoutError, OSError), "connect"),
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a server said when it was tried. `stage`: how far it came."""

    ok: bool
    stage: str
    said: str
    tls: str | None
    extensions: list[str]
    seconds: float


class Routes:
    """What the API does with routes. `allowed`: private networks in which hosts may be; `direct`: whether a route may
    go without a host, to those of recipients' domains."""

    def __init__(self, sealer: Sealer, allowed: Sequence[egress.Network], *, direct: bool = False) -> None:
        self._sealer = sealer
        self._allowed = allowed
        self._direct = direct

    async def create(self, tx: Connection, workspace_id: UUID, values: dict[str, Any]) -> asyncpg.Record:
        """A new route. Raises RouteNameTaken, RouteHostRefused, InvalidRoute, DirectNotOffered."""
        route_id = new_id()
        row = await routes.insert(tx, workspace_id, route_id, self._columns(workspace_id, route_id, values, None))
        if row is None:
            raise RouteNameTaken(name=values["name"])
        return row

    async def change(self, tx: Connection, row: asyncpg.Record, changes: dict[str, Any]) -> asyncpg.Record:
        """Change a locked route; without a password in the changes, it keeps its own. Raises as `create`."""
        values = {column: row[column] for column in (*routes.COLUMNS, "kind") if column != "password"} | changes
        if row["kind"] == "direct":
            values |= {column: changes.get(column) for column in _OF_RELAYS}
        moved = any(values[column] != row[column] for column in ("host", "port", "tls"))
        if moved and row["password"] is not None and "password" not in changes:
            raise InvalidRoute(
                "The password was given for another host, port or kind of TLS",
                mend="Give `password` again, or null to go without",
                field="password",
            )
        columns = self._columns(row["workspace_id"], row["id"], values, row["password"])
        if all(columns[name] == row[name] for name in columns):
            return row
        changed = await routes.update(tx, row["workspace_id"], row["id"], columns)
        if changed is None:
            raise RouteNameTaken(name=values["name"])
        return changed

    async def check(self, row: asyncpg.Record) -> Checked:
        """Connect as mail would, and say what the server said. Nothing is sent. Raises InvalidRoute."""
        if row["kind"] == "direct":
            raise InvalidRoute(
                "A direct route has no server of its own to try",
                mend="Send a message to yourself with POST /v1/messages; its `history` tells what the servers said",
            )
        started = time.monotonic()

        def told(ok: bool, stage: str, said: str, tls: str | None = None, can: Sequence[str] = ()) -> Checked:
            return Checked(ok, stage, said, tls, sorted(can), round(time.monotonic() - started, 3))

        try:
            route = route_of(row, self._sealer, self._allowed)
        except CannotOpen as error:
            return told(False, "password", f"the password cannot be opened: {error}")
        try:
            async with asyncio.timeout(CHECK_S):
                client = await route.connect(CHECK_S)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return told(False, _stage(error), why(error) or type(error).__name__)
        try:
            transport: Any = client.transport
            secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
            stage = "auth" if route.username else "greeting"
            said = "the server took the user name and password" if route.username else "the server answered"
            return told(True, stage, said, secured.version() if secured else None, [*client.esmtp_extensions])
        finally:
            client.close()

    def _columns(
        self, workspace_id: UUID, route_id: UUID, values: dict[str, Any], sealed: bytes | None
    ) -> dict[str, Any]:
        kind = values.get("kind", "relay")
        columns = {column: values[column] for column in routes.COLUMNS if column != "password"} | {"kind": kind}
        if kind == "direct":
            self._judge_direct(values)
            columns |= routes.NO_HOST
        elif columns["host"] is None:
            raise InvalidRoute("A relay has a host", mend="Give `host`", field="host")
        else:
            columns |= {column: value for column, value in _RELAY.items() if columns[column] is None}
            self._judge_literal(columns["host"])
        columns["limits"] = limits.to_json(limits.BEGIN) if columns["limits"] is None else columns["limits"]
        try:
            limits.from_json(columns["limits"])
        except ValueError as error:
            raise InvalidRoute(str(error), mend="Correct `limits`", field="limits") from error
        password = values.get("password")
        if password is not None:
            sealed = self._sealer.seal(password.encode(), password_context(workspace_id, route_id))
        elif "password" in values:
            sealed = None
        columns["password"] = sealed
        if (columns["username"] is None) != (sealed is None):
            missing = "password" if sealed is None else "username"
            raise InvalidRoute(
                "A user name and a password belong together", mend=f"Give `{missing}` too, or neither", field=missing
            )
        return columns

    def _judge_direct(self, values: dict[str, Any]) -> None:
        if not self._direct and values["enabled"]:
            raise DirectNotOffered
        given = [name for name in _OF_RELAYS if values.get(name) is not None]
        if given:
            raise InvalidRoute(
                "A direct route goes to the mail servers of the recipients' domains, and to no host of its own",
                mend=f"Leave out `{given[0]}`, or make the route a relay",
                field=given[0],
            )

    def _judge_literal(self, host: str) -> None:
        """A name is judged whenever it is looked up; an address can be told at once."""
        try:
            address = egress.unwrapped(ip_address(host))
        except ValueError:
            return
        if not egress.is_public(address) and not any(address in network for network in self._allowed):
            raise RouteHostRefused(f"{host} is not an address on the internet", host=host)


async def require(tx: Connection, workspace_id: UUID, route_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """The route. Raises RouteNotFound."""
    row = await routes.get(tx, workspace_id, route_id, lock=lock)
    if row is None:
        raise RouteNotFound(route_id=str(route_id))
    return row


def _stage(error: Exception) -> str:
    for kinds, stage in _STAGES:
        if isinstance(error, kinds) or isinstance(error.__cause__, kinds):
            return stage
    return "tls" if "TLS" in str(error) else "greeting"
