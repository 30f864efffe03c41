"""Sending people's answers on. Rather twice than never: a connection lost after the dot is tried again."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta

import aiosmtplib
import asyncpg
from common import metrics
from common.db.pool import TRANSIENT, Database

from delivery.db import forwards, set_aside
from delivery.domain.forwarding import forwarded
from delivery.smtp.dialogue import Dialogue, Replied, TooLarge, UnsafeAddress
from delivery.smtp.route import Route
from delivery.use_cases.intake import NOT_FORWARDED

log = logging.getLogger(__name__)

BATCH = 10
IDLE_S = 2.0
DOT_S = 120.0
BACKOFF_FIRST = timedelta(seconds=30)
BACKOFF_MOST = timedelta(hours=2)
GIVE_UP_AFTER = timedelta(days=5)
NULL_SENDER = ""  # so that nothing answers, and nothing bounces back


async def forward_replies(db: Database, route: Route, stop: asyncio.Event) -> None:
    """Send on what is due until told to stop."""
    dialogue = Dialogue(route, DOT_S)
    while not stop.is_set():
        rows: list[asyncpg.Record] = []
        try:
            async with db.transaction() as tx:
                rows = await forwards.take(tx, BATCH)
            for row in rows:
                await _forward(db, dialogue, row)
        except TRANSIENT as error:
            log.warning("answers wait for the database", extra={"error": type(error).__name__})
        if not rows:
            await dialogue.quit()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), IDLE_S)
    await dialogue.quit()


async def _forward(db: Database, dialogue: Dialogue, row: asyncpg.Record) -> None:
    refused = await _send(dialogue, row)
    async with db.transaction() as tx:
        if refused == "":
            await forwards.done(tx, row["workspace_id"], row["id"])
        elif refused is not None or datetime.now(UTC) - row["at"] > GIVE_UP_AFTER:
            await set_aside.keep(
                tx,
                row["id"],
                "forward",
                NOT_FORWARDED,
                [row["recipient"]],
                row["mail"],
                workspace_id=row["workspace_id"],
            )
            await forwards.done(tx, row["workspace_id"], row["id"])
            metrics.SET_ASIDE.labels("forward", NOT_FORWARDED).inc()
        else:
            wait = min(BACKOFF_FIRST * 2 ** min(row["attempts"] - 1, 12), BACKOFF_MOST)
            await forwards.later(tx, row["workspace_id"], row["id"], wait)


async def _send(dialogue: Dialogue, row: asyncpg.Record) -> str | None:
    """Empty: sent. Text: refused for good, and why. None: try again."""
    try:
        if not dialogue.connected:
            await dialogue.connect()
        result = await dialogue.send(NULL_SENDER, row["recipient"], forwarded(row["mail"], row["id"]), lambda: True)
    except (UnsafeAddress, TooLarge) as error:
        return str(error)
    except (aiosmtplib.SMTPException, OSError) as error:
        log.warning("an answer cannot be sent on now", extra={"error": type(error).__name__})
        return None
    if not isinstance(result, Replied) or 400 <= result.code < 500:
        return None
    if 200 <= result.code < 300:
        return ""
    log.warning("an answer is refused where it should go", extra={"code": result.code})
    return f"{result.code} {result.text}"
