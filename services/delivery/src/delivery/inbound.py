"""Process: takes in what comes back by mail, over LMTP and from a mailbox, and sends people's answers on."""

import asyncio
import os
import socket
from random import Random

from common import metrics
from common.db.pool import Database
from common.link_tokens import TokenKeys
from common.production import known_password
from common.sealing import Sealer
from common.web.server import listen

from delivery.api.lmtp import listen_lmtp
from delivery.domain.claims import Matcher
from delivery.domain.return_path import ReturnPaths
from delivery.inboxes import open_inbox
from delivery.settings import Settings
from delivery.smtp.route import platform_route
from delivery.use_cases.direct import direct_of
from delivery.use_cases.forwarding import Forwarder
from delivery.use_cases.intake import UNKNOWN, Intake
from delivery.use_cases.one_by_one import OneByOne
from delivery.use_cases.polling import poll_inbox
from delivery.use_cases.ways import Ways


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until told to stop; then what is being taken in is finished."""
    ring = settings.link_key_ring()
    matcher = Matcher(ReturnPaths(ring), TokenKeys(ring))
    url = settings.inbox_url.get_secret_value()
    if url and settings.environment == "production":
        known_password("BARID_INBOX_URL", url)
    inbox = open_inbox(url) if url else None
    route = platform_route(settings.smtp_url.get_secret_value(), settings.smtp_limits)
    sealer = Sealer(settings.sealing_key_ring())
    pepper, networks = settings.pepper_bytes(), settings.route_network_list()
    rng = Random()  # noqa: S311 - jitter
    direct = direct_of(settings.direct_name(), settings.dns_resolvers, settings.dns_timeout_s, networks, rng)
    listener = listen(settings.lmtp_host, settings.lmtp_port, "BARID_LMTP_PORT") if settings.lmtp_port else None
    database = await Database.open(settings.require_url("worker"), name="delivery-inbound", max_size=6)
    intake = Intake(database, matcher)
    ways = Ways(database, route, sealer, networks, rng, direct=direct is not None)
    name = f"inbound {settings.instance or f'{socket.gethostname()}:{os.getpid()}'}"
    line = OneByOne(database, ways, name, settings.smtp_messages_per_connection)
    for source in ("lmtp", "inbox"):  # shown from the start, so that the first is an increase
        metrics.RETURNS.labels(source, "hard", "counted")
        metrics.SET_ASIDE.labels(source, UNKNOWN)
    try:
        async with asyncio.TaskGroup() as parts:
            parts.create_task(intake.take_again())
            parts.create_task(Forwarder(database, ways, line, pepper, direct).run(stop))
            if listener is not None:
                parts.create_task(listen_lmtp(intake, listener, stop))
            if inbox is not None:
                parts.create_task(poll_inbox(intake, inbox, settings.inbox_every_s, stop))
    finally:
        await database.close()
