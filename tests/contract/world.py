"""Two workspaces with something of everything in a service, made by its own API and consumers."""

import asyncio
import importlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import httpx
import orjson
from common.contracts.topics import BY_CONTRACT
from common.ids import new_id, purpose_id
from common.settings import load
from common.testing.deliver import deliver_records
from common.testing.examples import all_examples, examples
from common.web.openapi import operations
from fastapi import FastAPI

from tests.contract.bodies import BODIES, SEEDS
from tests.contract.services import consumers_of
from tests.fixtures.access import TestKeys
from tests.fixtures.databases import ServiceDatabase

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PLUMBING = ("outbox", "inbox", "idempotency_keys", "revoked_access", "consumer_offsets", "dead_letters")
# Things that paths name by something else than an id: resource, column, table.
_NAMED = {
    "contacts": [("attributes", "name", "attribute_definitions"), ("definitions", "name", "event_definitions")],
}
_COLUMNS = """
select c.table_name, c.column_name from information_schema.columns c
join information_schema.tables t using (table_schema, table_name)
where c.table_schema = 'public' and c.data_type = 'uuid' and t.table_type = 'BASE TABLE'
  and exists (select from information_schema.columns w
              where w.table_schema = 'public' and w.table_name = c.table_name and w.column_name = 'workspace_id')
order by c.table_name, c.ordinal_position
"""


@dataclass
class Operation:
    """One operation of the service's OpenAPI document."""

    path: str
    method: str
    spec: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.spec["operationId"])

    @property
    def public(self) -> bool:
        return not self.spec["security"]

    @property
    def path_parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def streams(self) -> bool:
        """Whether it answers with server-sent events, which need not end."""
        return {"ticket": []} in self.spec["security"]

    @property
    def id_parameters(self) -> list[str]:
        """The parameters, in path and query, that name a thing."""
        return self.path_parameters + [
            one["name"]
            for one in self.spec.get("parameters", ())
            if one["in"] == "query" and "'format': 'uuid'" in str(one["schema"])
        ]

    @property
    def needed(self) -> list[str]:
        """The parameters without which it cannot be called."""
        required = {one["name"] for one in self.spec.get("parameters", ()) if one.get("required")}
        return [name for name in self.id_parameters if name in required]

    @property
    def body_schema(self) -> dict[str, Any] | None:
        content = self.spec.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("schema")

    @property
    def upload(self) -> bool:
        return "multipart/form-data" in self.spec.get("requestBody", {}).get("content", {})


@dataclass
class Workspace:
    """One tenant: what it has is known by table and column."""

    id: UUID
    token: str
    ids: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def candidates(self, name: str) -> list[str]:
        """Ids that a parameter or field of this name may mean, the likeliest first."""
        stem = re.sub(r"_ids?$", "", name).split("_")[-1]
        tables = {stem, f"{stem}s", f"{stem[:-1]}ies" if stem.endswith("y") else f"{stem}es"}
        found: list[str] = []
        for wanted in (
            lambda table, column: column == "id" and table in tables,
            lambda table, column: column == f"{stem}_id" and table in tables,
            lambda table, column: column == f"{stem}_id",
            lambda table, column: column == "id" and any(table.endswith(f"_{t}") for t in tables),
            lambda table, column: column.endswith(f"_{stem}_id"),
        ):
            for (table, column), values in self.ids.items():
                if wanted(table, column):
                    found += values
        return list(dict.fromkeys(found))


@dataclass
class World:
    """A service's application with two seeded workspaces, `mine` and `foreign`."""

    app: FastAPI
    client: httpx.AsyncClient
    database: ServiceDatabase
    operations: list[Operation]
    mine: Workspace
    foreign: Workspace
    _counter: int = 0

    async def call(
        self, operation: Operation, workspace: Workspace, ids: dict[str, str], body: Any = None
    ) -> httpx.Response:
        """Call an operation with this workspace's token."""
        headers = {"Authorization": f"Bearer {workspace.token}"}
        path = re.sub(r"{(\w+)}", lambda match: ids[match[1]], operation.path)
        query = {name: value for name, value in ids.items() if f"{{{name}}}" not in operation.path}
        options: dict[str, Any] = {"params": query} if query else {}
        if operation.upload:
            body = body or {}
            options |= {**body, "data": {name: json.dumps(one) for name, one in body.get("data", {}).items()}}
        elif body is not None:
            options["json"] = body
        asked = self.client.request(operation.method, path, headers=headers, **options)
        if not operation.streams:
            return await asked
        try:
            return await asyncio.wait_for(asked, 1)
        except TimeoutError:
            return httpx.Response(200, text="a stream that goes on")

    def body(self, operation: Operation, workspace: Workspace) -> Any:
        """A valid body: from the table, or made from the schema; with ids of this workspace."""
        self._counter += 1
        if operation.id in BODIES:
            return _filled(BODIES[operation.id], workspace, self._counter)
        if operation.upload:
            raise LookupError(f"{operation.id} takes an upload: write its body in tests/contract/bodies.py")
        if operation.body_schema is None:
            return None
        made = sample(operation.body_schema, self.app.openapi())
        return _filled(made, workspace, self._counter)

    def own_ids(self, operation: Operation, workspace: Workspace) -> dict[str, str]:
        """Ids of this workspace for the operation's parameters."""
        return {name: (self.candidates(operation, name, workspace) or [str(new_id())])[0] for name in operation.needed}

    def candidates(self, operation: Operation, name: str, workspace: Workspace) -> list[str]:
        """What the parameter may mean: ids, or for a name the names of the resource before it in the path."""
        resource = operation.path.split(f"/{{{name}}}")[0].split("/")[-1]
        return workspace.ids.get((resource, name)) or workspace.candidates(name)

    async def harvest(self) -> None:
        """Learn what each workspace has."""
        async with self.database.worker.connection() as connection:
            columns = [tuple(row) for row in await connection.fetch(_COLUMNS)]
            for workspace in (self.mine, self.foreign):
                workspace.ids.clear()
                for table, column in columns:
                    if table.startswith(_PLUMBING) or column == "workspace_id":
                        continue
                    # A table of several kinds of things counts as one table per kind.
                    rows = await connection.fetch(
                        f'select distinct coalesce(to_jsonb(t)->>$$kind$$ || $$s$$, $2), "{column}"::text'
                        f' from "{table}" t where workspace_id = $1 and "{column}" is not null limit 16',
                        workspace.id,
                        table,
                    )
                    for kind, value in rows:
                        for name in {kind, table}:
                            workspace.ids.setdefault((name, column), []).append(value)
                workspace.ids[("workspaces", "id")] = [str(workspace.id)]
                for resource, column, table in _NAMED.get(self.database.service, ()):
                    rows = await connection.fetch(
                        f'select "{column}" from "{table}" where workspace_id = $1', workspace.id
                    )
                    workspace.ids[(resource, column)] = [row[0] for row in rows]

    async def everything_of(self, workspace: Workspace) -> dict[str, str]:
        """Table → digest of all rows of a workspace, to see whether anything changed."""
        async with self.database.worker.connection() as connection:
            tables = sorted({row[0] for row in await connection.fetch(_COLUMNS)})
            return {
                table: await connection.fetchval(
                    f'select coalesce(md5(string_agg(t::text, chr(10) order by t::text)), $$$$) from "{table}" t'
                    " where workspace_id = $1",
                    workspace.id,
                )
                for table in tables
                if not table.startswith(("idempotency_keys", "inbox"))
            }


def _filled(value: Any, workspace: Workspace, n: int) -> Any:
    """`{sender_id}` becomes an id of this workspace, `{n}` a number of its own, `{tomorrow}` a time."""
    if isinstance(value, dict):
        return {name: _filled(one, workspace, n) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, workspace, n) for one in value]
    if isinstance(value, tuple):
        return tuple(_filled(one, workspace, n) for one in value)
    if isinstance(value, str) and (match := re.fullmatch(r"{(\w+_id)s?(?::(\d))?}", value)):
        found, place = workspace.candidates(match[1]), int(match[2] or 1) - 1
        if len(found) <= place:
            raise LookupError(f"the seeds make nothing for {value}")
        return found[place]
    if value == "{tomorrow}":
        return (datetime.now(UTC) + timedelta(days=1)).isoformat()
    return value.replace("{n}", str(n)) if isinstance(value, str) else value


def sample(schema: dict[str, Any], document: dict[str, Any], name: str = "") -> Any:
    """A small valid value for a schema: what is required, and every id."""
    if "$ref" in schema:
        return sample(document["components"]["schemas"][schema["$ref"].split("/")[-1]], document, name)
    if "anyOf" in schema:
        return sample(next(one for one in schema["anyOf"] if one.get("type") != "null"), document, name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", ())
        return {
            key: sample(one, document, key)
            for key, one in schema.get("properties", {}).items()
            if key in required or _has_id(one, document)
        }
    if kind == "array":
        return [sample(schema["items"], document, name)] if schema.get("minItems") or _has_id(schema, document) else []
    if kind in {"integer", "number"}:
        return schema.get("minimum", 1)
    if kind == "boolean":
        return True
    by_format = {
        "uuid": "{" + re.sub(r"_ids$", "_id", name) + "}",
        "date-time": "{tomorrow}",
        "date": "2026-03-21",
    }
    if schema.get("format") in by_format:
        return by_format[schema["format"]]
    return "person{n}@example.com" if "email" in name else "x{n}".ljust(schema.get("minLength", 1), "x")


def _has_id(schema: dict[str, Any], document: dict[str, Any]) -> bool:
    text = str(schema)
    for reference in re.findall(r"#/components/schemas/(\w+)", text):
        text += str(document["components"]["schemas"][reference])
    return "'format': 'uuid'" in text


def with_foreign_ids(body: Any, mine: Workspace, foreign: Workspace, name: str = "") -> Iterator[tuple[str, Any]]:
    """The body once per id in it, that id replaced by one of the foreign workspace."""
    if isinstance(body, dict):
        for key, value in body.items():
            for where, changed in with_foreign_ids(value, mine, foreign, key):
                yield f"/{key}{where}", {**body, key: changed}
    elif isinstance(body, list):
        for n, value in enumerate(body):
            for where, changed in with_foreign_ids(value, mine, foreign, name):
                yield f"/{n}{where}", [*body[:n], changed, *body[n + 1 :]]
    elif isinstance(body, str) and _UUID.fullmatch(body) and body in mine.candidates(name):
        for candidate in foreign.candidates(name)[:1]:
            yield "", candidate


def _of_workspace(payload: str, workspace: UUID, known: dict[str, str]) -> str:
    return _UUID.sub(lambda match: known.get(match[0]) or str(uuid5(workspace, match[0])), payload)


async def _deliver_examples(service: str, database: ServiceDatabase, workspace: UUID) -> None:
    """Every example event through every consumer, its ids made this workspace's own."""
    full = next(e for e in all_examples() if e.topic.name == "workspace.changed" and e.name == "full")
    known = {purpose["id"]: str(purpose_id(workspace, purpose["key"])) for purpose in full.data["purposes"]}
    known[full.headers["ce_workspaceid"]] = str(workspace)
    for consumer in consumers_of(service):
        topics = [BY_CONTRACT[subscription.contract] for subscription in consumer.subscriptions]
        for topic in topics:
            if topic.name in {"lead.erased", "access.revoked", "list.changed", "segment.changed", "sender.changed"}:
                # Erasure and deletion would leave nothing to look for.
                found = [example for example in examples(topic) if example.name == "minimal"]
                found = [example for example in found if topic.name not in {"lead.erased", "access.revoked"}]
            else:
                found = list(examples(topic))
            records = []
            for example in found:
                record = example.record()
                headers = orjson.loads(_of_workspace(orjson.dumps(example.headers).decode(), workspace, known))
                records.append(
                    type(record)(
                        id=UUID(headers["ce_id"]),
                        topic=record.topic,
                        type=record.type,
                        source=record.source,
                        workspace_id=workspace,
                        time=record.time,
                        key=headers["ce_subject"],
                        payload=_of_workspace(record.payload, workspace, known),
                        lane=record.lane,
                    )
                )
            if records:
                await deliver_records(database.worker, consumer, records)


async def _set_aside(database: ServiceDatabase, workspace: UUID) -> None:
    """Mails that a workspace's own came to and that nobody could read; no API and no event makes them."""
    async with database.worker.connection() as connection:
        await connection.execute(
            """
            insert into set_aside (id, source, why, envelope, mail, workspace_id)
            select gen_random_uuid(), 'lmtp', 'unreadable', '{b@mail.test}', $2, $1 from generate_series(1, 3)
            """,
            workspace,
            f"From: mx@{workspace}.example\n\nno such user".encode(),
        )


def build_app(service: str) -> FastAPI:
    """The service's application, with settings from the environment."""
    main = importlib.import_module(f"{service}.main")
    settings = importlib.import_module(f"{service}.settings")
    app: FastAPI = main.create_app(load(settings.Settings))
    return app


def operations_of(app: FastAPI) -> list[Operation]:
    """Every operation of the application."""
    return [Operation(path, method, spec) for path, method, spec in operations(app.openapi())]


@asynccontextmanager
async def two_workspaces(
    service: str, database: ServiceDatabase, keys: TestKeys, service_env: Callable[..., Any]
) -> AsyncIterator[World]:
    """The service with `mine` and `foreign` seeded alike."""
    service_env(service, database, BARID_TOKEN_SIGNING_KEY=keys.private)
    app = build_app(service)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client,
    ):
        pair = []
        for name in ("mine", "foreign"):
            workspace_id, token = new_id(), ""
            if service == "campaigns":
                made = await client.post(
                    "/v1/workspaces",
                    json={"name": name, "postal_address": "Tehran 13145", "owner": {"email": f"{name}@example.com"}},
                    headers={"Authorization": f"Bearer {keys.token(new_id())}"},
                )
                assert made.status_code == 201, made.text
                workspace_id, token = UUID(made.json()["id"]), made.json()["token"]
            pair.append(Workspace(workspace_id, token or keys.token(workspace_id)))
        world = World(app, client, database, operations_of(app), *pair)
        by_id = {operation.id: operation for operation in world.operations}
        for workspace in pair:
            await _deliver_examples(service, database, workspace.id)
            if service == "delivery":
                await _set_aside(database, workspace.id)
            for name in SEEDS.get(service, ()):
                await world.harvest()
                operation = by_id[name]
                body = world.body(operation, workspace)
                made = await world.call(operation, workspace, world.own_ids(operation, workspace), body)
                assert made.is_success, f"seed {name}: {made.status_code} {made.text}"
        await world.harvest()
        yield world
