"""Process: takes in what comes back by mail, over LMTP and from a mailbox, and sends people's answers on."""

import asyncio

from common import metrics
from common.db.pool import Database
from common.production import known_password
from common.web.server import listen

from delivery.api.lmtp import listen_lmtp
from delivery.domain.claims import Matcher
from delivery.domain.return_path import ReturnPaths
from delivery.domain.tokens import TokenKeys
from delivery.inboxes import open_inbox
from delivery.settings import Settings
from delivery.smtp.route import Route
from delivery.use_cases.forwarding import forward_replies
from delivery.use_cases.intake import UNKNOWN, Intake
from delivery.use_cases.polling import poll_inbox


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until told to stop; then what is being taken in is finished."""
    ring = settings.link_key_ring()
    route = Route.parse(settings.smtp_url.get_secret_value())
    matcher = Matcher(ReturnPaths(ring), TokenKeys(ring))
    url = settings.inbox_url.get_secret_value()
    if url and settings.environment == "production":
        known_password("BARID_INBOX_URL", url)
    inbox = open_inbox(url) if url else None
    listener = listen(settings.lmtp_host, settings.lmtp_port, "BARID_LMTP_PORT") if settings.lmtp_port else None
    database = await Database.open(settings.require_url("worker"), name="delivery-inbound", max_size=6)
    intake = Intake(database, matcher)
    for source in ("lmtp", "inbox"):  # shown from the start, so that the first is an increase
        metrics.RETURNS.labels(source, "hard", "counted")
        metrics.SET_ASIDE.labels(source, UNKNOWN)
    try:
        async with asyncio.TaskGroup() as parts:
            parts.create_task(intake.take_again())
            parts.create_task(forward_replies(database, route, stop))
            if listener is not None:
                parts.create_task(listen_lmtp(intake, listener, stop))
            if inbox is not None:
                parts.create_task(poll_inbox(intake, inbox, settings.inbox_every_s, stop))
    finally:
        await database.close()
