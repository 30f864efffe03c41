"""What pages tell of their visitors: kept for nobody, until somebody proves that it was them (ADR 41)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal
from uuid import UUID

import asyncpg
from common.db.pool import Connection, Database

from contacts.db import outside_events, visits
from contacts.db.outside_events import Happened
from contacts.db.visits import Hit
from contacts.domain.addresses import Address
from contacts.use_cases.outside_events import store

MOST_WAITING = 2_000  # events of one unknown visitor
_AT_ONCE = 5_000

Answer = Literal["go on", "stop"]


async def take_hits(
    tx: Connection,
    site: asyncpg.Record,
    visitor_id: UUID,
    consent: str,
    hits: Sequence[Hit],
    proven: UUID | Address | None = None,
) -> Answer:
    """Take what a visitor's pages tell, and join it to `proven`: whose browser it is. "stop": they will not be tracked.

    Contacts are locked before visitors, as by erasures and merges.
    """
    workspace_id, keep = site["workspace_id"], timedelta(days=site["keep_days"])
    known = await visits.contact_of(tx, workspace_id, visitor_id)
    claimed = await _named(tx, workspace_id, proven) or known
    person = await visits.person(tx, workspace_id, claimed) if claimed else None
    if person is not None and person["tracking"] != "individual":
        await visits.forget(tx, workspace_id, visitor_id)
        return "stop"
    joined = person["id"] if person else None
    owner = await visits.seen(tx, workspace_id, visitor_id, site["id"], joined, consent, keep)
    if owner is None:
        if hits:
            await visits.read_on(tx, workspace_id, visitor_id, None, hits)
            await visits.keep(tx, workspace_id, visitor_id, hits, keep, MOST_WAITING)
        return "go on"
    await visits.read_on(tx, workspace_id, visitor_id, owner, hits)
    waited = await visits.take(tx, workspace_id, visitor_id)
    await store(tx, workspace_id, [_happened(owner, one) for one in (*waited, *hits)])
    return "go on"


async def forget_old(db: Database) -> None:
    """The periodic job: visitors who did not come back, and what they did, for as long as their site keeps it."""
    more = True
    while more:
        async with db.transaction() as tx:
            more = await visits.expire(tx, _AT_ONCE) == _AT_ONCE


async def _named(tx: Connection, workspace_id: UUID, proven: UUID | Address | None) -> UUID | None:
    if not isinstance(proven, Address):
        return proven
    people = await outside_events.people(tx, workspace_id, {proven.normalised: proven.hash}, [], [])
    return people.get(("email", proven.normalised))


def _happened(contact_id: UUID, hit: Hit) -> Happened:
    return Happened(hit.event_id, contact_id, hit.type, hit.at, hit.properties, hit.machine)
