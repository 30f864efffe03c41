"""Events published all the while, so that what happens meanwhile happens under load."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.bus.port import BusUnavailable
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record


@asynccontextmanager
async def load(service, producer, *, keys: int = 12, every_s: float = 0.01) -> AsyncIterator[list[Outgoing]]:
    """Publish a few events per turn, revisions counting up per key; a publish in doubt is repeated."""
    names = [new_id() for _ in range(keys)]
    events: list[Outgoing] = []
    every = service.segments(keys * 4000, names)
    ending = asyncio.Event()

    async def publish() -> None:
        while not ending.is_set():
            new = every[len(events) : len(events) + keys]
            while True:
                with contextlib.suppress(BusUnavailable):
                    await producer.publish([as_record(event) for event in new])
                    break
            events.extend(new)
            await asyncio.sleep(every_s)

    task = asyncio.create_task(publish())
    try:
        yield events
    finally:
        ending.set()
        await asyncio.wait_for(task, 30)


async def eventually(check, seconds: float = 10) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(seconds):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
