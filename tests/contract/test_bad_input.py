"""Every route × what nobody should send: a problem document that says how to mend it, never 5xx, nothing changed."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.services import SERVICES
from tests.contract.world import Operation, World, sample, two_workspaces
from tests.fixtures.databases import ServiceDatabase, service_database

DEEP = b"[" * 10_000 + b"]" * 10_000
HUGE = 10**400
# What makes a body's names unique; each request gets a number of its own instead.
STAMP = 987654321


BAD_HEADERS = {
    "text": {"Content-Type": "text/plain"},
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "another charset": {"Content-Type": "application/json; charset=utf-16"},
    "no type": {"Content-Type": ""},
    "negative length": {"Content-Length": "-1"},
    "length that is no number": {"Content-Length": "many"},
    "long key": {"Idempotency-Key": "k" * 300},
    "empty key": {"Idempotency-Key": ""},
    "unprintable key": {"Idempotency-Key": "a\tb"},
    "stale": {"If-Match": '"r999999"'},
    "no tag": {"If-Match": "\t"},
}
NEXT_TRANSACTION = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
# What a transaction that was undone had written is not visible.
CHANGED = 'select exists (select from "{0}" where xmin::text::bigint >= $1)'


async def tables_of(database: ServiceDatabase) -> list[str]:
    """Every table of a service but the alembic version and what processes write by themselves."""
    async with database.worker.connection() as connection:
        rows = await connection.fetch(
            "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        )
    return [row["relname"] for row in rows if row["relname"] not in {"alembic_version"}]


def _everywhere(body: Any, bad: Any) -> Iterator[tuple[str, Any]]:
    """The body once per value in it, that value replaced."""
    if isinstance(body, dict):
        for key, value in body.items():
            yield f"/{key}", {**body, key: bad}
            for where, changed in _everywhere(value, bad):
                yield f"/{key}{where}", {**body, key: changed}
    elif isinstance(body, list):
        for n, value in enumerate(body):
            yield f"/{n}", [*body[:n], bad, *body[n + 1 :]]
            for where, changed in _everywhere(value, bad):
                yield f"/{n}{where}", [*body[:n], changed, *body[n + 1 :]]


def _objects(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schemas a value of this schema may have that say what an object's properties are."""
    if "$ref" in schema:
        yield from _objects(document["components"]["schemas"][schema["$ref"].split("/")[-1]], document)
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _objects(one, document)
    if "properties" in schema:
        yield schema


def _with_property(valid: Any, schema: dict[str, Any], document: dict[str, Any], bad: Any) -> Iterator[tuple[str, Any]]:
    """The valid body with each property its schema allows set to the bad value, two levels deep."""
    base = valid if isinstance(valid, dict) else {}
    for known in _objects(schema, document):
        for name, of_name in known["properties"].items():
            yield f"/{name}", {**base, name: bad}
            if of_name.get("type") == "object":
                yield f"/{name}/x", {**base, name: {"x": bad, "city": bad}}
            if of_name.get("type") == "array":
                yield f"/{name}/0", {**base, name: [bad]}
            for inner in _objects(of_name, document):
                within = {**sample(inner, document), **(base.get(name) or {})}
                for deeper in inner["properties"]:
                    yield f"/{name}/{deeper}", {**base, name: {**within, deeper: bad}}


def bad_bodies(world: World, operation: Operation) -> Iterator[tuple[str, bytes]]:
    """What is sent in place of this operation's JSON body."""
    for name, raw in {
        "empty": b"",
        "cut": b"{",
        "null": b"null",
        "list": b"[]",
        "text": b'"x"',
        "number": b"1",
        "not utf-8": b'{"name":"\xff"}',
        "deep": DEEP,
        "deep object": b'{"name":' * 10_000 + b"1" + b"}" * 10_000,
        "many names": json.dumps({f"n{n}": n for n in range(10_000)}).encode(),
        "huge": b'{"name":"' + b"x" * (5 * 1024 * 1024) + b'"}',
        "doubled name": b'{"name":"a","name":{}}',
    }.items():
        yield name, raw
    world._counter = STAMP - 1
    valid = world.body(operation, world.mine)
    schema, document = operation.body_schema or {}, world.app.openapi()
    for name, bad in {
        "NUL": "a\0b",
        "lone surrogate": "a\ud800b",
        "NUL within": {"a\0": ["b\0"]},
        "huge number": HUGE,
        "NaN": float("nan"),
        "long": "x" * 200_000,
        "first year": "0001-01-01T00:00:00+14:00",
    }.items():
        seen: set[str] = set()
        for where, changed in (*_everywhere(valid, bad), *_with_property(valid, schema, document, bad)):
            if where not in seen:
                seen.add(where)
                yield f"{name} at {where}", json.dumps(changed).encode()
    many = {"attributes": {f"k{n}": "v" for n in range(10_000)}}
    yield "many keys", json.dumps({**valid, **many} if isinstance(valid, dict) else [many]).encode()
    if isinstance(valid, dict):
        yield "unknown field", json.dumps({**valid, "surprise\0": 1}).encode()


def _cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


CURSORS = [
    "x",
    "A" * 1999,
    "\0",
    "é",
    *(
        _cursor(value)
        for value in (
            [],
            {},
            None,
            [None],
            [None, None],
            [None, None, None],
            ["a\0", "b\0"],
            ["created_at", "a\0", "b"],
            ["name", "a\0", "01890000-0000-7000-8000-000000000001"],
            ["-created_at", "9999-12-31T23:59:59-14:00", "01890000-0000-7000-8000-000000000001"],
            ["-created_at", "0001-01-01T00:00:00+14:00", "01890000-0000-7000-8000-000000000001"],
            ["0001-01-01T00:00:00+14:00", "01890000-0000-7000-8000-000000000001"],
            ["\ud800", "01890000-0000-7000-8000-000000000001"],
            [2**64, 2**64],
            [2**64],
            ["x" * 500],
            [1e308, "01890000-0000-7000-8000-000000000001"],
        )
    ),
]


def bad_queries(operation: Operation) -> Iterator[tuple[str, dict[str, str]]]:
    """What is sent as this operation's parameters."""
    for parameter in operation.spec.get("parameters", ()):
        if parameter["in"] != "query":
            continue
        name = parameter["name"]
        values = {"limit": ["0", "-1", "1000000000", "1e3", "", "9" * 400], "cursor": CURSORS}.get(
            name, ["\0", "a\0b", "a:eq:\0", "email:eq:\0", "name:contains:\0", "status:in:\0,", ":::", "-", "x" * 5000]
        )
        for value in values:
            yield f"{name}={value[:60]!r}", {name: value}


def wrong(found: httpx.Response) -> str | None:
    """What is the matter with this refusal, if it is one."""
    if found.status_code < 400:
        return None
    if found.status_code >= 500:
        return f"{found.status_code} {found.text[:300]}"
    if found.headers.get("content-type") != "application/problem+json":
        return f"no problem document: {found.status_code} {found.text[:100]}"
    problem = found.json()
    lacking = [name for name in ("type", "title", "code", "detail", "mend") if not problem.get(name)]
    return f"{found.status_code} {problem['code']} without {lacking}" if lacking else None


@pytest.mark.parametrize("service", SERVICES)
async def test_what_cannot_be_understood_is_refused_with_a_way_to_mend_it(service, postgres, keys, service_env) -> None:
    failures: dict[str, str] = {}
    async with (
        service_database(postgres, service) as database,
        two_workspaces(service, database, keys, service_env) as world,
    ):
        tables = await tables_of(database)

        async def attempt(operation: Operation, name: str, **options: Any) -> None:
            path = operation.path
            for parameter, value in world.own_ids(operation, world.mine).items():
                path = path.replace(f"{{{parameter}}}", value)
            headers = {"Authorization": f"Bearer {world.mine.token}", **options.pop("headers", {})}
            path = options.pop("path", path)
            async with database.worker.connection() as connection:
                begin = await connection.fetchval(NEXT_TRANSACTION)
                found = await world.client.request(operation.method, path, headers=headers, **options)
                if problem := wrong(found):
                    failures.setdefault(f"{operation.id} {problem}", name)
                if found.status_code >= 400 and await connection.fetchval(NEXT_TRANSACTION) != begin:
                    changed = [one for one in tables if await connection.fetchval(CHANGED.format(one), begin)]
                    if changed:
                        failures.setdefault(f"{operation.id} {found.status_code} and yet {changed} changed", name)

        for operation in world.operations:
            if operation.public or operation.streams:
                continue
            for name, query in bad_queries(operation):
                await attempt(operation, name, params=query)
            if operation.path_parameters:
                for bad in ("%00", "x", "1" * 3000, "%F0%9F", "..%2f"):
                    path = operation.path
                    for parameter in operation.path_parameters:
                        path = path.replace(f"{{{parameter}}}", bad)
                    await attempt(operation, f"path {bad[:20]}", path=path)
            if operation.body_schema is None:
                continue
            valid = json.dumps(world.body(operation, world.mine)).encode()
            for name, headers in BAD_HEADERS.items():
                await attempt(operation, name, content=valid, headers={"Content-Type": "application/json", **headers})
            for n, (name, raw) in enumerate(bad_bodies(world, operation)):
                content = raw.replace(str(STAMP).encode(), str(n).encode())
                await attempt(operation, name, content=content, headers={"Content-Type": "application/json"})
    assert failures == {}
