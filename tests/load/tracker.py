"""Opens over sockets, each durable before its answer. Floor: bare ASGI on the same server, answering the same bytes.

One process serves on one core; another makes the load.
"""

import asyncio
import base64
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from common.clock import SYSTEM_CLOCK
from common.db.pool import Database
from common.ids import new_id
from common.link_tokens import LinkToken, TokenKeys
from common.web.server import serve
from delivery.api.tracking import _GIF_HEADERS, GIF, Tracking
from delivery.use_cases.composing import Composer
from delivery.use_cases.group_commit import GroupCommit

from tests.fixtures.access import LINK_KEYS
from tests.load.figures import Figure
from tests.load.server import database

REQUESTS = 40_000
CONNECTIONS = 200
KEYS = TokenKeys({"k1": base64.b64decode(LINK_KEYS.partition(":")[2])})


async def run() -> list[Figure]:
    """Floor and tracker, under the same load; then the rows are counted."""
    paths = [_path() for _ in range(2000)]
    async with database("delivery") as db:
        async with served("bare", "") as (port, pid):
            floor, _ = await load(port, pid, paths)
        async with served("tracker", db.api_url) as (port, pid):
            rate, cpu = await load(port, pid, paths)
        async with db.worker.connection() as connection:
            stored = await connection.fetchval("select count(*) from outbox where topic = 'email.opened'")
    if stored != REQUESTS:
        raise AssertionError(f"{stored} events for {REQUESTS} answers")
    seconds = round(REQUESTS / rate, 3)
    return [
        Figure("tracker", rate, "requests/s", REQUESTS, seconds, floor),
        Figure("tracker_cpu_us", cpu, "µs/request", REQUESTS, seconds),
    ]


def _path() -> str:
    token = LinkToken("o", "campaign", new_id(), new_id(), new_id(), new_id(), new_id(), datetime.now(UTC))
    return f"/o/{KEYS.sign(token)}.gif"


async def load(port: int, pid: int, paths: list[str]) -> tuple[float, float]:
    """Requests a second over keep-alive connections, and CPU µs of the server per request."""
    each = REQUESTS // CONNECTIONS
    requests = [
        f"GET {path} HTTP/1.1\r\nHost: t\r\nUser-Agent: Mozilla/5.0 (X11; Linux) Firefox/140.0\r\n\r\n".encode()
        for path in paths
    ]

    async def one(offset: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for n in range(each):
            writer.write(requests[(offset * each + n) % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise AssertionError(head)
            await reader.readexactly(len(GIF))
        writer.close()

    before, started = _cpu_s(pid), time.perf_counter()
    await asyncio.gather(*(one(n) for n in range(CONNECTIONS)))
    seconds = time.perf_counter() - started
    return each * CONNECTIONS / seconds, (_cpu_s(pid) - before) / (each * CONNECTIONS) * 1e6


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def served(what: str, url: str) -> AsyncIterator[tuple[int, int]]:
    """A server in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.load.tracker", what, str(port), url)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.05)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _bare(scope, receive, send):  # type: ignore[no-untyped-def]
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": _GIF_HEADERS})
        await send({"type": "http.response.body", "body": GIF})


async def _serve(what: str, port: int, url: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if what == "bare":
        await serve(_bare, "127.0.0.1", port, stop)
        return
    db = await Database.open(url, name="bench tracker", max_size=6)
    kept = GroupCommit(db)
    task = asyncio.create_task(kept.run())
    app = Tracking(db, KEYS, kept, Composer(db, KEYS, "http://t", SYSTEM_CLOCK))
    await serve(app, "127.0.0.1", port, stop)
    kept.close()
    await task
    await db.close()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
