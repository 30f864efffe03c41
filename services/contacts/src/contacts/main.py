"""Process: the HTTP interface of contacts."""

import asyncio

from common.process import serve
from common.web.app import create_app as create_base_app
from fastapi import FastAPI

from contacts.api import (
    attributes,
    audiences,
    bulk,
    consents,
    contacts,
    duplicates,
    exports,
    import_inspections,
    imports,
    lists,
    notes,
    privacy_requests,
    segment_snapshots,
    segments,
    stages,
    suppression_lists,
    suppressions,
    timeline,
)
from contacts.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The application; its lifespan opens the database. Raises Misconfigured."""
    settings.pepper_bytes()
    if settings.environment == "production":
        settings.link_key_ring()
    return create_base_app(
        service="contacts",
        title="Barid contacts",
        settings=settings,
        routers=[
            duplicates.router,
            bulk.router,
            contacts.router,
            stages.router,
            notes.router,
            timeline.router,
            attributes.router,
            lists.router,
            segments.router,
            segment_snapshots.router,
            audiences.router,
            import_inspections.router,
            imports.router,
            exports.router,
            consents.router,
            suppression_lists.router,
            suppressions.router,
            privacy_requests.router,
        ],
    )


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    await serve(create_app(settings), settings.host, settings.port, stop)
