"""Reading a mailbox, round by round: each mail is stored before it is marked, so a crash reads it again."""

import asyncio
import contextlib
import logging
import time

from common import metrics
from common.db.pool import TRANSIENT
from common.errors import Misconfigured

from delivery.domain.bounces import MAX_BYTES
from delivery.errors import BounceTooLarge
from delivery.inboxes import Inbox
from delivery.inboxes.imap import RefusedLogin, Unreadable
from delivery.use_cases.intake import Intake

log = logging.getLogger(__name__)

BATCH = 50
BACKOFF_S = 5.0
UNREADABLE = "inbox_unreadable"


async def poll_inbox(intake: Intake, inbox: Inbox, every_s: float, stop: asyncio.Event) -> None:
    """Read what is new until told to stop. Raises Misconfigured if the first login is refused."""
    first = True
    while not stop.is_set():
        try:
            more = await _round(intake, inbox, stop)
            metrics.INBOX_READ.set(time.time())
            wait = 0.0 if more else every_s
            first = False
        except RefusedLogin as error:
            if first:
                raise Misconfigured(f"BARID_INBOX_URL: the server refuses to open the mailbox: {error}") from error
            log.error("the inbox is refused", extra={"error": str(error)})
            wait = max(every_s, BACKOFF_S)
        except TRANSIENT as error:
            log.warning("the inbox cannot be read now", extra={"error": type(error).__name__})
            wait = BACKOFF_S
        if wait:
            await asyncio.to_thread(inbox.close)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
    await asyncio.to_thread(inbox.close)


async def _round(intake: Intake, inbox: Inbox, stop: asyncio.Event) -> bool:
    """One batch; whether there may be more."""
    names = await asyncio.to_thread(inbox.waiting, BATCH)
    unreadable: dict[str, OSError] = {}
    read = 0
    for name in names:
        if stop.is_set():
            return False
        try:
            mail = await asyncio.to_thread(inbox.read, name, MAX_BYTES)
        except FileNotFoundError:
            continue  # somebody else took it
        except (Unreadable, PermissionError) as error:
            unreadable[name] = error
            continue
        large = len(mail) > MAX_BYTES
        if large:
            log.warning("a mail in the inbox is larger than a bounce can be; it is flagged", extra={"mail": name})
            metrics.SET_ASIDE.labels("inbox", BounceTooLarge.code).inc()
        else:
            await intake.take(mail, (), "inbox")
        await asyncio.to_thread(inbox.mark, name, flagged=large)
        read += 1
    if unreadable and not read:
        raise next(iter(unreadable.values()))  # perhaps it gives none just now
    for name, why in unreadable.items():
        # Those behind it do not wait for ever; it stays in the mailbox, where a person can look at it.
        log.warning("a mail in the inbox cannot be read; it is flagged", extra={"mail": name, "error": str(why)})
        metrics.SET_ASIDE.labels("inbox", UNREADABLE).inc()
        await asyncio.to_thread(inbox.mark, name, flagged=True)
    return len(names) == BATCH
