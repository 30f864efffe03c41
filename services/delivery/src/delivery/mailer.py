"""Process: sends what is due. Its one promise: at most BARID_SEND_WINDOW messages ever wait for an outcome."""

import asyncio
import os
import socket
from datetime import timedelta
from random import Random

from common.clock import SYSTEM_CLOCK
from common.db.pool import BY_KEY, Database
from common.link_tokens import TokenKeys
from common.sealing import Sealer

from delivery.domain.return_path import ReturnPaths
from delivery.settings import Settings
from delivery.smtp.dkim_keys import load_keys
from delivery.smtp.route import platform_route
from delivery.use_cases.composing import Composer
from delivery.use_cases.direct import direct_of
from delivery.use_cases.sending import Mailer, SendingOptions
from delivery.use_cases.signing import DomainKeys, Signer

# A mailer that stops in the middle of a transaction (frozen, swapped out, cut off) has locked rows of its campaigns,
# and all other mailers wait for them: not until its lease ends, and not for as long as it stays away.
IDLE_TRANSACTION_S = 5.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Send until told to stop; then finish what is under way and record it."""
    route = platform_route(settings.smtp_url.get_secret_value(), settings.smtp_limits)
    keys = TokenKeys(settings.link_key_ring())
    return_paths = ReturnPaths(settings.link_key_ring(), settings.bounce_address, settings.reply_address)
    sealer = Sealer(settings.sealing_key_ring())
    installation = load_keys(settings.dkim_keys, settings.dkim_domain_names())
    rng = Random()  # noqa: S311 - jitter
    networks = settings.route_network_list()
    direct = direct_of(settings.direct_name(), settings.dns_resolvers, settings.dns_timeout_s, networks, rng)
    database = await Database.open(
        settings.require_url("worker"),
        name="delivery-mailer",
        max_size=5,
        idle_timeout_s=IDLE_TRANSACTION_S,
        planner=BY_KEY,
    )
    try:
        signer = Signer(installation, DomainKeys(database, sealer))
        composer = Composer(database, keys, settings.public_url, SYSTEM_CLOCK, return_paths, signer)
        options = SendingOptions(
            name=settings.instance or f"{socket.gethostname()}:{os.getpid()}",
            window=settings.send_window,
            connections=settings.smtp_connections,
            messages_per_connection=settings.smtp_messages_per_connection,
            dot_timeout_s=settings.smtp_dot_timeout_s,
            retry_first=timedelta(seconds=settings.retry_first_s),
            networks=networks,
            direct=direct,
        )
        await Mailer(database, route, composer, options, SYSTEM_CLOCK, rng, sealer).run(stop)
    finally:
        await database.close()
