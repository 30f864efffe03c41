"""Process: delivery's HTTP interface."""

import asyncio

from common.web.app import create_app as create_base_app
from common.web.server import serve
from fastapi import FastAPI

from delivery.api import bounces, messages
from delivery.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The application; its lifespan opens the database. Raises Misconfigured."""
    settings.sealing_key_ring()
    return create_base_app(
        service="delivery", title="Barid delivery", settings=settings, routers=[messages.router, bounces.router]
    )


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    await serve(create_app(settings), settings.host, settings.port, stop)
