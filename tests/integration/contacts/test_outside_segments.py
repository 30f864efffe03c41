"""Rules name events from outside and what their properties must be; members and others follow."""

from uuid import UUID

import pytest
from common.testing import outbox_events
from contacts.use_cases import live_segments

from tests.integration.contacts.test_live_segments import build, caught_up

ATTENDED = {
    "event": "webinar.attended", "op": "at_least", "value": 1, "where": [
        {"property": "minutes", "op": "gte", "value": 30}, {"property": "room", "op": "neq", "value": "تهران"},
    ],
}  # fmt: skip


async def define(client, **properties):
    body = {"name": "webinar.attended", "properties": properties or {"minutes": "number", "room": "text"}}
    assert (await client.post("/v1/events/definitions", json=body)).status_code == 201


async def test_members_follow_events_and_so_do_those_who_listen(client, contacts_db, workspace_id):
    db = contacts_db.worker
    await define(client)
    who = (await client.post("/v1/contacts", json={"email": "sara@x.example"})).json()["id"]
    made = (await client.post("/v1/segments", json={"name": "s", "rule": ATTENDED})).json()["id"]
    await build(db)

    async def inside():
        await caught_up(db)
        return [one["id"] for one in (await client.get(f"/v1/segments/{made}/members")).json()["items"]]

    event = {"type": "webinar.attended", "contact": {"id": who}, "occurred_at": "2026-01-05T10:00:00Z"}
    await client.post("/v1/events", json={**event, "id": "short", "properties": {"minutes": 29}})
    assert await inside() == []
    properties = {"minutes": 30, "room": "شیراز"}
    for _ in range(2):
        await client.post("/v1/events", json={**event, "id": "long", "properties": properties})
    assert await inside() == [who]

    told = [one.data for one in await outbox_events(db, "contact.activity")]
    assert [(one.contact_id, one.type, one.properties) for one in told] == [
        (UUID(who), "webinar.attended", {"minutes": 29}), (UUID(who), "webinar.attended", properties),
    ]  # fmt: skip
    explained = (await client.post(f"/v1/segments/{made}/explain", json={"contact_id": who})).json()
    assert (explained["holds"], explained["saw"]) == (True, 1)
    assert explained["says"] == "did webinar.attended where minutes is at least 30 and not (room is “تهران”)"

    # what a property is can change under a rule: it says so, its members stay, and follow once it can be read again
    path = "/v1/events/definitions/webinar.attended"
    await client.put(path, json={"properties": {"room": "text"}})
    state = (await client.get(f"/v1/segments/{made}")).json()
    assert "minutes" in state["error"]
    assert await inside() == [who]
    await client.put(path, json={"properties": {"minutes": "text", "room": "text"}})
    assert "minutes" in (await client.get(f"/v1/segments/{made}")).json()["error"]
    await client.delete(path)
    await define(client)
    await build(db)
    assert (await client.get(f"/v1/segments/{made}")).json()["error"] is None
    assert await inside() == [who]


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"event": "webinar.dreamt"}, "/rule/event"),
        ({"where": [{"property": "seat", "op": "exists"}]}, "/rule/where/0/property"),
        ({"where": [{"property": "minutes", "op": "contains", "value": "3"}]}, "/rule/where/0/op"),
        ({"where": [{"property": "minutes", "op": "gte", "value": "long"}]}, "/rule/where/0/value"),
        ({"where": [{"property": "minutes", "op": "exists", "x": 1}]}, "/rule/where/0/x"),
        ({"where": [{"property": "minutes", "op": "exists"}] * 11}, "/rule/where"),
        ({"event": "email.opened"}, "/rule/where/0/property"),
    ],
)
async def test_a_rule_that_names_what_no_event_has_says_where(client, changed, pointer):
    await define(client)
    refused = await client.post("/v1/segments/preview", json={"rule": {**ATTENDED, **changed}})
    assert refused.status_code == 422, refused.text
    assert pointer in (refused.json()["params"].get("pointer"), *(one["where"] for one in refused.json()["errors"]))


async def test_properties_that_depend_on_the_day_are_looked_at_by_the_clock(client, contacts_db, workspace_id):
    await define(client, until="date")
    await client.post("/v1/contacts", json={"email": "sara@x.example"})
    rule = {"event": "webinar.attended", "op": "at_least", "value": 1, "within": "30d",
            "where": [{"property": "until", "op": "within", "value": "1d"}]}  # fmt: skip
    await client.post("/v1/segments", json={"name": "s", "rule": rule})
    await build(contacts_db.worker)
    await live_segments.sweep(contacts_db.worker)
    async with contacts_db.worker.connection() as connection:
        await connection.execute("update segment_states set swept_at = now() - interval '1 hour'")
    await live_segments.sweep(contacts_db.worker)
    async with contacts_db.worker.connection() as connection:
        assert await connection.fetchval("select timed and error is null from segment_states")
