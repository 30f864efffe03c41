"""Processes and migrations of another release than the database's: real processes, real databases, one line."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from barid.provision import SERVICES
from common.db.migrate import upgrade
from common.db.revisions import revisions_of
from common.db.schema import OldSchema, UnfitSchema, look
from common.errors import Misconfigured

from tests.fixtures.databases import service_database
from tests.fixtures.inventory import processes
from tests.fixtures.stack import free_port

FUTURE = "9001"
MIGRATION = """
revision = {id!r}
down_revision = {before!r}
{more}

def upgrade():
    pass
"""


async def ask(url: str, *statements: str):
    connection = await asyncpg.connect(url)
    try:
        found = None
        for statement in statements:
            found = await connection.fetchval(statement)
        return found
    finally:
        await connection.close()


async def at(url: str, revision: str, oldest: str | None = None) -> None:
    """The database as another release's migration leaves it."""
    await ask(url, f"update alembic_version set version_num = '{revision}'")
    if oldest:
        await ask(url, f"insert into schema_code values ('{revision}', '{oldest}')")


def name_of(database) -> str:
    return urlsplit(database.owner_url).path[1:]


def heads(service: str) -> list[str]:
    return [one.id for one in revisions_of(service)]


def run(program: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", program, *words],
        env={**os.environ, **settings}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
async def installed(postgres, bus_db, service_env):
    """`await installed("contacts")`: a service's database, and the environment of its processes."""
    async with AsyncExitStack() as stack:

        async def make(service: str):
            if service == "bus":
                return bus_db
            database = await stack.enter_async_context(service_database(postgres, service))
            service_env(service, database, BUS_DATABASE_URL=bus_db.worker_url)
            return database

        yield make


class TestWhatFits:
    @pytest.mark.parametrize("service", [*SERVICES, "bus"])
    async def test_each_role_may_look_and_none_may_write(self, service, installed):
        database = await installed(service)
        for url in (database.api_url, database.worker_url):
            await look(service, url)
            for table in ("alembic_version", "schema_code"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await ask(url, f"delete from {table}")
        kept = await ask(
            database.owner_url, "select array_agg((revision, oldest)::text order by revision) from schema_code"
        )
        assert kept == [f"({one.id},{one.oldest})" for one in revisions_of(service)]

    @pytest.mark.parametrize("service", [*SERVICES, "bus"])
    async def test_what_does_not_fit_is_told_in_one_line(self, service, installed):
        database, head = await installed(service), heads(service)[-1]
        for revision, oldest, line in (
            ("0001", None, f"is at revision 0001; this code needs {head}"),
            (FUTURE, None, f"is at revision 9001, newer than this code's {head}, and does not say"),
            (FUTURE, FUTURE, f"is at revision 9001, newer than this code's {head}, and serves code from 9001 on"),
            ("x'' or 1=1", None, "does not say"),
        ):
            await at(database.owner_url, revision, oldest)
            with pytest.raises(UnfitSchema) as refused:
                await look(service, database.worker_url)
            assert f"the database {name_of(database)} " in refused.value.message
            assert line in refused.value.message
            assert "\n" not in refused.value.message

    @pytest.mark.parametrize("statement", ["drop table alembic_version", "delete from alembic_version"])
    async def test_a_database_without_a_revision_has_no_schema(self, contacts_db, statement):
        await ask(contacts_db.owner_url, statement)
        with pytest.raises(OldSchema, match="has no schema; this code needs 0") as refused:
            await look("contacts", contacts_db.api_url)
        assert refused.value.mend == "run `contacts migrate`"

    async def test_two_revisions_are_no_revision(self, contacts_db):
        await ask(contacts_db.owner_url, "alter table alembic_version drop constraint alembic_version_pkc")
        await ask(contacts_db.owner_url, "insert into alembic_version values ('0001')")
        with pytest.raises(UnfitSchema, match="names 2 revisions"):
            await look("contacts", contacts_db.api_url)

    async def test_a_newer_schema_that_serves_this_code_is_run_on_and_told_once(self, contacts_db, caplog):
        head = heads("contacts")[-1]
        await at(contacts_db.owner_url, FUTURE, head)
        await look("contacts", contacts_db.api_url)
        # A migration of this release is then nothing to do: a release can be taken back.
        await asyncio.to_thread(upgrade, "contacts", contacts_db.owner_url)
        assert await ask(contacts_db.owner_url, "select version_num from alembic_version") == FUTURE


class TestProcesses:
    @pytest.mark.parametrize("process", processes(), ids=lambda one: f"{one.service}-{one.command}")
    async def test_every_process_refuses_an_old_schema_and_writes_nothing(self, process, installed):
        database = await installed(process.service)
        await at(database.owner_url, "0001")
        count = "select count(*) from consumer_offsets"
        answer = await asyncio.to_thread(
            run, process.service, process.command, **{process.port_setting: str(free_port())}
        )
        assert (answer.returncode, answer.stdout) == (1, "")
        lines = [line for line in answer.stderr.splitlines() if not line.startswith("{")]
        told = f"the database {name_of(database)} is at revision 0001; this code needs {heads(process.service)[-1]}"
        assert lines == [f"{process.service} {process.command}: {told} (run `{process.service} migrate`)"]
        assert await ask(database.owner_url, count) == 0

    @pytest.mark.parametrize("command", ["worker", "relay"])
    async def test_the_schema_of_the_bus_is_looked_at_by_who_uses_it(self, command, installed, bus_db):
        await installed("contacts")
        await at(bus_db.owner_url, "0001")
        answer = await asyncio.to_thread(run, "contacts", command)
        assert answer.returncode == 1
        assert answer.stderr.count("\n") == 1
        assert f"is at revision 0001; this code needs {heads('bus')[-1]} (run `barid migrate`)" in answer.stderr

    @pytest.mark.parametrize("command", ["api", "jobs"])
    async def test_the_schema_of_the_bus_is_nothing_to_others(self, command, installed, bus_db):
        await installed("contacts")
        await at(bus_db.owner_url, "0001")
        port = free_port()
        setting = {"api": "CONTACTS_PORT"}.get(command, "BARID_HEALTH_PORT")
        async with started("contacts", command, **{setting: str(port)}):
            await until(f"http://127.0.0.1:{port}/readyz", 200)

    async def test_a_command_run_by_hand_looks_too(self, installed):
        await at((await installed("campaigns")).owner_url, "0001")
        answer = await asyncio.to_thread(run, "campaigns", "republish")
        assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
        assert "(run `campaigns migrate`)" in answer.stderr

    async def test_a_start_waits_for_the_migration_as_long_as_it_is_told(self, installed):
        database, port = await installed("analytics"), str(free_port())
        await at(database.owner_url, "0001")
        async with started("analytics", "jobs", BARID_START_WAIT_S="60", BARID_HEALTH_PORT=port):
            ready = f"http://127.0.0.1:{port}/readyz"
            answer = await until(ready, 503)
            assert "is at revision 0001" in answer.json()["detail"]
            assert answer.json()["params"] == {"parts": ["analytics database"]}
            await at(database.owner_url, heads("analytics")[-1])
            await until(ready, 200)

    async def test_a_running_process_is_not_ready_on_a_schema_that_no_longer_serves_it(self, installed):
        database = await installed("contacts")
        ports = {"api": ("CONTACTS_PORT", free_port()), "jobs": ("BARID_HEALTH_PORT", free_port())}
        head = heads("contacts")[-1]
        async with (
            started("contacts", "api", CONTACTS_PORT=str(ports["api"][1])),
            started("contacts", "jobs", BARID_HEALTH_PORT=str(ports["jobs"][1])),
        ):
            for _, port in ports.values():
                await until(f"http://127.0.0.1:{port}/readyz", 200)
            await at(database.owner_url, FUTURE, head)
            for _, port in ports.values():
                await until(f"http://127.0.0.1:{port}/readyz", 200)
            await at(database.owner_url, "9002", "9002")
            for _, port in ports.values():
                answer = await until(f"http://127.0.0.1:{port}/readyz", 503)
                assert "serves code from 9002 on" in answer.json()["detail"]
                await until(f"http://127.0.0.1:{port}/healthz", 200)

    async def test_a_process_begins_as_soon_as_its_database_answers(self, installed, postgres_url):
        name = name_of(await installed("delivery"))
        ports = {command: free_port() for command in ("jobs", "api", "tracker")}
        await ask(postgres_url, f'alter database "{name}" connection limit 0')
        await ask(postgres_url, f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
        async with (
            started("delivery", "jobs", BARID_HEALTH_PORT=str(ports["jobs"])),
            started("delivery", "api", DELIVERY_PORT=str(ports["api"])),
            started("delivery", "tracker", DELIVERY_TRACKER_PORT=str(ports["tracker"])),
        ):
            for command, port in ports.items():
                await until(f"http://127.0.0.1:{port}/healthz", 200)
                await until(f"http://127.0.0.1:{port}/readyz", 200 if command == "tracker" else 503)
            await ask(postgres_url, f'alter database "{name}" connection limit -1')
            for port in ports.values():
                await until(f"http://127.0.0.1:{port}/readyz", 200)

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda url: re.sub(r":[^:/@]+@", ":wrong@", url),
            lambda url: re.sub(r"/contacts_\w+", "/nowhere", url),
            lambda url: "postgresql://host:many/x",
            lambda url: "nonsense",
        ],
        ids=["password", "name", "port", "url"],
    )
    async def test_a_database_that_cannot_be_used_is_one_line_with_the_setting(self, wrong, installed):
        right = (await installed("contacts")).worker_url
        answer = await asyncio.to_thread(run, "contacts", "jobs", CONTACTS_WORKER_DATABASE_URL=wrong(right))
        assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
        assert answer.stderr.startswith("contacts jobs: CONTACTS_WORKER_DATABASE_URL: ")
        assert "wrong" not in answer.stderr


class TestOneMachine:
    @pytest.mark.parametrize(("process", "old"), [("gateway", "campaigns"), ("all", "bus"), ("mailer", "delivery")])
    async def test_the_processes_of_the_stack_refuse_too(self, process, old, installed, tmp_path):
        databases = {service: await installed(service) for service in (*SERVICES, "bus")}
        await at(databases[old].owner_url, "0001")
        ports = {"BARID_PORT": str(free_port()), "DELIVERY_TRACKER_PORT": str(free_port())}
        answer = await asyncio.to_thread(run, "barid", "run", process, BARID_DATA_DIR=str(tmp_path), **ports)
        assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (1, "", 1), answer.stderr
        assert answer.stderr.startswith(f"barid: the database {name_of(databases[old])} is at revision 0001")


class TestMigrating:
    @pytest.mark.parametrize("service", SERVICES)
    async def test_an_older_release_does_not_touch_a_schema_that_left_it_behind(self, service, installed):
        database = await installed(service)
        await at(database.owner_url, FUTURE, FUTURE)
        answer = await asyncio.to_thread(run, service, "migrate")
        assert answer.returncode == 1
        assert answer.stderr.count("\n") == 1
        assert "serves code from 9001 on" in answer.stderr
        assert await ask(database.owner_url, "select version_num from alembic_version") == FUTURE

    async def test_each_migration_tells_the_oldest_code_it_serves(self, postgres_url, tmp_path):
        tree, url = tmp_path, await made(postgres_url, "guard_oldest")
        (tree / "versions").mkdir()
        (tree / "env.py").write_text("from common.db.migrate import run_env\n\nrun_env()\n")
        for n, more in enumerate(["", "", "", 'oldest = "0001"', 'oldest = "0005"', ""], 1):
            if n == 4:
                continue
            before = None if n == 1 else "0003" if n == 5 else f"{n - 1:04}"
            (tree / "versions" / f"{n:04}_x.py").write_text(MIGRATION.format(id=f"{n:04}", before=before, more=more))
        await asyncio.to_thread(upgrade, tree, url)
        kept = await ask(url, "select array_agg(revision || ' ' || oldest order by revision) from schema_code")
        assert kept == ["0001 0001", "0002 0001", "0003 0002", "0005 0005", "0006 0005"]

    @pytest.mark.parametrize(
        "files",
        [
            {"0001": (None, ""), "0002": ("0001", 'oldest = "0003"')},
            {"0001": (None, ""), "0002": ("0001", 'oldest = "0002"'), "0003": ("0002", 'oldest = "0001"')},
            {"0001": (None, ""), "0002": ("0001", ""), "0003": ("0001", "")},
            {"0001": (None, ""), "0003": ("0002", "")},
            {},
        ],
    )
    def test_migrations_that_are_no_line_are_refused(self, files, tmp_path):
        (tmp_path / "versions").mkdir()
        for name, (before, more) in files.items():
            (tmp_path / "versions" / f"{name}.py").write_text(MIGRATION.format(id=name, before=before, more=more))
        with pytest.raises(Misconfigured):
            revisions_of(tmp_path)


async def made(admin_url: str, name: str) -> str:
    from barid.provision import derive

    await ask(admin_url, f"create database {name}")
    return derive(admin_url, name)


@asynccontextmanager
async def started(service: str, command: str, **settings: str) -> AsyncIterator[None]:
    """A process of a service while the block runs; it must then drain."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", service, command, env={**os.environ, **settings},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()


async def until(url: str, status: int, within_s: float = 30) -> httpx.Response:
    deadline, found = time.monotonic() + within_s, None
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
