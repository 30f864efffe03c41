"""Freezing an audience: everybody asked for is eligible or has one reason, published once, whatever is killed."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from uuid import UUID, uuid4

import orjson
import pytest
from common.contracts import audiences
from common.ids import new_id
from common.jobs import JobContext, LeaseLost, lease
from common.outbox.writer import Outgoing
from common.testing import deliver, outbox_events
from common.testing.shuffle import deliver_shuffled
from contacts.domain.batches import pack
from contacts.use_cases import audiences as use_cases

from tests.integration.contacts.audience_scene import (
    EVERYBODY,
    MAIN,
    Killed,
    attempt,
    completed,
    crowd,
    published,
    started,
    stated,
)
from tests.integration.contacts.people import (
    Someone,
    define,
    erase,
    make_list,
    make_segment,
    store,
)


@pytest.mark.asyncio
async def test_everybody_asked_for_is_eligible_or_has_one_reason(contacts_db, workspace_id):
    db, campaign_id = contacts_db.worker, uuid4()
    people = await crowd(db, workspace_id)
    elsewhere = new_id()
    await store(db, elsewhere, [Someone("z@example.com")])
    outsider = Someone("outsider@example.com")
    await store(db, workspace_id, [outsider])
    everybody = await make_segment(db, workspace_id, {"not": {"field": "email", "op": "contains", "value": "outs"}})
    some = await make_list(db, workspace_id, [people["eligible"].id, people["also"].id])
    without = await make_segment(db, workspace_id, {"field": "tags", "op": "contains", "value": "no"})
    event = started(workspace_id, campaign_id, segments=[everybody], lists=[some], without=[without])
    await deliver(db, MAIN, [event])
    await attempt(db)

    async with db.transaction() as tx:
        rows = await tx.fetch("select * from audience_members where workspace_id = $1", workspace_id)
    by_id = {row["contact_id"]: row["reason"] or row["decision"] for row in rows}
    assert len(rows) == len(by_id) == len(people)
    assert {name: by_id[one.id] for name, one in people.items()} == {
        "eligible": "eligible", "also": "eligible", "lifted": "eligible", "expired": "eligible",
        "excluded_segment": "excluded_segment", "excluded_before_suppressed": "excluded_segment",
        "suppressed": "suppressed", "suppressed_domain": "suppressed", "suppressed_and_unsubscribed": "suppressed",
        "unsubscribed": "unsubscribed", "unconfirmed": "unconfirmed", "no_consent": "no_consent", "none": "no_consent",
    }  # fmt: skip
    batches, closed = await published(db)
    assert closed.audience == len(people)
    assert closed.eligible == 4
    assert closed.excluded == {
        "excluded_segment": 2, "suppressed": 3, "unsubscribed": 1, "unconfirmed": 1, "no_consent": 2
    }  # fmt: skip
    assert closed.batches == len(batches) == 1
    assert {r.contact_id for r in batches[0]} == {people[n].id for n in ("eligible", "also", "lifted", "expired")}


@pytest.mark.asyncio
async def test_recipients_carry_only_the_fields_the_content_names(contacts_db, workspace_id):
    db = contacts_db.worker
    await define(db, workspace_id, "city", "text")
    await define(db, workspace_id, "salary", "number")
    someone = Someone(
        "a@example.com",
        fields={"first_name": "زهرا", "last_name": "کریمی", "language": "fa", "timezone": "Asia/Tehran",
                "country": "IR", "tracking": "individual"},
        attributes={"city": "تهران", "salary": 7},
    )  # fmt: skip
    await store(db, workspace_id, [someone, Someone("b@example.com")])
    segment = await make_segment(db, workspace_id, EVERYBODY)
    wanted = ["first_name", "attributes.city"]
    await deliver(db, MAIN, [started(workspace_id, uuid4(), segments=[segment], fields=wanted)])
    await attempt(db)
    batches, _ = await published(db)
    first, second = sorted(batches[0], key=lambda r: r.email)
    assert first == audiences.Recipient(
        contact_id=someone.id, email="a@example.com", language="fa", timezone="Asia/Tehran", country="IR",
        tracking="individual", fields={"first_name": "زهرا", "attributes": {"city": "تهران"}},
    )  # fmt: skip
    assert second.tracking == "none"
    assert second.fields == {"first_name": None, "attributes": {}}
    raw = (await outbox_payloads(db))[0]
    assert "salary" not in raw
    assert "کریمی" not in raw


async def outbox_payloads(db):
    async with db.connection() as connection:
        return [row["payload"] for row in await connection.fetch("select payload from outbox order by id")]


@pytest.mark.asyncio
async def test_erased_after_the_freeze_is_published_as_gone(contacts_db, workspace_id):
    db, campaign_id = contacts_db.worker, uuid4()
    people = [Someone(f"p{n}@example.com") for n in range(3)]
    await store(db, workspace_id, people)
    segment = await make_segment(db, workspace_id, EVERYBODY)
    await deliver(db, MAIN, [started(workspace_id, campaign_id, segments=[segment], fields=["email"])])
    async with db.transaction(workspace_id) as tx:
        more, _ = await use_cases.step(tx, workspace_id, campaign_id)
    assert more
    await erase(db, workspace_id, people[1].id)
    await attempt(db)
    batches, closed = await published(db)
    gone = next(r for r in batches[0] if r.contact_id == people[1].id)
    assert gone == audiences.Recipient(contact_id=people[1].id, gone=True)
    assert "p1@example.com" not in "".join(await outbox_payloads(db))
    assert closed.eligible == 3
    assert len(batches[0]) == 3


@pytest.mark.asyncio
async def test_killed_anywhere_the_audience_is_frozen_and_published_once(contacts_db, workspace_id, monkeypatch):
    db = contacts_db.worker
    monkeypatch.setattr(use_cases, "STEP_RECIPIENTS", 5)
    monkeypatch.setattr(use_cases, "BATCH_RECIPIENTS", 2)
    await store(db, workspace_id, [Someone(f"p{n}@example.com") for n in range(12)])
    await store(db, workspace_id, [Someone(f"u{n}@example.com", "unsubscribed") for n in range(2)])
    segment = await make_segment(db, workspace_id, EVERYBODY)

    async def run(die_at):
        """Die once at this point; whoever comes next finishes. False when the job ended before that point."""
        campaign_id = uuid4()
        async with db.connection() as connection:
            await connection.execute("delete from outbox")
        await deliver(db, MAIN, [started(workspace_id, campaign_id, segments=[segment])])
        died = False
        try:
            await attempt(db, die_at)
        except Killed:
            died = True
            await attempt(db)
        batches, closed = await published(db)
        assert not await attempt(db)
        assert (closed.audience, closed.eligible, closed.excluded) == (14, 12, {"unsubscribed": 2})
        assert closed.batches == len(batches)
        assert all(len(batch) <= 2 for batch in batches)
        return died, [[r.email for r in batch] for batch in batches]

    _, expected = await run(0)
    assert Counter(email for batch in expected for email in batch) == {f"p{n}@example.com": 1 for n in range(12)}
    points = 0
    while True:
        died, batches = await run(points + 1)
        assert batches == expected
        if not died:
            break
        points += 1
    assert points > 20


@pytest.mark.asyncio
async def test_killed_again_and_again_it_still_ends(contacts_db, workspace_id, monkeypatch):
    db = contacts_db.worker
    monkeypatch.setattr(use_cases, "STEP_RECIPIENTS", 1)
    await store(db, workspace_id, [Someone(f"p{n}@example.com") for n in range(10)])
    segment = await make_segment(db, workspace_id, EVERYBODY)
    await deliver(db, MAIN, [started(workspace_id, uuid4(), segments=[segment])])
    deaths = 0
    while True:
        try:
            await attempt(db, 13)
            break
        except Killed:
            deaths += 1
            assert deaths < 50
    batches, closed = await published(db)
    assert deaths > 3
    assert len(batches) == closed.batches == closed.eligible == 10


@pytest.mark.asyncio
async def test_one_whose_lease_was_taken_publishes_nothing(contacts_db, workspace_id):
    db = contacts_db.worker
    await store(db, workspace_id, [Someone("p@example.com")])
    segment = await make_segment(db, workspace_id, EVERYBODY)
    await deliver(db, MAIN, [started(workspace_id, uuid4(), segments=[segment])])
    row = await lease.claim(db, [("freeze_audience", 60.0)])
    zombie = JobContext(db, row["id"], row["workspace_id"], row["args"], {}, False, 1, row["lease_epoch"], 60.0)
    await attempt(db)
    before = await outbox_payloads(db)
    with pytest.raises(LeaseLost):
        await use_cases.freeze_audience(zombie)
    assert await outbox_payloads(db) == before


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.asyncio
async def test_events_doubled_and_permuted_leave_the_same_state(contacts_db, workspace_id, seed):
    db, one, two = contacts_db.worker, uuid4(), uuid4()
    await store(db, workspace_id, [Someone(f"p{n}@example.com") for n in range(5)])
    segment = await make_segment(db, workspace_id, EVERYBODY)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    events = [
        started(workspace_id, one, segments=[segment]),
        started(workspace_id, two, segments=[segment]),
        *(stated(workspace_id, one, state, n) for n, state in enumerate(["running", "paused", "running"], 1)),
        stated(workspace_id, two, "cancelled", 1),
        completed(workspace_id, one, at),
    ]
    await deliver_shuffled(db, MAIN, events, seed, most_per_batch=3)
    assert await attempt(db)
    await deliver(db, MAIN, [Outgoing(event.workspace_id, event.data) for event in events])
    assert await attempt(db)
    assert not await attempt(db)
    async with db.transaction() as tx:
        rows = {row["campaign_id"]: row for row in await tx.fetch("select * from campaigns")}
    assert (rows[one]["state"], rows[one]["state_revision"], rows[one]["completed_at"]) == ("running", 3, at)
    assert (rows[two]["state"], rows[two]["completed_at"]) == ("cancelled", None)
    closed = {event.data.campaign_id: event.data for event in await outbox_events(db, "audience.closed")}
    batches = Counter((e.data.campaign_id, e.data.n) for e in await outbox_events(db, "audience.batch"))
    assert batches == {(one, 0): 1, (two, 0): 1}
    assert closed[one].eligible == closed[two].eligible == 5


@pytest.mark.asyncio
async def test_state_and_end_before_the_start_make_no_audience(contacts_db, workspace_id):
    campaign_id = uuid4()
    await deliver(
        contacts_db.worker,
        MAIN,
        [stated(workspace_id, campaign_id, "running", 1), completed(workspace_id, campaign_id)],
    )
    assert not await attempt(contacts_db.worker)
    assert await outbox_payloads(contacts_db.worker) == []


async def rejection(db, workspace_id, **asked):
    campaign_id = uuid4()
    await deliver(db, MAIN, [started(workspace_id, campaign_id, **asked)])
    await attempt(db)
    assert not await attempt(db)
    events = await outbox_events(db)
    assert [event.data.campaign_id for event in events] == [campaign_id]
    async with db.transaction() as tx:
        assert await tx.fetchval("select count(*) from audience_members") == 0
        assert await tx.fetchval("select status from campaigns where campaign_id = $1", campaign_id) == "rejected"
    return events[0].data


@pytest.mark.parametrize(("kind", "key"), [("segment", "segments"), ("segment", "without"), ("list", "lists")])
@pytest.mark.asyncio
async def test_anything_of_another_workspace_rejects_the_audience(contacts_db, workspace_id, kind, key):
    db, elsewhere = contacts_db.worker, new_id()
    await store(db, workspace_id, [Someone("a@example.com")])
    make = {"segment": lambda: make_segment(db, elsewhere, EVERYBODY), "list": lambda: make_list(db, elsewhere, [])}
    foreign = await make[kind]()
    mine = await make_segment(db, workspace_id, EVERYBODY)
    asked = {"segments": [mine]}
    asked[key] = [*asked.get(key, []), foreign]
    said = await rejection(db, workspace_id, **asked)
    assert said.reason == f"unknown_{kind}"
    assert str(foreign) in said.detail


@pytest.mark.asyncio
async def test_a_rule_that_became_invalid_rejects_the_audience(contacts_db, workspace_id):
    db = contacts_db.worker
    segment = await make_segment(db, workspace_id, {"all": [{"field": "attributes.gone", "op": "exists"}]})
    said = await rejection(db, workspace_id, segments=[segment])
    assert said.reason == "invalid_segment"
    assert "/rule/all/0/field" in said.detail


@pytest.mark.asyncio
async def test_nobody_asked_for_closes_with_nobody(contacts_db, workspace_id):
    await deliver(contacts_db.worker, MAIN, [started(workspace_id, uuid4())])
    await attempt(contacts_db.worker)
    batches, closed = await published(contacts_db.worker)
    assert batches == []
    assert (closed.audience, closed.eligible, closed.excluded, closed.batches) == (0, 0, {}, 0)


@pytest.mark.asyncio
async def test_large_recipients_make_smaller_batches(contacts_db, workspace_id):
    db = contacts_db.worker
    await define(db, workspace_id, "bio", "text")
    await store(db, workspace_id, [Someone(f"p{n}@example.com", attributes={"bio": "س" * 9_000}) for n in range(100)])
    segment = await make_segment(db, workspace_id, EVERYBODY)
    await deliver(db, MAIN, [started(workspace_id, uuid4(), segments=[segment], fields=["attributes.bio"])])
    await attempt(db)
    payloads = await outbox_payloads(db)
    sizes = [len(payload.encode()) for payload in payloads]
    assert max(sizes) <= audiences.BATCH_BYTES
    assert len(payloads) == 5
    assert sum(len(orjson.loads(p).get("recipients", [])) for p in payloads) == 100


def test_pack_cuts_by_number_and_by_bytes():
    assert list(pack([], 2, 100)) == []
    assert list(pack(["a", "b", "c"], 2, 100)) == [["a", "b"], ["c"]]
    assert list(pack(["aaa", "bbb", "c"], 9, 8)) == [["aaa", "bbb"], ["c"]]
    assert list(pack(["س" * 9, "b"], 9, 8)) == [["س" * 9], ["b"]]


@pytest.mark.asyncio
async def test_a_job_given_up_rejects_the_audience(contacts_db, workspace_id):
    db, campaign_id = contacts_db.worker, uuid4()
    await deliver(db, MAIN, [started(workspace_id, campaign_id)])
    row = await lease.claim(db, [("freeze_audience", 60.0)])
    context = JobContext(db, row["id"], row["workspace_id"], row["args"], {}, False, 1, row["lease_epoch"], 60.0)
    async with db.transaction() as tx:
        await use_cases.FREEZE_AUDIENCE.on_failed(tx, context, "ZeroDivisionError: x")
    events = await outbox_events(db)
    assert isinstance(events[0].data, audiences.AudienceRejectedV1)
    assert UUID(events[0].key) == campaign_id


async def test_a_long_freezing_keeps_no_event_waiting(contacts_db, workspace_id):
    db, campaign_id = contacts_db.worker, new_id()
    people = [Someone(f"p{n}@example.com") for n in range(3)]
    await store(db, workspace_id, people)
    a_list = await make_list(db, workspace_id, [one.id for one in people])
    await deliver(db, MAIN, [started(workspace_id, campaign_id, lists=[a_list])])
    async with db.transaction() as tx:
        await tx.execute("lock table audience_members in share mode")
        freezing = asyncio.create_task(attempt(db))
        await asyncio.sleep(0.5)
        assert not freezing.done()
        async with asyncio.timeout(5):
            await deliver(db, MAIN, [stated(workspace_id, campaign_id, "paused", 2)])
    assert await asyncio.wait_for(freezing, 10)
    async with db.connection() as connection:
        row = await connection.fetchrow("select status, state, eligible from campaigns")
    assert tuple(row) == ("closed", "paused", 3)
