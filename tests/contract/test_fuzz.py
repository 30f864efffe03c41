"""A short schemathesis run on each service, on things that exist: no 5xx, and answers as documented."""

import asyncio
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from common.web.openapi import operations
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from pydantic import BaseModel
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.services import SERVICES
from tests.contract.world import Workspace, World, operations_of, two_workspaces
from tests.fixtures.databases import service_database
from tests.fixtures.properties import times

EXAMPLES = times(6, 100)
# Services with so many operations that they are done in parts, side by side.
PARTS = {"contacts": 4}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer("message/rfc822")
def _mail(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


def fuzz(world: World, loop: asyncio.AbstractEventLoop, part: int = 0, parts: int = 1) -> list[str]:
    """Runs in a thread of its own, as hypothesis is not asynchronous; requests go to the loop of the application.

    Only every `parts`th operation, from `part` on.
    """
    failures: list[str] = []
    by_id = {operation.id: operation for operation in world.operations}
    document = schemathesis.openapi.from_dict(world.app.openapi())
    found = [result.ok() for result in document.get_all_operations()]
    for operation in sorted(found[part::parts], key=lambda one: one.method.lower() == "delete"):
        known = by_id[operation.definition.raw["operationId"]]
        if known.streams:
            continue  # it need not end; tests of their own read streams
        own = {name: one for name, one in world.own_ids(known, world.mine).items() if name in known.path_parameters}
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            fixed: dict[str, Any] = {"path_parameters": own} if own else {}

            @_QUIET
            @given(case=operation.as_strategy(generation_mode=mode, **fixed))
            def attempt(case: Any) -> None:
                response = asyncio.run_coroutine_threadsafe(send(world, case), loop).result(30)
                case.validate_response(response, checks=CHECKS)

            try:
                attempt()
            except Unsatisfiable:
                # Nothing about this operation can be wrong.
                assert mode is schemathesis.GenerationMode.NEGATIVE, known.id
            except (Exception, BaseExceptionGroup) as error:
                reasons = getattr(error, "exceptions", [error])
                failures += [f"{known.id}: {str(reason)[:1500]}" for reason in reasons]
    return failures


async def send(world: World, case: Any) -> httpx.Response:
    sent = requests.Request(**case.as_transport_kwargs(base_url="http://test")).prepare()
    headers = {**sent.headers, "Authorization": f"Bearer {world.mine.token}"}
    headers.pop("Content-Length", None)
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body
    async with asyncio.timeout(20):
        return await world.client.request(str(sent.method), str(sent.url), headers=headers, content=body)


@pytest.mark.parametrize(("service", "part"), [(one, n) for one in SERVICES for n in range(PARTS.get(one, 1))])
async def test_no_input_breaks_the_service(service, part, postgres, keys, service_env) -> None:
    async with (
        service_database(postgres, service) as database,
        two_workspaces(service, database, keys, service_env) as world,
    ):
        before = await world.everything_of(world.foreign)
        failures = await asyncio.to_thread(fuzz, world, asyncio.get_running_loop(), part, PARTS.get(service, 1))
        assert await world.everything_of(world.foreign) == before
    assert failures == [], "\n\n".join(failures)


async def test_the_run_finds_planted_faults(workspace_id) -> None:
    """A crash, an undocumented shape and an undocumented status, each in a route of its own."""
    app = FastAPI()

    class Body(BaseModel):
        n: int

    @app.post("/crash")
    async def make_crash(body: Body) -> None:
        raise ZeroDivisionError(body.n)

    @app.get("/shape", response_model=Body)
    async def get_shape() -> Response:
        return JSONResponse({"m": "x"})

    @app.get("/status")
    async def get_status() -> Response:
        return JSONResponse({}, 418)

    @app.get("/sound")
    async def get_sound() -> Body:
        return Body(n=1)

    for _path, _method, operation in operations(app.openapi()):
        operation["operationId"] = operation["summary"].lower().replace(" ", "_")
        operation["security"] = []
    mine, foreign = Workspace(workspace_id, "none"), Workspace(workspace_id, "none")
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        world = World(app, client, None, operations_of(app), mine, foreign)  # type: ignore[arg-type]
        failures = await asyncio.to_thread(fuzz, world, asyncio.get_running_loop())

    assert {failure.split(":")[0] for failure in failures} == {"make_crash", "get_shape", "get_status"}
