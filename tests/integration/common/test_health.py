"""Processes without HTTP, as they are started, asked how they are while the bus and the database come and go."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from common.contracts.campaigns import AccessRevokedV1
from common.ids import new_id
from common.outbox.writer import Outgoing, record

from tests.fixtures.stack import free_port

Begin = Callable[..., str]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start a process; its address. A test asks for this last, so that it ends before its databases."""
    running: list[subprocess.Popen[bytes]] = []

    def start(service: str, process: str, **extra: str) -> str:
        port = free_port()
        with (tmp_path / f"{service}-{process}.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", service, process],
                    env={**os.environ, "BARID_HEALTH_PORT": str(port), **extra},
                    stdout=log,
                    stderr=log,
                )
            )
        return f"http://127.0.0.1:{port}"

    yield start
    for process in running:
        process.terminate()
    try:
        assert [process.wait(20) for process in running] == [0] * len(running)
    finally:
        for process in running:
            process.kill()


async def until(url: str, status: int, within_s: float = 30) -> httpx.Response:
    """Ask until it answers so."""
    deadline = time.monotonic() + within_s
    found = None
    async with httpx.AsyncClient(timeout=5) as client:
        while time.monotonic() < deadline:
            try:
                found = await client.get(url)
                if found.status_code == status:
                    return found
            except httpx.TransportError as error:
                found = error
            await asyncio.sleep(0.1)
    raise AssertionError(f"{url}: {found} {getattr(found, 'text', '')}")


async def sample(url: str, name: str) -> float | None:
    """One sample of /metrics."""
    async with httpx.AsyncClient(timeout=5) as client:
        answer = await client.get(f"{url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = [line.split()[-1] for line in answer.text.splitlines() if line.startswith(name + " ")]
    return float(found[0]) if found else None


async def until_sample(url: str, name: str, good: Callable[[float], bool]) -> float:
    deadline = time.monotonic() + 20
    while (found := await sample(url, name)) is None or not good(found):
        assert time.monotonic() < deadline, f"{name} is {found}"
        await asyncio.sleep(0.1)
    return found


@asynccontextmanager
async def away(admin_url: str, database_url: str):
    """The database refuses everybody while the block runs."""
    name = urlsplit(database_url).path[1:]
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute(f'alter database "{name}" connection limit 0')
        await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
        yield
    finally:
        await admin.execute(f'alter database "{name}" connection limit -1')
        await admin.close()


@pytest.fixture
def hanging() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        yield listener.getsockname()[1]


async def test_without_the_bus_relay_and_worker_live_but_are_not_ready(
    contacts_db, bus_db, postgres_url, service_env, workspace_id, begin
):
    service_env("contacts", contacts_db, BUS_DATABASE_URL=bus_db.worker_url)
    relay, worker = begin("contacts", "relay"), begin("contacts", "worker")
    for url in (relay, worker):
        assert (await until(f"{url}/readyz", 200)).json() == {"status": "ready"}
    age, delay = (
        'barid_outbox_age_seconds{service="contacts"}',
        'barid_consumer_delay_seconds{consumer="contacts.access"}',
    )
    polled = 'barid_consumer_last_poll_timestamp_seconds{consumer="contacts.main"}'
    assert await until_sample(relay, age, lambda value: value == 0) == 0
    assert time.time() - await until_sample(worker, polled, lambda value: value > 0) < 5
    async with away(postgres_url, bus_db.worker_url):
        async with contacts_db.worker.transaction() as tx:
            revoked = AccessRevokedV1(subject_kind="member", subject_id=new_id(), not_before=datetime.now(UTC))
            await record(tx, [Outgoing(workspace_id, revoked)])
        for url in (relay, worker):
            answer = await until(f"{url}/readyz", 503)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"] == "2"
            assert answer.json()["params"] == {"parts": ["bus"]}
            assert answer.json()["detail"] == "The bus does not answer"
            assert (await until(f"{url}/healthz", 200, 2)).json() == {"status": "alive"}
        assert await until_sample(relay, age, lambda value: value > 2) > 2
        assert await sample(worker, delay) is None
    for url in (relay, worker):
        await until(f"{url}/readyz", 200)
    await until_sample(relay, age, lambda value: value == 0)
    assert await until_sample(worker, delay, lambda value: value > 0) > 2, "it is as old as the outage was long"


async def test_jobs_and_mailer_need_their_database_and_nothing_else(delivery_db, postgres_url, service_env, begin):
    service_env("delivery", delivery_db, BARID_SMTP_URL="smtp://127.0.0.1:1")
    urls = begin("delivery", "jobs"), begin("delivery", "mailer")
    for url in urls:
        await until(f"{url}/readyz", 200)
    async with away(postgres_url, delivery_db.worker_url):
        for url in urls:
            answer = await until(f"{url}/readyz", 503)
            assert answer.json()["params"] == {"parts": ["delivery database"]}
            await until(f"{url}/healthz", 200, 2)
    for url in urls:
        await until(f"{url}/readyz", 200)


async def test_a_bus_that_hangs_is_given_up_after_two_seconds(analytics_db, service_env, hanging, begin):
    service_env("analytics", analytics_db, BUS_DATABASE_URL=f"postgresql://bus:x@127.0.0.1:{hanging}/bus")
    url = begin("analytics", "worker")
    await until(f"{url}/healthz", 200)
    async with httpx.AsyncClient(timeout=10) as client:
        for _ in range(2):
            began = time.monotonic()
            answers = await asyncio.gather(*(client.get(f"{url}/readyz") for _ in range(5)))
            assert 1.5 < time.monotonic() - began < 5
            assert [answer.json()["params"] for answer in answers] == [{"parts": ["bus"]}] * 5
        began = time.monotonic()
        asking = asyncio.create_task(client.get(f"{url}/readyz"))
        assert (await client.get(f"{url}/healthz")).status_code == 200
        assert time.monotonic() - began < 1.8
        await asking


async def test_only_health_is_answered_and_only_read(contacts_db, service_env, begin):
    service_env("contacts", contacts_db)
    url = begin("contacts", "jobs")
    await until(f"{url}/healthz", 200)
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/v1/contacts")).json()["code"] == "not_found"
        posted = await client.post("/readyz")
        assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
        head = await client.head("/metrics")
        assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("process", ["worker", "relay", "jobs"])
def test_a_taken_port_ends_the_start_with_one_line(process, contacts_db, bus_db, service_env):
    service_env("contacts", contacts_db, BUS_DATABASE_URL=bus_db.worker_url)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer = subprocess.run(
            [sys.executable, "-m", "contacts", process],
            env={**os.environ, "BARID_HEALTH_PORT": str(taken.getsockname()[1])},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (answer.returncode, answer.stdout) == (2, "")
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stderr.startswith(f"contacts {process}: BARID_HEALTH_PORT: cannot listen on 127.0.0.1:")


async def test_without_the_setting_nothing_listens(contacts_db, service_env):
    service_env("contacts", contacts_db)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "contacts", "jobs", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        connected = (
            "select count(*) from pg_stat_activity"
            " where application_name = 'contacts-jobs' and datname = current_database()"
        )
        async with contacts_db.worker.connection() as connection:
            for _ in range(300):
                if await connection.fetchval(connected):
                    break
                await asyncio.sleep(0.1)
            assert await connection.fetchval(connected)
        assert listening(process.pid) == []
    finally:
        process.terminate()
        assert await process.wait() == 0


def listening(pid: int) -> list[str]:
    """The addresses on which a process takes connections."""
    mine = {str(descriptor.readlink()) for descriptor in Path(f"/proc/{pid}/fd").iterdir()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, address, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in mine:
                found.append(address)
    return found
