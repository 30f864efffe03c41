"""Routes that need a caller: identity first, then one transaction per request, committed before the answer starts.

FastAPI runs the exit code of a dependency after the answer has begun, so the transaction belongs to the route
class, not to a dependency: a client never sees 201 for something that was not committed.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response, params
from fastapi.routing import APIRoute
from structlog.contextvars import bind_contextvars

from common.db.pool import Connection, Database
from common.errors import Forbidden
from common.web.idempotency import key_of, once
from common.web.identity import identify
from common.web.roles import SCOPES
from common.web.texts import require_storable
from common.web.tokens import Principal

PREFIX = "/v1"
_F = TypeVar("_F", bound=Callable[..., Any])


class _Scope:
    """Marks a route with the scope it needs; the route class enforces it before the body is read."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self) -> None:
        """Nothing to resolve: the route class has checked."""


def allow(scope: str) -> Any:
    """What a caller needs: `dependencies=[allow("contacts:write")]`. Raises ValueError for an unknown scope."""
    if scope not in SCOPES:
        raise ValueError(f"unknown scope {scope!r}; common.web.roles lists them")
    return Depends(_Scope(scope))


def own_transaction(endpoint: _F) -> _F:
    """The endpoint opens its own transactions through `Db` (uploads, slow work): none is open around it.

    Put it below the route decorator. `Idempotency-Key` is not handled for such a route.
    """
    endpoint.__own_transaction__ = True  # type: ignore[attr-defined]
    return endpoint


def event_stream(endpoint: _F) -> _F:
    """As own_transaction, and `?ticket=` (common.web.sse) is accepted instead of a bearer token."""
    endpoint.__stream_ticket__ = True  # type: ignore[attr-defined]
    return own_transaction(endpoint)


class ServiceRoute(APIRoute):
    """Authenticates, checks the scope, opens the transaction, commits it, and only then lets the answer start."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.scope = _scope_of(options.get("dependencies") or ())
        if self.scope is None:
            raise TypeError(f"{path} ({endpoint.__name__}) says nothing about who may call it: add allow(...)")
        self.own_transaction: bool = getattr(endpoint, "__own_transaction__", False)
        self.stream_ticket: bool = getattr(endpoint, "__stream_ticket__", False)
        extra = dict(options.get("openapi_extra") or {})
        security: list[dict[str, list[str]]] = [{"bearer": []}]
        if self.stream_ticket:
            security.append({"ticket": []})
        options["openapi_extra"] = {"security": security, "x-scope": self.scope, **extra}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, inside identity and transaction."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            caller = await identify(request, ticket_allowed=self.stream_ticket)
            if self.scope not in caller.scopes:
                raise Forbidden(mend=f"This needs the scope {self.scope}", scope=self.scope)
            request.state.caller = caller
            bind_contextvars(workspace_id=str(caller.workspace_id))
            if self.own_transaction:
                return await handle(request)
            return await _in_transaction(request, caller, handle)

        return answer


async def _in_transaction(
    request: Request, caller: Principal, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    key = key_of(request)
    # The body first: a slow client must not hold a transaction open.
    body = await request.body()
    if body and not request.headers.get("content-type", "").startswith("multipart/"):
        require_storable(body)
    database: Database = request.app.state.db
    async with database.transaction(caller.workspace_id, readonly=request.method in {"GET", "HEAD"}) as tx:
        request.state.tx = tx
        if key is None:
            return await handle(request)
        return await once(tx, caller, request, key, lambda: handle(request))


def _scope_of(dependencies: Sequence[params.Depends]) -> str | None:
    scopes = [d.dependency.scope for d in dependencies if isinstance(d.dependency, _Scope)]
    return scopes[-1] if scopes else None


def service_router(prefix: str, tag: str) -> APIRouter:
    """A router for one resource: `service_router("/contacts", "contacts")` serves `/v1/contacts`.

    Every route must say `dependencies=[allow("<scope>")]`. Its function's name is the operation id.
    """
    if not prefix.startswith("/") or prefix.startswith(PREFIX + "/"):
        raise ValueError(f"{prefix!r}: give the resource's path without {PREFIX}, such as /contacts")
    return APIRouter(prefix=PREFIX + prefix, tags=[tag], route_class=ServiceRoute)


async def _tx(request: Request) -> Connection:
    connection: Connection = request.state.tx
    return connection


async def _caller(request: Request) -> Principal:
    principal: Principal = request.state.caller
    return principal


async def _db(request: Request) -> Database:
    database: Database = request.app.state.db
    return database


Tx = Annotated[Connection, Depends(_tx)]
Caller = Annotated[Principal, Depends(_caller)]
Db = Annotated[Database, Depends(_db)]
