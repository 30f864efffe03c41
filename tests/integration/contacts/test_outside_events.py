"""Events told from outside, over HTTP."""

from uuid import uuid4

import pytest
import pytest_asyncio

AT = "2026-01-05T10:00:00Z"


@pytest_asyncio.fixture
async def sara(client):
    assert (await client.post("/v1/events/definitions", json={
        "name": "webinar.attended", "label": "وبینار", "properties": {"minutes": "number", "room": "text"},
    })).status_code == 201  # fmt: skip
    made = await client.post("/v1/contacts", json={"email": "Sara@x.example", "external_id": "crm-1"})
    return made.json()["id"]


def _event(name, contact, **changed):
    return {"id": name, "type": "webinar.attended", "contact": contact, "occurred_at": AT, **changed}


async def _kept(contacts_db, workspace_id):
    async with contacts_db.worker.transaction(workspace_id) as tx:
        return [tuple(row) for row in await tx.fetch("select contact_id, type, properties from activity order by at")]


async def test_an_event_names_its_contact_by_address_external_id_or_id(client, contacts_db, workspace_id, sara):
    told = [
        _event("e1", {"email": "sara@X.example"}, properties={"minutes": 40}),
        _event("e2", {"external_id": "crm-1"}, occurred_at="2026-01-06T10:00:00Z"),
        _event("e3", {"id": sara}, occurred_at="2026-01-07T10:00:00Z"),
    ]
    answer = await client.post("/v1/events", json=told)
    assert (answer.status_code, answer.json()) == (200, {"stored": 3, "duplicates": 0})
    kept = await _kept(contacts_db, workspace_id)
    assert [(str(who), what, properties) for who, what, properties in kept] == [
        (sara, "webinar.attended", {"minutes": 40}), (sara, "webinar.attended", {}), (sara, "webinar.attended", {}),
    ]  # fmt: skip


async def test_of_two_events_with_one_id_the_first_stands(client, contacts_db, workspace_id, sara):
    first, second = (_event("same", {"id": sara}, properties={"minutes": n}) for n in (1, 2))
    assert (await client.post("/v1/events", json=[first])).json() == {"stored": 1, "duplicates": 0}
    assert (await client.post("/v1/events", json=[second])).json() == {"stored": 0, "duplicates": 1}
    both = [_event("other", {"id": sara}, properties={"minutes": n}) for n in (3, 4)]
    assert (await client.post("/v1/events", json=both)).json() == {"stored": 1, "duplicates": 1}
    assert [row[2]["minutes"] for row in await _kept(contacts_db, workspace_id)] in ([1, 3], [3, 1])


@pytest.mark.parametrize(
    ("changed", "where", "code"),
    [
        ({"type": "webinar.dreamt"}, "/1/type", "unknown_event"),
        ({"type": "email.opened"}, "/1/type", "unknown_event"),
        ({"contact": {"email": "nobody@x.example"}}, "/1/contact/email", "contact_not_found"),
        ({"contact": {"email": "not an address"}}, "/1/contact/email", "invalid_email"),
        ({"contact": {"external_id": "crm-2"}}, "/1/contact/external_id", "contact_not_found"),
        ({"properties": {"minutes": "forty"}}, "/1/properties/minutes", "wrong_value"),
        ({"properties": {"room": "x" * 10_001}}, "/1/properties/room", "wrong_value"),
        ({"properties": {"a/b": 1}}, "/1/properties/a~1b", "unknown_property"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "/1/occurred_at", "in_the_future"),
    ],
)
async def test_one_wrong_event_is_named_and_none_of_the_call_is_stored(
    client, contacts_db, workspace_id, sara, changed, where, code
):
    told = [_event("good", {"id": sara}), {**_event("bad", {"id": sara}), **changed}]
    answer = await client.post("/v1/events", json=told)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_events")
    assert [(one["where"], one["code"]) for one in answer.json()["errors"]] == [(where, code)]
    assert await _kept(contacts_db, workspace_id) == []


@pytest.mark.parametrize("contact", [{}, {"email": "a@x.example", "external_id": "1"}])
async def test_an_event_about_nobody_or_about_two_is_refused(client, sara, contact):
    assert (await client.post("/v1/events", json=[_event("e", contact)])).status_code == 422


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_call_holds_1_to_1000_events(client, sara, count):
    told = [_event(f"e{n}", {"id": sara}) for n in range(count)]
    assert (await client.post("/v1/events", json=told)).status_code == 422


async def test_events_about_an_erased_person_are_not_stored(client, contacts_db, workspace_id, sara):
    asked = await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": sara})
    assert asked.status_code in (201, 202), asked.text
    answer = await client.post("/v1/events", json=[_event("late", {"id": sara})])
    assert answer.json()["errors"][0]["code"] == "contact_not_found"
    assert await _kept(contacts_db, workspace_id) == []


async def test_a_definition_can_be_changed_and_deleted_and_what_was_told_stays(client, contacts_db, workspace_id, sara):
    await client.post("/v1/events", json=[_event("e1", {"id": sara}, properties={"minutes": 1})])
    path = "/v1/events/definitions/webinar.attended"
    stale = await client.put(path, json={}, headers={"If-Match": '"r9"'})
    assert stale.status_code == 412
    changed = await client.put(path, json={"properties": {"seat": "text"}}, headers={"If-Match": '"r1"'})
    assert (changed.json()["properties"], changed.headers["ETag"]) == ({"seat": "text"}, '"r2"')
    assert [one["name"] for one in (await client.get("/v1/events/definitions")).json()["items"]] == ["webinar.attended"]
    again = await client.post("/v1/events/definitions", json={"name": "webinar.attended"})
    assert (again.status_code, again.json()["code"]) == (409, "event_defined")
    assert (await client.delete(path)).status_code == 204
    assert (await client.delete(path)).status_code == 404
    assert len(await _kept(contacts_db, workspace_id)) == 1


@pytest.mark.parametrize("name", ["email.opened", "attended", "Webinar.attended", "a..b"])
async def test_a_definition_has_a_dotted_name_outside_barids_own(client, name):
    assert (await client.post("/v1/events/definitions", json={"name": name})).status_code == 422


async def test_an_unknown_id_is_nobody(client, sara):
    answer = await client.post("/v1/events", json=[_event("e", {"id": str(uuid4())})])
    assert answer.json()["errors"][0]["where"] == "/0/contact/id"
