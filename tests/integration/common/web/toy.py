"""A small application over a real service database: its effects are rows of the outbox."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.campaigns import AccessRevokedV1
from common.errors import Conflict, NotFound
from common.outbox.writer import Outgoing, record
from common.settings import ServiceSettings
from common.web.app import create_app
from common.web.etags import IfMatch, require_match, set_etag
from common.web.route import Caller, Db, Tx, allow, own_transaction, service_router
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict


class ThingCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")
    subject_id: UUID
    tags: list[str] = []


class Gate:
    """Holds a request open inside its transaction until the test lets it go."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go = asyncio.Event()


async def write(tx: Any, workspace_id: UUID, subject_id: UUID) -> None:
    data = AccessRevokedV1(subject_kind="token", subject_id=subject_id, not_before=datetime.now(UTC))
    await record(tx, [Outgoing(workspace_id, data)])


def toy_app(api_url: str, public_keys: str, gate: Gate | None = None, **settings: Any) -> FastAPI:
    router = service_router("/things", "things")

    @router.post("", status_code=201, dependencies=[allow("contacts:write")])
    async def create_thing(body: ThingCreate, tx: Tx, caller: Caller, response: Response) -> ThingCreate:
        await write(tx, caller.workspace_id, body.subject_id)
        response.headers["Location"] = f"/v1/things/{body.subject_id}"
        set_etag(response, 1)
        if gate is not None:
            gate.entered.set()
            await gate.go.wait()
        return body

    @router.post("/{thing_id}/break", dependencies=[allow("contacts:write")])
    async def break_thing(thing_id: UUID, how: str, tx: Tx, caller: Caller) -> dict[str, str]:
        await write(tx, caller.workspace_id, thing_id)
        if how == "conflict":
            raise Conflict("The thing is busy", mend="Wait", thing=str(thing_id))
        if how == "crash":
            raise ZeroDivisionError("secret detail")
        if how == "swallow":
            with suppress(asyncpg.DivisionByZeroError):
                await tx.execute("select 1/0")
        if how == "kill":
            await tx.execute("select pg_terminate_backend(pg_backend_pid())")
        return {"how": how}

    @router.get("", dependencies=[allow("contacts:read")])
    async def list_things(tx: Tx, limit: int = 10) -> dict[str, Any]:
        return {
            "workspace": await tx.fetchval("select current_setting('barid.workspace', true)"),
            "readonly": await tx.fetchval("show transaction_read_only"),
            "limit": limit,
        }

    @router.get("/{thing_id}", dependencies=[allow("contacts:read")])
    async def get_thing(thing_id: UUID) -> dict[str, str]:
        raise NotFound

    @router.patch("/{thing_id}", dependencies=[allow("contacts:write")])
    async def update_thing(thing_id: UUID, if_match: IfMatch = None) -> dict[str, str]:
        require_match(if_match, 3)
        return {}

    @router.post("/upload", status_code=202, dependencies=[allow("imports:write")], max_body_size=10_000)
    @own_transaction
    async def upload_things(request: Request, db: Db, caller: Caller) -> dict[str, Any]:
        body = await request.body()
        async with db.transaction(caller.workspace_id) as tx:
            await write(tx, caller.workspace_id, caller.subject_id)
        return {"bytes": len(body), "tx": hasattr(request.state, "tx")}

    public = APIRouter()

    @public.get("/f/{form}")
    async def show_form(form: str) -> dict[str, str]:
        return {"form": form}

    return create_app(
        service="contacts",
        title="Toy",
        settings=ServiceSettings(api_database_url=api_url, token_keys=public_keys, **settings),
        routers=[router],
        public_routers=[public],
        max_body=5_000,
    )
