"""Process: delivery's HTTP interface."""

import asyncio

from common.link_tokens import TokenKeys
from common.sealing import Sealer
from common.web.app import create_app as create_base_app
from common.web.server import serve
from fastapi import FastAPI

from delivery.api import bounces, domains, messages, provider_events, routes, set_aside, single_mail, warmups
from delivery.dns.resolver import Resolver
from delivery.domain.claims import Matcher
from delivery.domain.domain_checks import Facts
from delivery.domain.return_path import ReturnPaths
from delivery.settings import Settings
from delivery.use_cases.amazon import Amazon
from delivery.use_cases.provider_events import ProviderEvents
from delivery.use_cases.routes import Routes


def create_app(settings: Settings) -> FastAPI:
    """The application; its lifespan opens the database. Raises Misconfigured."""
    app = create_base_app(
        service="delivery",
        title="Barid delivery",
        settings=settings,
        routers=[
            messages.router,
            single_mail.router,
            bounces.router,
            set_aside.router,
            provider_events.router,
            warmups.router,
            domains.router,
            routes.router,
        ],
        public_routers=[provider_events.public],
    )
    ring = settings.link_key_ring()
    app.state.matcher = Matcher(ReturnPaths(ring), TokenKeys(ring))
    app.state.sealer = Sealer(settings.sealing_key_ring())
    app.state.provider_events = ProviderEvents(app.state.sealer, app.state.matcher, Amazon(), settings.pepper_bytes())
    app.state.routes = Routes(
        app.state.sealer, settings.route_network_list(), direct=settings.direct_name() is not None
    )
    app.state.resolver = Resolver(settings.dns_resolvers, settings.dns_timeout_s)
    app.state.sending_facts = Facts(settings.spf_mechanisms(), settings.sending_addresses(), settings.bounce_domain())
    return app


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    await serve(create_app(settings), settings.host, settings.port, stop)
