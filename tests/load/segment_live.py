"""How long after a change its contact is seen in a segment, while an import runs; and pages of the members.

Through the real processes. The time runs from the answer to the change until the members' table shows it.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from common.db.pool import Database

from tests.load import import_
from tests.load.figures import Figure
from tests.load.server import database

ROWS = int(os.environ.get("LOAD_IMPORT_ROWS", "200000"))
PEOPLE = 500
CHANGES = 20  # at least, while the import runs
PAGES = 100
RULES: list[Any] = [
    {"field": "tags", "op": "contains", "value": "live"},
    {"field": "language", "op": "in", "value": ["fa", "ar"]},
    {"all": [{"field": "attributes.city", "op": "eq", "value": "London"}, {"field": "score", "op": "lt", "value": 10}]},
    {"not": {"event": "email.opened", "op": "at_least", "value": 1, "within": "30d"}},
    {"all": [{"field": "consent", "op": "eq", "value": "subscribed"}, {"field": "attributes.stage", "op": "exists"}]},
]


async def run() -> list[Figure]:
    """Five segments, an import of people none of whom has been seen, and changes of single contacts meanwhile."""
    with tempfile.TemporaryDirectory(prefix="barid-load-segments-") as folder:
        path = Path(folder) / "people.csv"
        import_.write(path)
        async with database("contacts") as contacts, import_.processes(contacts) as (client, _):
            await _post(client, "/v1/attributes", {"name": "city", "type": "text", "indexed": True})
            await _post(client, "/v1/attributes", {"name": "stage", "type": "text"})
            segments = [(await _post(client, "/v1/segments", {"name": f"s{n}", "rule": rule}))["id"]
                        for n, rule in enumerate(RULES)]  # fmt: skip
            people = [(await _post(client, "/v1/contacts", {"email": f"live{n}@example.com"}))["id"]
                      for n in range(PEOPLE)]  # fmt: skip
            await _until(lambda: _built(client, segments[-1]))
            importing = asyncio.create_task(import_.import_file(client, path))
            await asyncio.sleep(1.0)
            times = []
            for contact_id in people:
                times.append(await _seen(contacts.worker, client, segments[0], contact_id))
                if importing.done():  # the last one was changed while it still ran
                    break
            took, _ = await importing
            begun = time.perf_counter()
            await _until(lambda: _caught_up(contacts.worker))
            behind = time.perf_counter() - begun
            pages = await _pages(client, segments[1])
    if len(times) < CHANGES:
        raise AssertionError(f"only {len(times)} changes were made while the import ran; give it more rows")
    return [
        Figure("segment_live", _p95(times) * 1000, "ms p95", len(times), round(sum(times), 3)),
        Figure("segment_live_import", ROWS / took, "rows/s", ROWS, round(took, 3)),
        Figure("segment_live_behind", behind, "s", ROWS, round(behind, 3)),
        Figure("segment_pages", _p95(pages) * 1000, "ms p95", len(pages), round(sum(pages), 3)),
    ]


async def _seen(db: Database, client: httpx.AsyncClient, segment_id: str, contact_id: str) -> float:
    """Tag a contact; how long until it is a member."""
    answer = await client.patch(f"/v1/contacts/{contact_id}", json={"tags": ["live"]})
    answer.raise_for_status()
    begun = time.perf_counter()
    await _until(lambda: _member(db, segment_id, contact_id), 0.01)
    return time.perf_counter() - begun


async def _until(done: Callable[[], Awaitable[bool]], every_s: float = 0.1) -> None:
    async with asyncio.timeout(300):
        while True:
            if await done():
                return
            await asyncio.sleep(every_s)


async def _built(client: httpx.AsyncClient, segment_id: str) -> bool:
    return (await _get(client, f"/v1/segments/{segment_id}"))["size"] is not None


async def _member(db: Database, segment_id: str, contact_id: str) -> bool:
    async with db.connection() as connection:
        sql = "select exists (select from segment_members where segment_id = $1 and contact_id = $2)"
        return bool(await connection.fetchval(sql, segment_id, contact_id))


async def _caught_up(db: Database) -> bool:
    async with db.connection() as connection:
        return not await connection.fetchval("select exists (select from segment_touched)")


async def _pages(client: httpx.AsyncClient, segment_id: str) -> list[float]:
    """Pages one after the other, from the first id to the last ones."""
    times: list[float] = []
    cursor = None
    for _ in range(PAGES):
        begun = time.perf_counter()
        page = await _get(client, f"/v1/segments/{segment_id}/members", cursor=cursor, limit=200)
        times.append(time.perf_counter() - begun)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return times


async def _post(client: httpx.AsyncClient, path: str, body: Any) -> Any:
    answer = await client.post(path, json=body)
    answer.raise_for_status()
    return answer.json()


async def _get(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    answer = await client.get(path, params={name: value for name, value in params.items() if value is not None})
    answer.raise_for_status()
    return answer.json()


def _p95(times: list[float]) -> float:
    return sorted(times)[min(int(len(times) * 0.95), len(times) - 1)]
