"""A contact file from the first byte of its upload to the last committed row, through the real processes.

Floor: COPY of the same rows into a stage and one upsert into a table with the columns and indexes of contacts.
"""

import asyncio
import base64
import contextlib
import csv
import json
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from common.contracts.addresses import normalise_address
from common.db.pool import Database
from common.ids import new_id
from common.web.tokens import new_signing_key, sign
from contacts.domain.addresses import Addresses, NotAnAddress
from contacts.domain.import_files import open_file

from tests.fixtures.access import LINK_KEYS
from tests.fixtures.databases import ServiceDatabase
from tests.load.figures import Figure
from tests.load.server import database

# A file of ../shared/tools/make_contacts.py, with what it expects beside it, instead of one made here.
FILE = os.environ.get("LOAD_IMPORT_FILE")
ROWS = int(os.environ.get("LOAD_IMPORT_ROWS", "200000"))
HEADER = ["Email", "First Name", "Last Name", "City", "Country", "Language", "Phone", "Company", "Stage", "Revenue",
          "Last Seen", "Notes"]  # fmt: skip
TARGETS = ["email", "first_name", "last_name", "attributes.city", "country", "language", "attributes.phone",
           "attributes.company", "attributes.stage", "attributes.revenue", "attributes.last_seen",
           "attributes.notes"]  # fmt: skip
PEPPER = b"p" * 32
_COLUMNS = ("email", "email_normalised", "address_hash", "domain_hash", "first_name", "last_name", "country",
            "language", "attributes")  # fmt: skip


async def run() -> list[Figure]:
    """Import a file nobody has seen, then once more unchanged."""
    with tempfile.TemporaryDirectory(prefix="barid-load-import-") as folder:
        if FILE:
            path, rows, header, expected = given(Path(FILE))
        else:
            path, header, expected = Path(folder) / "people.csv", HEADER, {"created": ROWS, "skipped": 0, "rejected": 0}
            rows = write(path)
        read = sum(expected.values())
        async with database("contacts") as contacts:
            floor = await bare_upsert(contacts.worker, rows)
            del rows
            async with processes(contacts) as (client, memory):
                took, counts = await import_file(client, path, header)
                told = await _told(contacts.worker)
                again, second = await import_file(client, path, header)
                peak = max(memory.values())
            if await _told(contacts.worker) != told:
                raise AssertionError("the second import told something")
    if counts | expected != counts or (second["unchanged"], second["updated"]) != (expected["created"], 0):
        raise AssertionError(f"the books do not close: {counts}, then {second}, not {expected}")
    return [
        Figure("import", read / took, "rows/s", read, round(took, 3), floor),
        Figure("import_unchanged", read / again, "rows/s", read, round(again, 3), floor),
        Figure("import_peak_rss", peak, "MB", read, round(took + again, 3)),
    ]


def given(path: Path) -> tuple[Path, list[list[str]], list[str], dict[str, int]]:
    """A messy file: its people once each (for the floor), its header, and the counts it must come to."""
    told = json.loads(path.with_name(path.name + ".expected.json").read_text())
    addresses = Addresses(PEPPER, new_id())
    people: dict[str, list[str]] = {}
    with path.open("rb") as file:
        table = open_file(file, ["Email"])
        for row in table.rows:
            with contextlib.suppress(NotAnAddress):
                people[addresses.read(row[0]).normalised] = row
    expected = {"created": told["distinct"], "skipped": told["duplicates"], "rejected": sum(told["rejects"].values())}
    return path, [*people.values()], table.columns, expected


async def _told(db: Database) -> int:
    async with db.connection() as connection:
        return int(await connection.fetchval("select count(*) from outbox") or 0)


def write(path: Path) -> list[list[str]]:
    """A CRM's export: three scripts, quotes, line breaks, long notes."""
    chance = random.Random(1)
    people = [("ar", "SA", "فاطمة", "العتيبي", "الرياض"), ("fa", "IR", "نیلوفر", "کریمی", "تهران"),
              ("en", "GB", "Zoë", "O'Neill", "London")]  # fmt: skip
    rows = []
    for n in range(ROWS):
        language, country, first, last, city = people[n % 3]
        rows.append([
            f"Person{n}@{chance.choice(['mail.example', 'post.example', 'شرکت.example'])}", first, last, city, country,
            language, f"+98{chance.randrange(10**9)}", chance.choice(["Acme, Inc.", 'The "Best" Co', ""]),
            chance.choice(["lead", "customer"]), str(chance.randrange(5_000_000)),
            f"2026-{chance.randint(1, 10):02d}-{chance.randint(1, 28):02d}",
            chance.choice(["", "line one\nline two", "a" * 300]),
        ])  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return rows


async def bare_upsert(db: Database, rows: list[list[str]]) -> float:
    """Rows a second, when they are only stored."""
    workspace = new_id()
    addresses = Addresses(PEPPER, workspace)
    records = []
    for row in rows:
        read = addresses.read(row[0])
        attributes = {t.removeprefix("attributes."): v for t, v in zip(TARGETS, row, strict=True) if "." in t}
        records.append((read.email, normalise_address(row[0]), read.hash, read.domain_hash, row[1], row[2], row[4],
                        row[5], attributes))  # fmt: skip
    columns = ", ".join(_COLUMNS)
    async with db.connection() as connection:
        await connection.execute(f"create table floor_stage as select {columns} from contacts")
        await connection.execute("create table floor_contacts (like contacts including all)")
        # The JSON codec is text; the binary COPY wants it told.
        await connection.execute("alter table floor_stage alter attributes type text")
        for n, record in enumerate(records):
            records[n] = (*record[:-1], json.dumps(record[-1], ensure_ascii=False))
        started = time.perf_counter()
        await connection.copy_records_to_table("floor_stage", records=records, columns=_COLUMNS)
        await connection.execute(
            f"insert into floor_contacts (workspace_id, id, {columns})"
            f" select '{workspace}', gen_random_uuid(), {columns.replace('attributes', 'attributes::jsonb')}"
            "  from floor_stage"
            " on conflict (workspace_id, email_normalised) do update set first_name = excluded.first_name,"
            " last_name = excluded.last_name, attributes = excluded.attributes"
        )
        rate = len(records) / (time.perf_counter() - started)
        await connection.execute("drop table floor_stage; drop table floor_contacts")
    return rate


@asynccontextmanager
async def processes(contacts: ServiceDatabase) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, float]]]:
    """The API and the jobs of contacts as processes of their own; a client, and each one's peak memory in MB."""
    private, public = new_signing_key()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "CONTACTS_API_DATABASE_URL": contacts.api_url,
        "CONTACTS_WORKER_DATABASE_URL": contacts.worker_url,
        "CONTACTS_PORT": str(port),
        "BARID_TOKEN_KEYS": public,
        "BARID_PEPPER": base64.b64encode(PEPPER).decode(),
        "BARID_LINK_KEYS": LINK_KEYS,
        "BARID_LOG_LEVEL": "WARNING",
    }
    started = [await asyncio.create_subprocess_exec(sys.executable, "-m", "contacts", name, env=env)
               for name in ("api", "jobs")]  # fmt: skip
    memory: dict[str, float] = {}
    watch = asyncio.create_task(_watch(started, memory))
    token = sign(private, workspace_id=new_id(), subject_id=new_id(), role="owner", ttl_s=3600)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=600) as client:
            await _answering(client)
            yield client, memory
    finally:
        watch.cancel()
        for process in started:
            process.terminate()
        await asyncio.gather(*(process.wait() for process in started))


async def import_file(
    client: httpx.AsyncClient, path: Path, header: Sequence[str] = HEADER
) -> tuple[float, dict[str, Any]]:
    """Seconds from the first byte to the last commit, and the counts."""
    options = {
        "mapping": dict(zip(header, TARGETS, strict=True)), "create_attributes": True,
        "consent": {"status": "subscribed", "purpose": "newsletter", "source": "bench"},
    }  # fmt: skip
    started = time.perf_counter()
    with path.open("rb") as file:
        answer = await client.post(
            "/v1/imports", files={"file": ("people.csv", file, "text/csv")}, data={"options": json.dumps(options)}
        )
    answer.raise_for_status()
    accepted = time.perf_counter() - started
    while True:
        found = (await client.get(f"/v1/imports/{answer.json()['id']}")).json()
        if found["status"] not in ("queued", "running"):
            took = time.perf_counter() - started
            print(f"  upload {accepted:.1f} s, merge {took - accepted:.1f} s", file=sys.stderr)
            return took, found["rows"]
        await asyncio.sleep(0.1)


async def _answering(client: httpx.AsyncClient) -> None:
    for _ in range(300):
        try:
            if (await client.get("/healthz")).is_success:
                return
        except httpx.TransportError:
            await asyncio.sleep(0.1)
    raise AssertionError("the API does not answer")


async def _watch(started: list[Any], memory: dict[str, float]) -> None:
    while True:
        for process in started:
            try:
                rss = psutil.Process(process.pid).memory_info().rss / 2**20
            except psutil.Error:
                continue
            memory[str(process.pid)] = max(memory.get(str(process.pid), 0.0), rss)
        await asyncio.sleep(0.2)
