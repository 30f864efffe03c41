"""/v1/routes: the ways out of a workspace. Without one, its mail goes over the platform's."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from common.errors import PreconditionFailed
from common.web.etags import IfMatch, merge_patch, require_match, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Db, Tx, allow, own_transaction, service_router
from fastapi import Depends, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from delivery.db import budgets
from delivery.db import routes as rows
from delivery.domain.limits import REST
from delivery.domain.providers import PROVIDERS
from delivery.errors import DirectNotOffered, InvalidRoute, RouteHostRefused, RouteNameTaken, RouteNotFound
from delivery.use_cases.routes import Routes, require

router = service_router("/routes", "routes")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_HOST = r"^[A-Za-z0-9:]([A-Za-z0-9.:_-]{0,251}[A-Za-z0-9])?$"


def _one_line(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("must be one line: it contains a line break or a control character")
    return value


def _one_secret_line(value: SecretStr) -> SecretStr:
    _one_line(value.get_secret_value())
    return value


Kind = Annotated[
    Literal["relay", "direct"],
    Field(
        description="direct: to the mail servers of recipients' domains (MX), without host, port, tls, username and"
        " password; only where the operator allows it"
    ),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
Host = Annotated[str, StringConstraints(pattern=_HOST), Field(description="a name, or an address")]
Port = Annotated[int, Field(ge=1, le=65535)]
Username = Annotated[str, StringConstraints(min_length=1, max_length=320), AfterValidator(_one_line)]
Password = Annotated[
    SecretStr,
    Field(min_length=1, max_length=1000, description="sealed at rest and never shown"),
    AfterValidator(_one_secret_line),
]
Tls = Annotated[
    Literal["implicit", "starttls", "none"],
    Field(description="none with a password: only to hosts in networks that the operator allows"),
]
Weight = Annotated[int, Field(ge=1, le=1000, description="its part of the mail among routes of the same priority")]
Priority = Annotated[
    int, Field(ge=0, le=100, description="lower goes first; the next one is for when none of these works")
]


class Limit(BaseModel):
    """What all mailers together keep to; what is left out has no limit."""

    model_config = ConfigDict(extra="forbid")

    connections: int | None = Field(None, ge=1, le=1000)
    messages_per_connection: int | None = Field(None, ge=1, le=100_000)
    per_second: float | None = Field(None, ge=0.01, le=10_000, description="messages")


Limits = Annotated[
    dict[str, Limit],
    Field(description=f"by provider: {', '.join(PROVIDERS)}; `{REST}`: all without a limit of their own, together"),
]


class RouteCreate(BaseModel):
    """A new route."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    kind: Kind = "relay"
    host: Host | None = Field(None, description="of a relay: a name, or an address")
    port: Port | None = Field(None, description="of a relay; 587 without it")
    tls: Tls | None = Field(None, description="of a relay; starttls without it")
    username: Username | None = None
    password: Password | None = None
    priority: Priority = 0
    weight: Weight = 1
    enabled: bool = True
    limits: Limits | None = Field(None, description="null: careful ones to begin with; {}: none")


class RouteUpdate(BaseModel):
    """What to change (RFC 7396). Without a password, the route keeps the one it has."""

    model_config = ConfigDict(extra="forbid")

    name: Name = ""
    host: Host = ""
    port: Port = 587
    tls: Tls = "starttls"
    username: Username | None = None
    password: Password | None = None
    priority: Priority = 0
    weight: Weight = 1
    enabled: bool = True
    limits: dict[str, dict[str, Any] | None] | None = Field(None, description="merged into those there are")

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, data: Any) -> Any:
        """Only what may be absent can be removed."""
        if isinstance(data, dict):
            for name in ("name", "host", "port", "tls", "priority", "weight", "enabled"):
                if name in data and data[name] is None:
                    raise ValueError(f"{name} cannot be null")
        return data


class Throttle(BaseModel):
    """A provider that asked for less (421, 4.7.x), and how much it gets until it has all again."""

    provider: str
    per_second: float
    paused_for_s: float


class RouteOut(BaseModel):
    """A way out. `failure`: what keeps it from working, as mailers met it; mail waits, or goes by another."""

    id: UUID
    name: str
    kind: Literal["relay", "direct"]
    host: str | None = Field(description="null of a direct route, as are port and tls")
    port: int | None
    tls: Literal["implicit", "starttls", "none"] | None
    username: str | None
    has_password: bool
    priority: int
    weight: int
    enabled: bool
    limits: dict[str, Limit]
    failing_since: datetime | None
    failure: str | None
    slowed: list[Throttle]
    revision: int
    created_at: datetime
    updated_at: datetime


class RouteCheck(BaseModel):
    """What the server said when it was tried. `stage`: how far it came, or where it ended."""

    ok: bool
    stage: Literal["host", "connect", "tls", "greeting", "password", "auth"]
    said: str
    tls: str | None = Field(description="the version of TLS")
    extensions: list[str] = Field(description="what the server offers (EHLO)")
    seconds: float


async def _routes(request: Request) -> Routes:
    routes: Routes = request.app.state.routes
    return routes


Use = Annotated[Routes, Depends(_routes)]


@router.post(
    "",
    status_code=201,
    dependencies=[allow("routes:write")],
    responses=problems(RouteNameTaken, RouteHostRefused, InvalidRoute, DirectNotOffered),
)
async def create_route(body: RouteCreate, tx: Tx, caller: Caller, use: Use, response: Response) -> RouteOut:
    """Make a route. From now on this workspace's mail goes over its own routes only."""
    row = await use.create(tx, caller.workspace_id, _values(body))
    set_etag(response, row["revision"])
    return _out(row, ())


@router.get("", dependencies=[allow("routes:read")])
async def list_routes(tx: Tx, caller: Caller, paging: Paging) -> Page[RouteOut]:
    """Newest first."""
    after = paging.after(UUID)
    found = await rows.page(tx, caller.workspace_id, after[0] if after else None, paging.limit + 1)
    paces = await budgets.of_routes(tx, caller.workspace_id, [row["id"] for row in found])
    return page(found, paging, lambda row: _out(row, paces), lambda row: (row["id"],))


@router.get("/{route_id}", dependencies=[allow("routes:read")], responses=problems(RouteNotFound))
async def get_route(route_id: UUID, tx: Tx, caller: Caller, response: Response) -> RouteOut:
    """One route."""
    row = await require(tx, caller.workspace_id, route_id)
    set_etag(response, row["revision"])
    return _out(row, await budgets.of_routes(tx, caller.workspace_id, [route_id]))


@router.patch(
    "/{route_id}",
    dependencies=[allow("routes:write")],
    responses=problems(RouteNotFound, RouteNameTaken, RouteHostRefused, InvalidRoute, PreconditionFailed),
)
async def update_route(
    route_id: UUID, body: RouteUpdate, tx: Tx, caller: Caller, use: Use, response: Response, if_match: IfMatch = None
) -> RouteOut:
    """Change a route (RFC 7396). Mailers know of it within two seconds."""
    row = await require(tx, caller.workspace_id, route_id, lock=True)
    require_match(if_match, row["revision"])
    changes = _values(body, unset=False)
    if "limits" in changes:
        changes["limits"] = merge_patch(row["limits"], changes["limits"]) if changes["limits"] is not None else {}
    row = await use.change(tx, row, changes)
    set_etag(response, row["revision"])
    return _out(row, await budgets.of_routes(tx, caller.workspace_id, [route_id]))


@router.delete("/{route_id}", status_code=204, dependencies=[allow("routes:write")], responses=problems(RouteNotFound))
async def delete_route(route_id: UUID, tx: Tx, caller: Caller) -> None:
    """Delete a route. Its messages go by another; without another, over the platform's."""
    await require(tx, caller.workspace_id, route_id, lock=True)
    await rows.delete(tx, caller.workspace_id, route_id)


@router.post("/{route_id}/check", dependencies=[allow("routes:write")], responses=problems(RouteNotFound, InvalidRoute))
@own_transaction
async def check_route(route_id: UUID, db: Db, caller: Caller, use: Use) -> RouteCheck:
    """Connect, with TLS and user name, and say what the server said. Nothing is sent."""
    async with db.transaction(caller.workspace_id, readonly=True) as tx:
        row = await require(tx, caller.workspace_id, route_id)
    found = await use.check(row)
    return RouteCheck(
        ok=found.ok,
        stage=found.stage,
        said=found.said,
        tls=found.tls,
        extensions=found.extensions,
        seconds=found.seconds,
    )


def _values(body: RouteCreate | RouteUpdate, *, unset: bool = True) -> dict[str, Any]:
    values = body.model_dump(exclude_unset=not unset, exclude_none=False)
    if isinstance(values.get("password"), SecretStr):
        values["password"] = values["password"].get_secret_value()
    if unset and values["limits"] is not None:
        values["limits"] = {
            name: {k: v for k, v in one.items() if v is not None} for name, one in values["limits"].items()
        }
    return values


def _out(row: asyncpg.Record, paces: "tuple[()] | list[asyncpg.Record]") -> RouteOut:
    relay = row["kind"] == "relay"
    return RouteOut(
        **{name: row[name] if relay else None for name in ("host", "port", "tls")},
        **{name: row[name] for name in ("id", "name", "kind", "username", "priority", "weight")},
        **{name: row[name] for name in ("enabled", "failing_since", "failure", "revision", "created_at", "updated_at")},
        has_password=row["password"] is not None,
        limits=row["limits"],
        slowed=[found for pace in paces if pace["route_id"] == row["id"] and (found := _slowed(pace)) is not None],
    )


def _slowed(row: asyncpg.Record) -> Throttle | None:
    pace, now = budgets.pace_of(row), row["now"]
    rate = pace.rate(now, None)
    if rate is None and pace.paused_until <= now:
        return None
    paused = max(0.0, pace.paused_until - now)
    return Throttle(provider=row["provider"], per_second=round(rate or 0, 3), paused_for_s=round(paused, 1))
