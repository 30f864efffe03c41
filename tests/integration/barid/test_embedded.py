import asyncio
import os
import stat
import subprocess
import tempfile
from pathlib import Path

import asyncpg
import pytest
from barid import embedded
from barid.accounts import ACCOUNT
from barid.binaries import find
from common.errors import Misconfigured

from tests.fixtures.environment import place


@pytest.fixture
def area() -> Path:
    """A short path that PostgreSQL's own account can reach."""
    folder = Path(tempfile.mkdtemp(dir=place(), prefix="pg-"))
    folder.chmod(0o711)
    return folder / "server"


def ask(url: str, query: str):
    async def run():
        connection = await asyncpg.connect(url, timeout=10)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    with asyncio.Runner() as runner:
        return runner.run(run())


def test_a_server_starts_stops_and_keeps_its_data_and_its_url(area: Path) -> None:
    server = embedded.prepare(area)
    try:
        server.start()
        assert server.running()
        ask(server.url, "create table kept as select 7 as seven")
        ask(server.url, "select 1")
        assert ask(server.url, "show fsync") == "on"
        assert ask(server.url, "show listen_addresses") == ""
        server.stop()
        assert not server.running()
        again = embedded.prepare(area)
        again.start()
        assert again.url == server.url == embedded.url_in(area)
        assert ask(again.url, "select seven from kept") == 7
    finally:
        embedded.remove(server)
    assert not area.exists()


def test_nobody_gets_in_without_the_password(area: Path) -> None:
    server = embedded.prepare(area, durable=False)
    try:
        server.start()
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(server.url.replace(server.password, "guess"), "select 1")
        rules = [line.split() for line in (server.data / "pg_hba.conf").read_text().splitlines() if line[:1].isalpha()]
        assert rules
        assert {rule[-1] for rule in rules} == {"scram-sha-256"}
        for path, mode in ((area, 0o700), (server.data, 0o700), (area / "run", 0o700), (area / "password", 0o600)):
            assert stat.S_IMODE(path.stat().st_mode) == mode, path
    finally:
        embedded.remove(server)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to drop")
def test_as_root_the_server_runs_under_an_account_of_its_own(area: Path) -> None:
    import pwd

    server = embedded.prepare(area, durable=False)
    try:
        server.start()
        pid = int((server.data / "postmaster.pid").read_text().splitlines()[0])
        uid = pwd.getpwnam(ACCOUNT).pw_uid
        status = Path(f"/proc/{pid}/status").read_text()
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in status
        assert "Groups:\t \n" in status
    finally:
        embedded.remove(server)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's own folders can be entered")
def test_an_area_that_the_account_cannot_enter_is_moved(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    server = embedded.prepare(tmp_path / "server", durable=False)
    try:
        assert server.area.is_relative_to("/var/lib/barid")
        server.start()
        assert ask(server.url, "select 1") == 1
        assert embedded.url_in(tmp_path / "server") == server.url
    finally:
        embedded.remove(server)


def test_a_path_too_long_for_a_socket_falls_back_to_loopback(area: Path) -> None:
    long = area / ("x" * 60) / ("y" * 60)
    server = embedded.prepare(long, durable=False)
    try:
        server.start()
        assert "@127.0.0.1:" in server.url
        assert ask(server.url, "select 1") == 1
        assert ask(server.url, "show listen_addresses") == "127.0.0.1"
    finally:
        embedded.remove(server)


def test_another_major_version_is_refused_in_one_line(area: Path) -> None:
    server = embedded.prepare(area, durable=False)
    (server.data / "PG_VERSION").write_text("14\n")
    with pytest.raises(Misconfigured, match="made by PostgreSQL 14") as refused:
        embedded.prepare(area)
    assert "\n" not in refused.value.message
    embedded.remove(server)


def test_an_interrupted_first_start_is_done_again(area: Path) -> None:
    server = embedded.prepare(area, durable=False)
    (server.data / "PG_VERSION").unlink()
    again = embedded.prepare(area, durable=False)
    try:
        again.start()
        assert ask(again.url, "select 1") == 1
    finally:
        embedded.remove(again)


def test_a_copy_of_the_programs_runs_by_itself(area: Path) -> None:
    original = find()
    copy = original.copy_to(area)
    assert copy.copy_to(area) == copy
    for program in ("postgres", "initdb", "pg_ctl"):
        told = subprocess.run(
            [copy.program(program), "--version"], env=copy.environment(), capture_output=True, text=True, check=True
        )
        assert original.version()[1] in told.stdout
    command = ["ldd", copy.program("initdb")]
    loaded = subprocess.run(command, env=copy.environment(), capture_output=True, text=True, check=True).stdout
    assert "not found" not in loaded
    assert not original.bundled or f"{area}/lib/libpq" in loaded
    assert all(path.stat().st_mode & 0o004 for path in area.rglob("*"))
