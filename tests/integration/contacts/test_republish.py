import asyncio
import os
import subprocess
import sys

import pytest
from common.ids import new_id, purpose_id
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record, deliver, outbox_events
from contacts.use_cases.republish import republish
from delivery.consumers.subscriptions import consumers

PEPPER = b"p" * 32
SUBSCRIBED = {"status": "subscribed", "source": "form"}


async def _person(client, email: str) -> str:
    answer = await client.post("/v1/contacts", json={"email": email, "consent": SUBSCRIBED})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def _consent(client, contact: str, status: str) -> None:
    body = {"contact_id": contact, "purpose": "newsletter", "status": status, "source": "phone"}
    answer = await client.post("/v1/consents", json=body)
    assert answer.is_success, answer.text


async def _suppress(client, **what: str) -> str:
    answer = await client.post("/v1/suppressions", json=what)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def _take_outbox(database) -> list[Outgoing]:
    """What was published, as the bus would carry it; the outbox is empty after."""
    events = [Outgoing(one.workspace_id, one.data, id=one.id) for one in await outbox_events(database.worker)]
    async with database.worker.transaction() as tx:
        await tx.execute("delete from outbox")
    return events


async def _tell_delivery(database, events) -> None:
    main = next(one for one in consumers(PEPPER) if one.name == "delivery.main")
    await deliver(database.worker, main, events)


async def _blocks(database) -> dict[tuple[str, bytes], tuple[int, str]]:
    async with database.worker.transaction() as tx:
        rows = await tx.fetch(
            "select scope, subject, told_revision, told_reason from blocks where told_blocked or own_id is not null"
        )
    return {(row["scope"], row["subject"]): (row["told_revision"], row["told_reason"]) for row in rows}


async def _some_blocked_people(client) -> None:
    people = [await _person(client, f"p{n}@x.example") for n in range(7)]
    for person in people[:4]:
        await _consent(client, person, "unsubscribed")
    await _consent(client, people[3], "subscribed")
    await _suppress(client, email="p5@x.example")
    await _suppress(client, domain="bad.example")
    lifted = await _suppress(client, email="p6@x.example")
    assert (await client.delete(f"/v1/suppressions/{lifted}")).is_success


async def test_a_delivery_that_lost_its_blocks_gets_them_back(client, contacts_db, delivery_db):
    await _some_blocked_people(client)
    await _tell_delivery(delivery_db, await _take_outbox(contacts_db))
    before = await _blocks(delivery_db)
    assert sorted(scope for scope, _ in before) == ["address", "consent", "consent", "consent", "domain"]
    async with delivery_db.worker.transaction() as tx:
        await tx.execute("delete from blocks")

    told, whole = await republish(contacts_db.worker, "blocks", asyncio.Event(), batch=2)
    events = await _take_outbox(contacts_db)
    assert (told, whole) == (len(events), True)
    await _tell_delivery(delivery_db, events)
    assert await _blocks(delivery_db) == before


async def test_a_block_that_was_lifted_since_is_lifted_in_an_older_delivery_too(client, contacts_db, delivery_db):
    person = await _person(client, "a@x.example")
    await _consent(client, person, "unsubscribed")
    suppression = await _suppress(client, email="a@x.example")
    await _tell_delivery(delivery_db, await _take_outbox(contacts_db))
    assert len(await _blocks(delivery_db)) == 2
    await _consent(client, person, "subscribed")
    await client.delete(f"/v1/suppressions/{suppression}")
    await _take_outbox(contacts_db)  # lost
    await republish(contacts_db.worker, "blocks", asyncio.Event())
    await _tell_delivery(delivery_db, await _take_outbox(contacts_db))
    assert await _blocks(delivery_db) == {}


async def test_telling_again_late_or_twice_changes_nothing(client, contacts_db, delivery_db, workspace_id):
    await _some_blocked_people(client)
    await _take_outbox(contacts_db)
    person = await _person(client, "late@x.example")
    await _consent(client, person, "unsubscribed")
    await republish(contacts_db.worker, "blocks", asyncio.Event())
    old = await _take_outbox(contacts_db)
    await _consent(client, person, "subscribed")
    await _tell_delivery(delivery_db, await _take_outbox(contacts_db))
    await _tell_delivery(delivery_db, old)
    subject = bytes.fromhex(person.replace("-", "")) + purpose_id(workspace_id, "newsletter").bytes
    after = await _blocks(delivery_db)
    assert ("consent", subject) not in after
    assert len(after) == 5
    await republish(contacts_db.worker, "blocks", asyncio.Event())
    await _tell_delivery(delivery_db, await _take_outbox(contacts_db))
    assert await _blocks(delivery_db) == after


async def test_people_without_a_block_are_not_told_of(client, contacts_db):
    await _person(client, "a@x.example")
    await _take_outbox(contacts_db)
    assert await republish(contacts_db.worker, "blocks", asyncio.Event()) == (0, True)


async def test_it_stops_when_told_to(client, contacts_db):
    await _some_blocked_people(client)
    stop = asyncio.Event()
    stop.set()
    assert await republish(contacts_db.worker, "blocks", stop) == (0, False)


@pytest.mark.parametrize(("what", "topic"), [("leads", "lead.updated"), ("lists", "list.changed"),
                                             ("segments", "segment.changed")])  # fmt: skip
async def test_what_is_told_again_says_what_was_said_last(client, contacts_db, what, topic):
    person = await _person(client, "a@x.example")
    made = await client.post("/v1/lists", json={"name": "a"})
    await client.patch(f"/v1/lists/{made.json()['id']}", json={"name": "b"}, headers={"If-Match": made.headers["etag"]})
    rule = {"field": "email", "op": "contains", "value": "x"}
    assert (await client.post("/v1/segments", json={"name": "s", "rule": rule})).status_code == 201
    changed = await client.patch(f"/v1/contacts/{person}", json={"first_name": "زهرا", "tags": ["x", "y"]})
    assert changed.is_success, changed.text
    said = [event for event in map(as_record, await _take_outbox(contacts_db)) if event.topic == topic]
    assert said
    assert await republish(contacts_db.worker, what, asyncio.Event(), batch=1) == (1, True)
    async with contacts_db.worker.transaction() as tx:
        assert await tx.fetchval("select bool_and(lane = 2) from outbox")
        key = await tx.fetchval("select key from outbox")
    again = [as_record(event) for event in await _take_outbox(contacts_db)]
    assert [(one.topic, one.type, one.key) for one in again] == [(topic, said[-1].type, key)]
    assert again[0].key == said[-1].key
    assert again[0].payload == said[-1].payload


async def test_the_command(client, contacts_db, service_env):
    await _some_blocked_people(client)
    await _take_outbox(contacts_db)
    env = {**os.environ, **service_env("contacts", contacts_db)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "contacts", *words], env=env, capture_output=True, text=True, timeout=60, check=False
        )

    done = await asyncio.to_thread(run, "republish", "blocks")
    assert done.returncode == 0, done.stderr
    assert len(await _take_outbox(contacts_db)) == 7
    wrong = await asyncio.to_thread(run, "republish", str(new_id()))
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
    assert "choose from 'blocks'" in wrong.stderr
