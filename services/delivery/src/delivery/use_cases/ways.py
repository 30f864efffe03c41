"""Which routes there are, which of them work, and whose turn it is."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from uuid import UUID

import asyncpg
from common import metrics
from common.db.pool import TRANSIENT, Database
from common.egress import Network
from common.sealing import CannotOpen, Sealer

from delivery.db import budgets, routes, warmups
from delivery.db.budgets import Key
from delivery.domain import limits
from delivery.domain.limits import Limit
from delivery.domain.pacing import Shares
from delivery.smtp.route import PLATFORM, Breaker, Route

log = logging.getLogger(__name__)

REFRESH_S = 1.0


def password_context(workspace_id: UUID, route_id: UUID) -> str:
    """The place that a route's password is sealed for."""
    return f"route/{workspace_id}/{route_id}"


def route_of(row: asyncpg.Record, sealer: Sealer, allowed: Sequence[Network]) -> Route:
    """A row as it is used. Raises CannotOpen."""
    direct = row["kind"] == "direct"
    password = None
    if row["password"] is not None:
        password = sealer.open(row["password"], password_context(row["workspace_id"], row["id"])).decode()
    return Route(
        row["host"],
        row["port"],
        row["username"],
        password,
        row["tls"],
        row["id"],
        row["workspace_id"],
        row["revision"],
        row["priority"],
        row["weight"],
        limits.from_json(row["limits"]),
        allowed,
        direct,
    )


class Ways:
    """The routes as one process knows them. A way is a workspace with routes of its own, or the platform's."""

    def __init__(
        self,
        db: Database,
        platform: Route,
        sealer: Sealer | None,
        allowed: Sequence[Network],
        rng: Random,
        *,
        direct: bool = False,
    ) -> None:
        self._db = db
        self._platform = platform
        self._sealer = sealer
        self._allowed = allowed
        self._rng = rng
        self._direct = direct
        self._routes: dict[UUID, list[Route]] = {PLATFORM: [platform]}
        self._standing = {platform.id}
        self._opened: dict[tuple[UUID, int], Route | None] = {}
        self._breakers: dict[tuple[UUID, int], Breaker] = {}
        self._told: dict[tuple[UUID, int], str | None] = {}
        self.shares = Shares()
        # Limits that mailers must agree on, and whose they are.
        self.limited = _limited(self._routes)
        # What mailers must agree on; while there is nothing, a claim asks for nothing more than it did without.
        self.budgets: set[Key] = set()
        self.warming = False

    @property
    def own(self) -> list[UUID]:
        """Workspaces with routes of their own."""
        return [workspace_id for workspace_id in self._routes if workspace_id != PLATFORM]

    def stands(self, route: Route) -> bool:
        """Whether mail may still begin to go over a route."""
        return route.id in self._standing

    def breaker(self, route: Route) -> Breaker:
        """Whether the route is known to be down."""
        return self._breakers.setdefault((route.id, route.revision), Breaker(self._rng))

    def working(self, way: UUID) -> list[Route]:
        """The routes whose turn it is: those of the first priority in which one is not known to be down."""
        up = [route for route in self._routes.get(way, ()) if self.breaker(route).wait_s() == 0]
        first = min((route.priority for route in up), default=0)
        return [route for route in up if route.priority == first]

    async def keep_fresh(self) -> None:
        """Look for changes for ever."""
        while True:
            await asyncio.sleep(REFRESH_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Read what there is; while the database is away, what was known stands."""
        try:
            async with self._db.connection() as connection:
                rows = await routes.enabled(connection)
                self._replace(rows)
                self.budgets = await budgets.known(connection)
                missing = self.limited.keys() - self.budgets
                if missing:
                    await budgets.ensure(connection, sorted(missing))
                    self.budgets |= missing
                self.warming = await warmups.any_at_all(connection)
                await self._tell(connection)
            self._measure()
        except TRANSIENT as error:
            log.warning("cannot look at the routes", extra={"error": type(error).__name__})

    def _measure(self) -> None:
        down = Counter(
            "platform" if way == PLATFORM else "workspace"
            for way, found in self._routes.items()
            for route in found
            if self.breaker(route).wait_s() > 0
        )
        for kind in ("platform", "workspace"):
            metrics.ROUTES_OPEN.labels(kind).set(down[kind])

    def failed(self, route: Route, why: str) -> None:
        """The route itself is at fault; of a direct one, a server of somebody's is, and not the route."""
        if route.direct:
            return
        self.breaker(route).failed()
        self._told_of(route, why)

    def worked(self, route: Route) -> None:
        """A connection over the route stands."""
        breaker = self.breaker(route)
        if not breaker.proven:
            self._told_of(route, None)
        breaker.worked()

    def carried(self, route: Route) -> None:
        """A message was taken. A server that has enough connections still works by those it has."""
        breaker = self.breaker(route)
        if not breaker.proven:
            self._told_of(route, None)
            breaker.carried()

    def _told_of(self, route: Route, why: str | None) -> None:
        if route.workspace_id != PLATFORM:
            self._told[(route.id, route.revision)] = why

    async def _tell(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        told, self._told = self._told, {}
        for ways in list(self._routes.values()):
            for route in ways:
                if (route.id, route.revision) in told:
                    why = told[(route.id, route.revision)]
                    await routes.note_failure(connection, route.workspace_id, route.id, route.revision, why)

    def _replace(self, rows: Iterable[asyncpg.Record]) -> None:
        found: dict[UUID, list[Route]] = {PLATFORM: [self._platform]}
        opened: dict[tuple[UUID, int], Route | None] = {}
        for row in rows:
            key = (row["id"], row["revision"])
            route = opened[key] = self._opened[key] if key in self._opened else self._open(row)
            # A workspace whose routes cannot be used waits; its mail does not go by another's.
            way = found.setdefault(row["workspace_id"], [])
            if route is not None:
                way.append(route)
        self._routes, self._opened = found, opened
        self.limited = _limited(found)
        known = {(route.id, route.revision) for way in found.values() for route in way}
        self._breakers = {key: breaker for key, breaker in self._breakers.items() if key in known}
        self._standing = {route_id for route_id, _ in known}
        self.shares.keep(self._standing)

    def _open(self, row: asyncpg.Record) -> Route | None:
        about = {"workspace_id": str(row["workspace_id"]), "route_id": str(row["id"])}
        try:
            if self._sealer is None:
                raise CannotOpen("there is no key to open it")
            if row["kind"] == "direct" and not self._direct:
                raise ValueError("BARID_DIRECT_TO_MX is off")
            return route_of(row, self._sealer, self._allowed)
        except (CannotOpen, ValueError) as error:
            log.error("a route cannot be used", extra={**about, "error": str(error)})
            return None


def _limited(ways: Mapping[UUID, Sequence[Route]]) -> dict[Key, tuple[Route, str, Limit]]:
    return {
        (route.workspace_id, route.id, bucket): (route, bucket, limit)
        for routes_of_way in ways.values()
        for route in routes_of_way
        for bucket, limit in route.limits.items()
        if limit.is_shared
    }
