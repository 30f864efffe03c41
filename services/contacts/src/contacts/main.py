"""Process: the HTTP interface of contacts."""

import asyncio

from common.clock import SYSTEM_CLOCK
from common.link_tokens import TokenKeys
from common.process import serve
from common.sealing import Sealer
from common.web.app import create_app as create_base_app
from fastapi import FastAPI

from contacts.api import (
    attributes,
    audiences,
    bulk,
    collector,
    confirmations,
    consents,
    contact_search,
    contacts,
    data_quality,
    duplicates,
    event_definitions,
    events,
    exports,
    form_pages,
    forms,
    import_inspections,
    imports,
    lists,
    notes,
    occasions,
    preferences,
    privacy_requests,
    retention,
    segment_snapshots,
    segments,
    sites,
    source_posts,
    sources,
    stages,
    suppression_lists,
    suppressions,
    timeline,
)
from contacts.settings import Settings
from contacts.use_cases.confirmations import Links


def create_app(settings: Settings) -> FastAPI:
    """The application; its lifespan opens the database. Raises Misconfigured."""
    settings.pepper_bytes()
    links = Links(TokenKeys(settings.link_key_ring()), settings.public_url, SYSTEM_CLOCK)
    app = create_base_app(
        service="contacts",
        title="Barid contacts",
        settings=settings,
        routers=[
            duplicates.router,
            bulk.router,
            contact_search.router,
            contacts.router,
            stages.router,
            notes.router,
            timeline.router,
            attributes.router,
            events.router,
            event_definitions.router,
            occasions.router,
            lists.router,
            segments.router,
            segment_snapshots.router,
            audiences.router,
            import_inspections.router,
            imports.router,
            exports.router,
            consents.router,
            suppression_lists.router,
            consents.of_contacts,
            suppressions.router,
            privacy_requests.router,
            retention.router,
            data_quality.router,
            forms.router,
            sources.router,
            sites.router,
        ],
        public_routers=[
            form_pages.router,
            confirmations.router,
            preferences.router,
            source_posts.router,
            collector.router,
        ],
    )
    app.state.links = links
    app.state.sealer = Sealer(settings.sealing_key_ring())
    return app


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    await serve(create_app(settings), settings.host, settings.port, stop)
