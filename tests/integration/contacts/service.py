"""What the tests of contacts share: a client on the API, and the jobs process run until there is nothing to do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from common.jobs import run_jobs
from contacts.jobs import KINDS
from contacts.main import create_app
from contacts.settings import Settings

from tests.fixtures.databases import ServiceDatabase

MAPPING = {
    "Email": "email", "First Name": "first_name", "Last Name": "last_name", "City": "attributes.city",
    "Country": "country", "Language": "language",
}  # fmt: skip
CONSENT = {"status": "subscribed", "purpose": "newsletter", "source": "expo 2026", "evidence": "badge scans"}


def app() -> Any:
    return create_app(Settings())


async def upload(client: httpx.AsyncClient, content: bytes | Path, **options: Any) -> httpx.Response:
    wanted = {"mapping": MAPPING, "create_attributes": True, "consent": CONSENT, **options}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    data = content.read_bytes() if isinstance(content, Path) else content  # noqa: ASYNC240
    return await client.post(
        "/v1/imports", files={"file": ("people.csv", data, "text/csv")}, data={"options": json.dumps(wanted)}
    )


@asynccontextmanager
async def jobs_running(database: ServiceDatabase) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_jobs(database.worker, KINDS, (), stop, service="contacts"))
    try:
        yield
    finally:
        stop.set()
        await task


async def import_file(
    client: httpx.AsyncClient, database: ServiceDatabase, content: bytes | Path, **options: Any
) -> dict[str, Any]:
    """Upload, merge, and return the finished import."""
    answer = await upload(client, content, **options)
    assert answer.status_code == 202, answer.text
    async with jobs_running(database):
        found = await finished(client, answer.json()["id"])
        await _tidied(database)
    return found


async def _tidied(database: ServiceDatabase) -> None:
    """An import is over before its stage is cleared."""
    async with database.worker.connection() as connection:
        left = "select count(*) from jobs where kind like 'import%' and state in ('queued', 'running')"
        for _ in range(600):
            if not await connection.fetchval(left):
                return
            await asyncio.sleep(0.05)
    raise AssertionError("jobs are left")


async def finished(client: httpx.AsyncClient, import_id: str) -> dict[str, Any]:
    for _ in range(600):
        found: dict[str, Any] = (await client.get(f"/v1/imports/{import_id}")).json()
        if found["status"] in ("completed", "failed", "cancelled"):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"still not over: {found}")


def csv_of(*rows: str, header: str = "Email,First Name,Last Name,City,Country,Language") -> bytes:
    return "\n".join([header, *rows, ""]).encode()
