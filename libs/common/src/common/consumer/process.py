"""The worker process of a service: all its consumers, or one."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from common.bus import open_reader
from common.consumer import inbox
from common.consumer.decode import topics
from common.consumer.runner import run_consumer
from common.consumer.subscription import Consumer
from common.db.pool import TRANSIENT, Database
from common.errors import Misconfigured
from common.settings import SharedSettings

log = structlog.get_logger(__name__)
_UPKEEP_S = 3600.0


async def run_consumers(
    consumers: Sequence[Consumer],
    db: Database,
    settings: SharedSettings,
    stop: asyncio.Event,
    only: str | None = None,
) -> None:
    """Run the consumers until stopped, each finishing its batch. `only`: groups' names or their last parts, by commas.

    When one fails, the others drain and the failure is raised: a half-working worker would look healthy.
    """
    chosen = chosen_of(consumers, only)
    ended = asyncio.Event()

    async def run(consumer: Consumer) -> None:
        try:
            async with open_reader(settings, consumer.name, topics(consumer)) as reader:
                await run_consumer(consumer, db, reader, ended)
        finally:
            ended.set()

    async def follow() -> None:
        await stop.wait()
        ended.set()

    helpers = [asyncio.create_task(follow()), asyncio.create_task(_keep_inbox(db))]
    try:
        results = await asyncio.gather(*map(run, chosen), return_exceptions=True)
    finally:
        for helper in helpers:
            helper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await helper
    for result in results:
        if isinstance(result, BaseException):
            raise result


def chosen_of(consumers: Sequence[Consumer], only: str | None) -> list[Consumer]:
    """The consumers that `--only` names; all of them without it. Raises Misconfigured."""
    if only is None:
        return list(consumers)
    named = {name: one for one in consumers for name in (one.name, one.name.partition(".")[2])}
    asked = [word.strip() for word in only.split(",")]
    if unknown := [word for word in asked if word not in named]:
        known = ", ".join(one.name for one in consumers)
        raise Misconfigured(f"--only {only}: there is no {unknown[0] or 'consumer'}; there is {known}")
    return list({named[word].name: named[word] for word in asked}.values())


async def _keep_inbox(db: Database) -> None:
    while True:
        try:
            await inbox.upkeep(db)
        except TRANSIENT as error:
            log.warning("inbox_upkeep_failed", error=str(error))
        await asyncio.sleep(_UPKEEP_S)
