"""Facts about mail: kept once each, in any order, never about somebody who was erased."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from common.contracts.email import EmailClickedV1, EmailOpenedV1, EmailReclassifiedV1, EmailSentV1
from common.outbox.writer import Outgoing
from common.testing import deliver
from common.testing.shuffle import deliver_shuffled
from contacts.consumers.subscriptions import consumers

from tests.integration.contacts.people import Someone, erase, store

MAIN = consumers()[0]
AT = datetime(2026, 5, 1, tzinfo=UTC)


def facts(workspace_id, contact_id, kind="campaign"):
    about = {"message_id": uuid4(), "kind": kind, "contact_id": contact_id, "campaign_id": uuid4()}
    return [
        Outgoing(workspace_id, EmailSentV1(**about, attempt=1, revision=2, provider="other"), time=AT),
        Outgoing(workspace_id, EmailOpenedV1(**about), time=AT),
        Outgoing(workspace_id, EmailOpenedV1(**about, machine=True, machine_rule="prefetch"), time=AT),
        Outgoing(workspace_id, EmailClickedV1(**about, link=0, url="https://x.example"), time=AT),
    ]


async def stored(db):
    async with db.transaction() as tx:
        return await tx.fetch("select * from activity order by contact_id, type, machine")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.asyncio
async def test_facts_doubled_and_permuted_are_stored_once(contacts_db, workspace_id, seed):
    people = [Someone(f"p{n}@example.com") for n in range(3)]
    await store(contacts_db.worker, workspace_id, people)
    await erase(contacts_db.worker, workspace_id, people[2].id)
    events = [event for one in people for event in facts(workspace_id, one.id)]
    strangers = facts(workspace_id, None) + facts(workspace_id, people[0].id, kind="test")
    await deliver_shuffled(contacts_db.worker, MAIN, events + strangers, seed)
    rows = await stored(contacts_db.worker)
    assert {row["event_id"] for row in rows} == {event.id for event in events[:8]}
    assert len(rows) == 8
    assert [(row["type"], row["machine"]) for row in rows[:4]] == [
        ("email.clicked", False), ("email.opened", False), ("email.opened", True), ("email.sent", False)
    ]  # fmt: skip
    assert {row["at"] for row in rows} == {AT}
    assert rows[0]["campaign_id"] == next(e.data.campaign_id for e in events if e.id == rows[0]["event_id"])


@pytest.mark.asyncio
async def test_a_fact_that_meets_an_erasure_leaves_nothing(contacts_db, workspace_id):
    db, someone = contacts_db.worker, Someone("p@example.com")
    await store(db, workspace_id, [someone])
    async with db.transaction(workspace_id) as tx:
        await tx.execute("delete from contacts where workspace_id = $1 and id = $2", workspace_id, someone.id)
        meeting = asyncio.create_task(deliver(db, MAIN, facts(workspace_id, someone.id)))
        await asyncio.wait([meeting], timeout=0.3)
        assert not meeting.done()
        await tx.execute(
            "insert into tombstones (workspace_id, contact_id, address_hash, request_id) values ($1, $2, '', $2)",
            workspace_id, someone.id,
        )  # fmt: skip
    await meeting
    assert await stored(db) == []


def reclassified(click, revision, machine):
    data = EmailReclassifiedV1(
        event_id=click.id, message_id=click.data.message_id, kind="campaign", contact_id=click.data.contact_id,
        machine=machine, machine_rule="fast_click" if machine else None, revision=revision,
    )  # fmt: skip
    return Outgoing(click.workspace_id, data, time=AT)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.asyncio
async def test_a_click_found_to_be_a_machines_is_marked_whichever_comes_first(contacts_db, workspace_id, seed):
    people = [Someone(f"p{n}@example.com") for n in range(4)]
    await store(contacts_db.worker, workspace_id, people)
    clicks = [facts(workspace_id, one.id)[3] for one in people]
    verdicts = [
        reclassified(clicks[1], 1, True),
        reclassified(clicks[2], 1, True), reclassified(clicks[2], 2, False),
        reclassified(clicks[3], 1, True), reclassified(clicks[3], 2, False), reclassified(clicks[3], 3, True),
    ]  # fmt: skip
    await deliver_shuffled(contacts_db.worker, MAIN, clicks + verdicts, seed)
    rows = {row["event_id"]: row["machine"] for row in await stored(contacts_db.worker)}
    assert [rows[click.id] for click in clicks] == [False, True, False, True]


@pytest.mark.asyncio
async def test_a_click_and_its_verdict_handled_side_by_side_agree(contacts_db, workspace_id):
    db, someone = contacts_db.worker, Someone("p@example.com")
    await store(db, workspace_id, [someone])
    clicks = [facts(workspace_id, someone.id)[3] for _ in range(30)]
    await asyncio.gather(
        *(deliver(db, MAIN, [one]) for click in clicks for one in (click, reclassified(click, 1, True)))
    )
    assert [row["machine"] for row in await stored(db)] == [True] * 30
