"""Counting segments over a million contacts and five million opens, as /preview does; the figure is the p95 in ms."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Database
from common.ids import new_id
from contacts.use_cases.segments import preview

from tests.load.crowds import CITIES, fill
from tests.load.figures import Figure
from tests.load.server import database

CONTACTS = 1_000_000
RUNS = 40
SLOW_RUNS = 10  # of those that read more than an index
EVENTS = 5_000_000

RULES: dict[str, list[Any]] = {
    "segment_count": [{"field": "attributes.city", "op": "eq", "value": city} for city in CITIES],
    "segment_count_range": [{"field": "attributes.age", "op": "gte", "value": age} for age in (40, 60, 75)],
    "segment_count_two": [
        {"all": [{"field": "attributes.city", "op": "eq", "value": city},
                 {"field": "tags", "op": "contains", "value": "vip"}]}
        for city in CITIES
    ],
    "segment_count_mixed": [
        {"all": [{"field": "attributes.city", "op": "eq", "value": city},
                 {"field": "consent", "op": "eq", "value": "subscribed"},
                 {"event": "email.opened", "op": "at_least", "value": 1, "within": "30d"}]}
        for city in CITIES
    ],
    "segment_count_three": [
        {"all": [{"field": "attributes.city", "op": "eq", "value": city},
                 {"field": "attributes.age", "op": "gte", "value": 40},
                 {"field": "attributes.company", "op": "neq", "value": "Company 7"},
                 {"event": "email.opened", "op": "at_least", "value": 2, "within": "30d"}]}
        for city in CITIES
    ],
    "segment_count_unindexed": [{"field": "attributes.company", "op": "eq", "value": "Company 7"}],
}  # fmt: skip


async def run() -> list[Figure]:
    """Each kind of rule, again and again, over the same workspace, under the API's role."""
    workspace_id = new_id()
    async with database("contacts") as contacts:
        await fill(contacts.worker, workspace_id, CONTACTS)
        await open_mails(contacts.worker, workspace_id)
        await vacuum(contacts.owner_url)
        return [await measure(contacts.api, workspace_id, name, rules) for name, rules in RULES.items()]


async def open_mails(db: Database, workspace_id: UUID) -> None:
    """Five million opens over sixty days: five of each contact, twelve days apart."""
    for n in range(EVENTS // CONTACTS):
        async with db.transaction(workspace_id) as tx:
            await tx.execute("set local statement_timeout = 0")
            await tx.execute(
                "insert into activity (workspace_id, event_id, contact_id, type, at)"
                " select $1, gen_random_uuid(), id, 'email.opened', $2 from contacts where workspace_id = $1",
                workspace_id,
                datetime.now(UTC) - timedelta(days=1 + 12 * n),
                timeout=600,
            )


async def vacuum(owner_url: str) -> None:
    """As autovacuum leaves it after an import."""
    owner = await asyncpg.connect(owner_url)
    try:
        for table in ("contacts", "contact_value", "consents", "activity"):
            await owner.execute(f"vacuum analyze {table}", timeout=600)
    finally:
        await owner.close()


async def measure(db: Database, workspace_id: UUID, name: str, rules: list[Any]) -> Figure:
    """Previews one after the other: the count and the sample."""
    times: list[float] = []
    runs = SLOW_RUNS if name.endswith(("_mixed", "_three", "_unindexed")) else RUNS
    for n in range(runs + 1):
        started = time.perf_counter()
        async with db.transaction(workspace_id) as tx:
            found, sample = await preview(tx, workspace_id, rules[n % len(rules)], datetime.now(UTC), 60.0)
        assert found > 0
        assert sample
        times.append(time.perf_counter() - started)
    measured = sorted(times[1:])
    return Figure(name, measured[int(runs * 0.95)] * 1000, "ms p95", runs, round(sum(measured), 3))
