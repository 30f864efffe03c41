"""The FastAPI application every service builds: the same health, errors, security and OpenAPI everywhere."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from common.db.pool import Database
from common.db.schema import Schema, UnfitSchema, schema_of
from common.errors import Misconfigured
from common.settings import ServiceSettings
from common.web.access import Revocations
from common.web.context import CatchAll, RequestContext
from common.web.openapi import document
from common.web.problems import add_problem_handlers, answer, is_outage
from common.web.tokens import TokenVerifier

MAX_BODY = 4 * 1024 * 1024
READY_S = 2.0

Resources = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    *,
    service: str,
    title: str,
    settings: ServiceSettings,
    routers: Sequence[APIRouter],
    public_routers: Sequence[APIRouter] = (),
    resources: Resources | None = None,
    description: str = "",
    max_body: int = MAX_BODY,
) -> FastAPI:
    """A service's HTTP application. Raises Misconfigured.

    `routers` come from `common.web.route.service_router` (a bearer token, one transaction per request);
    `public_routers` are plain APIRouters for paths without a login (`/f`, `/p`, `/in`, `/provider`, JWKS).
    The lifespan opens the API role's pool as `app.state.db`; `resources(app)` is an async context manager for
    what else the service keeps open. `app.state.settings` are the settings. A route that takes more than
    `max_body` says so itself: `@router.post(…, max_body_size=…)`.
    """
    url = settings.require_url("api")
    verifier = TokenVerifier(settings.token_keys)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            database = await Database.open(url, name=f"{service}-api", max_size=10, statement_timeout_s=30)
            stack.push_async_callback(database.close)
            app.state.db = database
            app.state.revocations = Revocations(database)
            fresh = asyncio.create_task(app.state.revocations.keep_fresh(), name="revocations")
            stack.push_async_callback(_stop, fresh)
            if resources is not None:
                await stack.enter_async_context(resources(app))
            yield

    app = FastAPI(
        title=title,
        description=description,
        version=_version(),
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=_middleware(service, settings),
    )
    app.state.service = service
    app.state.settings = settings
    app.state.tokens = verifier
    add_problem_handlers(app)
    app.include_router(_health(schema_of(service)))
    for router in (*routers, *public_routers):
        app.include_router(router, max_body_size=max_body)
    app.openapi = lambda: _document_once(app)  # type: ignore[method-assign]
    return app


class _Cors(CORSMiddleware):
    """The installation's origins, but for forms and web sites: each says for itself who may post to it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["path"].startswith(("/f/", "/t/")):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _middleware(service: str, settings: ServiceSettings) -> list[Middleware]:
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if "*" in origins:
        raise Misconfigured("BARID_CORS_ORIGINS must list origins; * is not one")
    cors = Middleware(
        _Cors,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "traceparent"],
        expose_headers=["ETag", "Location", "Retry-After", "X-Trace-Id", "Idempotent-Replayed"],
        max_age=600,
    )
    return [
        Middleware(RequestContext, service=service, https_only=settings.public_url.startswith("https://")),
        *([cors] if origins else []),
        Middleware(CatchAll),
    ]


def _health(schema: Schema) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz(request: Request) -> Response:
        try:
            async with asyncio.timeout(READY_S), request.app.state.db.connection() as connection:
                await schema.check(connection)
        except UnfitSchema as error:
            return _not_ready(error.message)
        except Exception as error:
            if not is_outage(error):
                raise
            return _not_ready("The database does not answer")
        return Response(b'{"status":"ready"}', media_type="application/json")

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


def _not_ready(detail: str) -> Response:
    return answer(503, "not_ready", "Not ready", detail[0].upper() + detail[1:], headers={"Retry-After": "2"})


def _operation_id(route: APIRoute) -> str:
    return route.name


def _document_once(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = document(app)
    return app.openapi_schema


def _version() -> str:
    try:
        return version("barid-common")
    except PackageNotFoundError:
        return "0.1.0"


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
