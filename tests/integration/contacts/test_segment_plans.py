"""What looking at a few of many contacts reads, when nobody has told the planner that there are many."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from common.ids import new_id
from contacts.db import segment_sql
from contacts.use_cases.segment_rules import usable
from sqlalchemy.dialects.postgresql import ARRAY

from tests.fixtures.databases import ServiceDatabase
from tests.load.crowds import fill

pytestmark = pytest.mark.asyncio

CROWD = 3000
FEW = 100
NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONDITIONS = [
    {"field": "consent", "op": "eq", "value": "subscribed"},
    {"field": "attributes.city", "op": "eq", "value": "London"},
    {"field": "attributes.age", "op": "gte", "value": 30},
    {"field": "tags", "op": "contains", "value": "vip"},
    {"field": "score", "op": "lt", "value": 200},
    {"event": "email.opened", "op": "at_least", "value": 1, "within": "30d"},
    {"event": "email.opened", "op": "at_least", "value": 2},
]


async def test_judging_a_few_contacts_reads_these_alone(contacts_db: ServiceDatabase) -> None:
    workspace_id, db = new_id(), contacts_db.worker
    await fill(db, workspace_id, CROWD)
    async with db.transaction(workspace_id) as tx:
        for days in (1, 2):
            await tx.execute(
                "insert into activity (workspace_id, event_id, contact_id, type, at)"
                " select $1, gen_random_uuid(), id, 'email.opened', $2 from contacts where workspace_id = $1",
                workspace_id, NOW - timedelta(days=days),
            )  # fmt: skip
    async with db.transaction(workspace_id) as tx:
        ids = [row["id"] for row in await tx.fetch("select id from contacts order by id limit $1", FEW)]
        # The last one asks for all of them: a planner that thinks there are no rows joins in any order.
        for document in [*CONDITIONS, {"all": CONDITIONS}, {"any": [{"not": one} for one in CONDITIONS]}]:
            query = segment_sql.statement(
                segment_sql.judged(await usable(tx, workspace_id, document), workspace_id, NOW, _these(ids))
            )
            (plan,) = await tx.fetchval(f"explain (analyze, timing off, format json) {query.sql}", *query.args)
            most = max(_seen(plan["Plan"]))
            assert most <= 2 * FEW, (document, most)


def _these(ids: list[UUID]) -> sa.Select[tuple[UUID]]:
    return sa.select(sa.func.unnest(sa.bindparam("ids", ids, ARRAY(sa.Uuid()))).label("id"))


def _seen(node):
    """How many rows each step of the plan looked at, all in all."""
    kept = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    yield kept * node["Actual Loops"]
    for part in node.get("Plans", []):
        yield from _seen(part)
