"""What a message costs in a large campaign beside a small one, and whether the mailer grows (BARID_LOAD_RECIPIENTS)."""

import os
import time
from pathlib import Path

from tests.load.figures import Figure
from tests.load.send import prepare, send_all, sink
from tests.load.server import database

SMALL = 10_000
LARGE = int(os.environ.get("BARID_LOAD_RECIPIENTS", "200000"))


async def run() -> list[Figure]:
    """Both on the same sink; the small one first, so that what a process needs once is not counted as growth."""
    async with sink() as port:
        url = f"smtp://127.0.0.1:{port}"
        small, small_cpu, before = await _cost(url, SMALL)
        large, large_cpu, after = await _cost(url, LARGE)
    return [
        Figure("send_flat", large / small, "× s/msg", LARGE, round(large * LARGE, 3)),
        Figure("send_flat_cpu", large_cpu / small_cpu, "× CPU/msg", LARGE, round(large * LARGE, 3)),
        Figure("send_flat_memory", after - before, "MB more", LARGE, round(large * LARGE, 3)),
    ]


async def _cost(url: str, messages: int) -> tuple[float, float, float]:
    """Seconds and CPU seconds for a message, and the memory that the process has afterwards."""
    async with database("delivery") as db:
        await prepare(db, messages)
        cpu = time.process_time()
        seconds = await send_all(db, url, messages)
        return seconds / messages, (time.process_time() - cpu) / messages, _resident_mb()


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
