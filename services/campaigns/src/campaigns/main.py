"""Process: the HTTP interface of campaigns."""

import asyncio

from common.process import serve
from common.web.app import create_app as create_base_app
from fastapi import FastAPI

from campaigns.api import (
    campaign_commands,
    campaign_progress,
    campaigns,
    document,
    keys,
    members,
    purposes,
    senders,
    tokens,
    workspaces,
)
from campaigns.settings import Settings
from campaigns.use_cases.alignment import Installation


def create_app(settings: Settings) -> FastAPI:
    """The application; its lifespan opens the database. Raises Misconfigured."""
    if settings.environment == "production":
        settings.require_signing_key()
        settings.link_key_ring()
    app = create_base_app(
        service="campaigns",
        title="Barid campaigns",
        settings=settings,
        routers=[
            workspaces.router,
            members.router,
            tokens.router,
            senders.router,
            purposes.router,
            campaigns.router,
            campaign_commands.router,
            campaign_progress.router,
        ],
        public_routers=[keys.router],
    )
    app.state.installation = Installation(settings.sender_policy, settings.dkim_domain_names())
    if settings.openapi_file is not None:
        app.router.routes.insert(0, document.of_all_services(settings.openapi_file))  # before the app's own
    return app


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    await serve(create_app(settings), settings.host, settings.port, stop)
