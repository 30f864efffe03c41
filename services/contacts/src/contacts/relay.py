"""Process: contacts' outbox to the bus."""

import asyncio

from common.outbox.process import run as run_outbox

from contacts.settings import Settings


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Relay until told to stop."""
    await run_outbox("contacts", settings, stop)
