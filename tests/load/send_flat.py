"""What a message costs in a large campaign beside a small one, and whether the mailer grows (BARID_LOAD_RECIPIENTS)."""

import os

from tests.load.figures import Figure
from tests.load.mailers import Sent, prepare, send_all, sink
from tests.load.server import database

SMALL = 10_000
LARGE = int(os.environ.get("BARID_LOAD_RECIPIENTS", "200000"))


async def run() -> list[Figure]:
    """Both on the same sink, by a mailer of their own each."""
    async with sink() as port:
        url = f"smtp://127.0.0.1:{port}"
        small = await _sent(url, SMALL)
        large = await _sent(url, LARGE)
    seconds = round(large.seconds, 3)
    return [
        Figure("send_flat", (large.seconds / LARGE) / (small.seconds / SMALL), "× s/msg", LARGE, seconds),
        Figure("send_flat_cpu", (large.cpu_s / LARGE) / (small.cpu_s / SMALL), "× CPU/msg", LARGE, seconds),
        Figure("send_flat_memory", large.resident_mb - small.resident_mb, "MB more", LARGE, seconds),
    ]


async def _sent(url: str, messages: int) -> Sent:
    async with database("delivery") as db, database("bus") as bus:
        await prepare(db, messages)
        return await send_all(db, bus.worker_url, url, messages)
