"""Pages of GET /v1/contacts by cursor, through the whole application, at the head of the list and deep in it.

The figures are 95th percentiles in ms. Every page of the list is read once to get there, and counted.
"""

import base64
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
from common.ids import new_id
from common.web.tokens import new_signing_key, sign
from contacts.main import create_app
from contacts.settings import Settings

from tests.fixtures.access import LINK_KEYS
from tests.fixtures.databases import ServiceDatabase
from tests.load.crowds import fill
from tests.load.figures import Figure
from tests.load.server import database

ROWS = int(os.environ.get("LOAD_LIST_ROWS", "200000"))
RUNS = 300
WALK = 200  # the most a page may have
PEPPER = base64.b64encode(b"p" * 32).decode()
LISTS = {"list_page": "-id", "list_page_by_email": "email", "list_page_by_score": "-score"}


async def run() -> list[Figure]:
    """Each order the list may have, over the same contacts."""
    workspace_id = new_id()
    private, public = new_signing_key()
    token = sign(private, workspace_id=workspace_id, subject_id=new_id(), role="viewer", ttl_s=3600)
    async with database("contacts") as contacts:
        await fill(contacts.worker, workspace_id, ROWS)
        await vacuum(contacts.owner_url)
        async with application(contacts, public, token) as client:
            return [figure for name, sort in LISTS.items() for figure in await measure(client, name, sort)]


async def vacuum(owner_url: str, tables: str = "contacts") -> None:
    """As autovacuum leaves it after an import."""
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute(f"vacuum analyze {tables}", timeout=600)
    finally:
        await owner.close()


@asynccontextmanager
async def application(contacts: ServiceDatabase, public: str, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """The API of contacts, under its own role."""
    app = create_app(Settings(api_database_url=contacts.api_url, token_keys=public, pepper=PEPPER, link_keys=LINK_KEYS))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://bench",
            headers={"Authorization": f"Bearer {token}"},
        ) as client,
    ):
        yield client


async def measure(client: httpx.AsyncClient, name: str, sort: str) -> list[Figure]:
    """The whole list once; then first pages, and pages of its last tenth, of the usual size and in turn."""
    cursors = await walk(client, sort)
    deep = cursors[len(cursors) * 9 // 10 : -1]
    first_s: list[float] = []
    deep_s: list[float] = []
    for n in range(RUNS + 1):
        first_s.append(await timed(client, {"sort": sort}))
        deep_s.append(await timed(client, {"sort": sort, "cursor": deep[n * len(deep) // (RUNS + 1)]}))
    return [figure(name, first_s[1:]), figure(f"{name}_deep", deep_s[1:])]


async def walk(client: httpx.AsyncClient, sort: str) -> list[str]:
    """The cursors of all pages. Raises AssertionError unless everybody is there, once."""
    seen: set[str] = set()
    cursors: list[str] = []
    while True:
        more = {"cursor": cursors[-1]} if cursors else {}
        found = await page(client, {"sort": sort, "limit": WALK, **more})
        ids = {one["id"] for one in found["items"]}
        if len(ids) != len(found["items"]) or seen & ids:
            raise AssertionError(f"somebody is listed twice by {sort}")
        seen |= ids
        if found["next_cursor"] is None:
            break
        cursors.append(found["next_cursor"])
    if len(seen) != ROWS:
        raise AssertionError(f"{len(seen)} of {ROWS} contacts are listed by {sort}")
    return cursors


async def timed(client: httpx.AsyncClient, params: dict[str, Any]) -> float:
    """Seconds of one page."""
    started = time.perf_counter()
    found = await page(client, params)
    took = time.perf_counter() - started
    if len(found["items"]) != 50:
        raise AssertionError(f"{len(found['items'])} on a page")
    return took


async def page(client: httpx.AsyncClient, params: dict[str, Any]) -> dict[str, Any]:
    """One page."""
    answer = await client.get("/v1/contacts", params=params)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def figure(name: str, times: list[float]) -> Figure:
    """The 95th percentile."""
    return Figure(name, sorted(times)[int(len(times) * 0.95)] * 1000, "ms p95", len(times), round(sum(times), 3))
