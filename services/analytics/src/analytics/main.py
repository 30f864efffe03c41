"""Process: the HTTP interface of analytics."""

import asyncio

from common.web.app import create_app as create_base_app
from common.web.server import serve
from fastapi import FastAPI

from analytics.api import conversions, deliverability, leads, reports, scoring
from analytics.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The application; its lifespan opens the database."""
    return create_base_app(
        service="analytics",
        title="Barid analytics",
        settings=settings,
        routers=[reports.router, deliverability.router, leads.router, scoring.router, conversions.router],
    )


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    await serve(create_app(settings), settings.host, settings.port, stop)
