import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = '''
import asyncio, sys
from typing import Literal
from pydantic_settings import SettingsConfigDict
from common.errors import Misconfigured
from common.process import dispatch
from common.settings import ServiceSettings
from common.web.server import serve

class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DEMO_")

async def worker(settings, stop, only: str | None = None):
    """Wait."""
    print("started", only, flush=True)
    await stop.wait()
    await asyncio.sleep(0.1)
    print("drained", flush=True)

async def api(settings, stop):
    settings.require_url("api")

async def lost(settings, stop):
    import asyncpg
    await asyncpg.connect("postgresql://u:secret@127.0.0.1:1/x", timeout=2)

async def stuck(settings, stop):
    print("started", flush=True)
    await asyncio.sleep(60)

async def web(settings, stop):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    await serve(app, settings.host, settings.port, stop, setting="DEMO_PORT")

async def tell(settings, stop, what: Literal["one", "two"]):
    print("told", what)

dispatch(
    "demo", Settings, {"worker": worker, "api": api, "lost": lost, "stuck": stuck, "web": web, "tell": tell},
    guarded=False,
)
'''


@pytest.fixture
def start(tmp_path: Path):
    program = tmp_path / "demo.py"
    program.write_text(PROGRAM)
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, **extra: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(program), *arguments],
            env={**os.environ, **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(start, number: int) -> None:
    process = start("worker", "--only", "demo.main")
    assert process.stdout.readline() == "started demo.main\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "drained\n", "")


def test_a_second_signal_ends_what_does_not_drain(start) -> None:
    process = start("stuck")
    process.stdout.readline()
    process.terminate()
    time.sleep(0.2)
    process.terminate()
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "not drained in time" in err


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "word"),
    [
        (["api"], {}, 2, "DEMO_API_DATABASE_URL"),
        (["migrate"], {}, 2, "DEMO_DATABASE_URL"),
        (["worker"], {"DEMO_PORT": "many"}, 2, "port"),
        (["worker"], {"BARID_BUS": "pigeon"}, 2, "BARID_BUS"),
        (["lost"], {}, 1, "database"),
        (["tell"], {}, 2, "what"),
        (["tell", "three"], {}, 2, "'three' (choose from 'one', 'two')"),
        (["tell", "one", "two"], {}, 2, "unrecognized arguments: two"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(start, arguments, environment, status, word) -> None:
    process = start(*arguments, **environment)
    out, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert out == ""
    assert len(err.splitlines()) == 1
    assert word in err
    assert "secret" not in err


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        ("worker", "BARID_PEPPER", "eHh4" * 11),
        ("migrate", "DEMO_DATABASE_URL", "postgresql://owner:hush-example@h/d"),
    ],
)
def test_production_starts_nothing_with_a_secret_that_others_know(start, command, name, value) -> None:
    process = start(command, **{"BARID_ENV": "production", name: value})
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"demo {command}: BARID_ENV is production, and {name} ")
    assert "hush" not in err


def test_a_command_takes_the_words_its_help_names(start) -> None:
    out, err = start("tell", "two").communicate(timeout=20)
    assert (out, err) == ("told two\n", "")
    assert "demo tell one|two\n" in start("--help").communicate(timeout=20)[0]


def test_a_taken_port_is_one_line_that_names_the_setting(start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start("web", DEMO_PORT=str(taken.getsockname()[1]))
        _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert len(err.splitlines()) == 1
    assert "DEMO_PORT" in err


async def test_a_server_answers_and_ends(start) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start("web", DEMO_PORT=str(port))
    for _ in range(100):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except OSError:
            await asyncio.sleep(0.1)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 204")
    process.terminate()  # the connection stays open: it must not hold up the end
    _, err = await asyncio.to_thread(process.communicate, timeout=10)
    assert (process.returncode, [line for line in err.splitlines() if '"error"' in line]) == (0, [])
    writer.close()


def test_help_has_examples(start) -> None:
    process = start("--help")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "examples:" in out
    assert "worker" in out
