"""The hourly counts of the deliverability report are what the messages themselves say, in whatever order it is told."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from runpy import run_path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from analytics.consumers.subscriptions import ingest
from analytics.db import fared
from analytics.jobs import count_late
from common.contracts import email
from common.outbox.writer import Outgoing
from common.testing import deliver, doubled_and_permuted

MIGRATION = Path("services/analytics/migrations/versions/0007_fared_counts.py").absolute()
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
WINDOWS = [
    (NOON - timedelta(days=30), NOON + timedelta(days=1)),
    (NOON, NOON + timedelta(hours=1)),
    (NOON + timedelta(minutes=7), NOON + timedelta(minutes=31)),
    (NOON - timedelta(minutes=90), NOON + timedelta(minutes=20, microseconds=1)),
    (NOON + timedelta(minutes=59), NOON + timedelta(hours=2)),
]
_FROM_MESSAGES = """
select s.provider, s.status, s.failure, b.reason, c.message_id is not null as complained,
       o.message_id is not null as opened
  from message_status s
  left join bounces b on b.workspace_id = s.workspace_id and b.message_id = s.message_id
  left join first_touch c on c.workspace_id = s.workspace_id and c.message_id = s.message_id and c.kind = 'complained'
  left join first_touch o on o.workspace_id = s.workspace_id and o.message_id = s.message_id and o.kind = 'opened'
 where s.workspace_id = $1 and s.at >= $2 and s.at < $3 and s.status in ('sent', 'failed') and s.provider is not null
"""


def a_campaign(workspace_id: UUID, chance: random.Random, messages: int = 60) -> list[Outgoing]:
    """Mail that is sent, put off, failed, uncertain and then known, sent anew; and what became of it."""
    campaign, found = uuid4(), []
    for _ in range(messages):
        about = {"message_id": uuid4(), "kind": "campaign", "contact_id": uuid4(), "campaign_id": campaign}

        def tell(contract: Any, about: Any = about, **more: Any) -> None:
            at = NOON + timedelta(minutes=chance.choice([-61, -1, 0, 7, 20, 30, 59, 60, 119]))
            found.append(Outgoing(workspace_id, contract(**about, **more), time=at))

        provider = {"provider": chance.choice(["gmail", "yahoo"])}
        for revision in range(1, chance.randint(1, 4)):
            match chance.choice(["deferred", "uncertain", "failed", "sent", "sent"]):
                case "deferred":
                    tell(email.EmailDeferredV1, attempt=1, revision=revision, next_at=NOON, **provider)
                case "uncertain":
                    tell(email.EmailUncertainV1, attempt=1, revision=revision, cause="mailer_gone")
                case "failed":
                    tell(email.EmailFailedV1, attempt=1, revision=revision, failure="policy", **provider)
                case _:
                    tell(email.EmailSentV1, attempt=1, revision=revision, **provider)
        for bounce, reason in chance.sample(
            [("soft", "mailbox_full"), ("hard", "bad_mailbox"), ("soft", "content")], chance.choice([0, 0, 1, 2])
        ):
            tell(email.EmailBouncedV1, bounce=bounce, reason=reason, **provider)
        for _ in range(chance.choice([0, 0, 1, 2])):
            tell(email.EmailOpenedV1, machine=chance.random() < 0.3)
        if chance.random() < 0.3:
            tell(email.EmailComplainedV1, reason="abuse", **provider)
    return found


async def assert_same(db: Any, workspace_id: UUID) -> None:
    async with db.worker.connection() as connection:
        for since, until in WINDOWS:
            expected: Counter[tuple[str, str, str]] = Counter()
            for row in await connection.fetch(_FROM_MESSAGES, workspace_id, since, until):
                expected[row["provider"], row["status"], row["failure"]] += 1
                if row["status"] == "sent":
                    if row["reason"] is not None:
                        expected[row["provider"], "bounced", row["reason"]] += 1
                    for measure in ("complained", "opened"):
                        expected[row["provider"], measure, ""] += row[measure]
            found = await fared.between(connection, workspace_id, since, until)
            assert {(r["provider"], r["measure"], r["reason"]): r["n"] for r in found} == dict(+expected), since


async def until_done(work: Callable[[], Awaitable[Any]]) -> None:
    """As a consumer and a job do: what PostgreSQL ended as a deadlock comes again."""
    while True:
        try:
            await work()
        except asyncpg.DeadlockDetectedError:
            continue
        return


async def uncounted(db: Any) -> int:
    async with db.worker.connection() as connection:
        return await connection.fetchval("""
            select (select count(*) from message_status where not counted and status in ('sent', 'failed'))
                 + (select count(*) from first_touch t join message_status s using (workspace_id, message_id)
                     where not t.counted and t.kind in ('opened', 'complained') and s.status = 'sent')
                 + (select count(*) from bounces b join message_status s using (workspace_id, message_id)
                     where b.counted is distinct from b.reason and s.status = 'sent')""")


@pytest.mark.parametrize("seed", range(6))
async def test_the_counts_are_what_the_messages_say_at_every_moment(
    seed: int, analytics_db: Any, workspace_id: UUID
) -> None:
    chance = random.Random(seed)
    waiting = doubled_and_permuted(a_campaign(workspace_id, chance), seed)
    while waiting:
        size = chance.randint(1, 40)
        await deliver(analytics_db.worker, ingest(), waiting[:size])
        waiting = waiting[size:]
        if chance.random() < 0.3:
            await count_late(analytics_db.worker)
        await assert_same(analytics_db, workspace_id)
    await count_late(analytics_db.worker)
    assert await uncounted(analytics_db) == 0
    await assert_same(analytics_db, workspace_id)


@pytest.mark.parametrize("seed", range(3))
async def test_consumers_beside_each_other_count_everything_once(
    seed: int, analytics_db: Any, workspace_id: UUID
) -> None:
    chance = random.Random(seed)
    events = doubled_and_permuted(a_campaign(workspace_id, chance, messages=120), seed)
    batches = [events[n : n + 60] for n in range(0, len(events), 60)]

    async def consume(some: Sequence[Sequence[Outgoing]]) -> None:
        for batch in some:
            await until_done(lambda batch=batch: deliver(analytics_db.worker, ingest(), batch))

    async def count() -> None:
        for _ in range(10):
            await until_done(lambda: count_late(analytics_db.worker))
            await asyncio.sleep(0.02)

    await asyncio.gather(*(consume(batches[n::2]) for n in range(2)), count())
    await assert_same(analytics_db, workspace_id)
    await count_late(analytics_db.worker)
    assert await uncounted(analytics_db) == 0
    await assert_same(analytics_db, workspace_id)


async def test_what_older_code_stored_meanwhile_is_counted(analytics_db: Any, workspace_id: UUID) -> None:
    """It knows no `counted`, so its rows have the default."""
    async with analytics_db.worker.connection() as connection:
        await connection.execute(
            """
            insert into message_status
              (workspace_id, message_id, campaign_id, variant_id, revision, status, failure, at, provider)
            select $1, gen_random_uuid(), $1, '', 2, 'sent', '', $2, 'gmail' from generate_series(1, 10)
            """,
            workspace_id,
            NOON,
        )
        await connection.execute("""
            insert into first_touch (workspace_id, campaign_id, message_id, kind, link)
            select workspace_id, campaign_id, message_id, 'opened', -1 from message_status limit 4""")
    await assert_same(analytics_db, workspace_id)
    await count_late(analytics_db.worker)
    assert await uncounted(analytics_db) == 0
    await assert_same(analytics_db, workspace_id)


@pytest.mark.parametrize("seed", range(2))
async def test_the_migration_counts_what_was_there(seed: int, analytics_db: Any, workspace_id: UUID) -> None:
    events = doubled_and_permuted(a_campaign(workspace_id, random.Random(seed)), seed)
    half = len(events) // 2
    await deliver(analytics_db.worker, ingest(), events[:half])
    owner = await asyncpg.connect(analytics_db.owner_url)
    try:
        await owner.execute("""
            drop table fared_counts; alter table message_status drop column counted;
            alter table first_touch drop column counted; alter table bounces drop column counted""")
        await owner.execute(run_path(str(MIGRATION))["TABLES"])
        await owner.execute("grant select, insert, update on fared_counts to analytics_worker")
        assert await owner.fetchval("select sum(n) from fared_counts")
    finally:
        await owner.close()
    await assert_same(analytics_db, workspace_id)
    await deliver(analytics_db.worker, ingest(), events[half:])
    await assert_same(analytics_db, workspace_id)
    await count_late(analytics_db.worker)
    await assert_same(analytics_db, workspace_id)
