"""Events told from outside, over HTTP."""

import json
from uuid import uuid4

import pytest
import pytest_asyncio
from contacts.use_cases.parked_events import join_parked, tend_parked

from tests.integration.contacts.people import Someone
from tests.integration.contacts.service import import_file

AT = "2026-01-05T10:00:00Z"


@pytest_asyncio.fixture
async def sara(client):
    assert (await client.post("/v1/events/definitions", json={
        "name": "webinar.attended", "label": "وبینار",
        "properties": {"minutes": "number", "room": "text", "note": "text"},
    })).status_code == 201  # fmt: skip
    made = await client.post("/v1/contacts", json={"email": "Sara@x.example", "external_id": "crm-1"})
    return made.json()["id"]


def _event(name, contact, **changed):
    return {"id": name, "type": "webinar.attended", "contact": contact, "occurred_at": AT, **changed}


def taken(**counts):
    return {"stored": 0, "duplicates": 0, "parked": 0, "ignored": 0, "contacts_created": 0, **counts}


async def _policy(client, unknown, keep_days=30):
    answer = await client.put("/v1/events/policy", json={"unknown_contacts": unknown, "keep_days": keep_days})
    assert answer.status_code == 200, answer.text


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
    assert (answer.status_code, answer.json()) == (200, taken(stored=3))
    kept = await _kept(contacts_db, workspace_id)
    assert [(str(who), what, properties) for who, what, properties in kept] == [
        (sara, "webinar.attended", {"minutes": 40}), (sara, "webinar.attended", {}), (sara, "webinar.attended", {}),
    ]  # fmt: skip


async def test_of_two_events_with_one_id_the_first_stands(client, contacts_db, workspace_id, sara):
    first, second = (_event("same", {"id": sara}, properties={"minutes": n}) for n in (1, 2))
    assert (await client.post("/v1/events", json=[first])).json() == taken(stored=1)
    assert (await client.post("/v1/events", json=[second])).json() == taken(duplicates=1)
    both = [_event("other", {"id": sara}, properties={"minutes": n}) for n in (3, 4)]
    assert (await client.post("/v1/events", json=both)).json() == taken(stored=1, duplicates=1)
    assert [row[2]["minutes"] for row in await _kept(contacts_db, workspace_id)] in ([1, 3], [3, 1])


@pytest.mark.parametrize(
    ("changed", "where", "code"),
    [
        ({"type": "webinar.dreamt"}, "/1/type", "unknown_event"),
        ({"type": "email.opened"}, "/1/type", "unknown_event"),
        ({"contact": {"email": "not an address"}}, "/1/contact/email", "invalid_email"),
        ({"contact": {}}, "/1/contact", "value_error"),
        ({"surprise": 1}, "/1/surprise", "extra_forbidden"),
        ({"properties": {"minutes": "forty"}}, "/1/properties/minutes", "wrong_value"),
        ({"properties": {"room": "x" * 10_001}}, "/1/properties/room", "wrong_value"),
        ({"properties": {"a/b": 1}}, "/1/properties/a~1b", "unknown_property"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "/1/occurred_at", "in_the_future"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "/1/occurred_at", "too_old"),
        ({"properties": {"minutes": 10**400}}, "/1/properties/minutes", "wrong_value"),
        ({"properties": dict.fromkeys(("room", "note"), "\u0001" * 9_999)}, "/1/properties", "too_large"),
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


async def test_one_event_and_lines_of_json_are_taken_too(client, contacts_db, workspace_id, sara):
    one = _event("e1", {"id": sara}, properties={"minutes": 1})
    assert (await client.post("/v1/events", json=one)).json() == taken(stored=1)
    lines = [json.dumps(_event(f"e{n}", {"id": sara}, properties={"room": "اتاق"})) for n in range(1, 4)]
    ndjson = {"Content-Type": "application/x-ndjson"}
    answer = await client.post("/v1/events", content="\r\n".join([*lines, "", ""]), headers=ndjson)
    assert answer.json() == taken(stored=2, duplicates=1)
    wrong = {**_event("x", {"id": sara}), "occurred_at": "yesterday"}
    body = "\n".join([lines[0], "", "{", json.dumps(wrong)])
    refused = await client.post("/v1/events", content=body, headers=ndjson)
    assert (refused.status_code, [one["line"] for one in refused.json()["errors"]]) == (422, [3])
    refused = await client.post("/v1/events", content="\n".join([lines[0], "", json.dumps(wrong)]), headers=ndjson)
    assert [(one["line"], one["where"]) for one in refused.json()["errors"]] == [(3, "/occurred_at")]
    assert "1 of 2" in refused.json()["detail"]
    for content in ("", "\n" * 5, "\n".join(lines[:1] * 1001)):
        assert (await client.post("/v1/events", content=content, headers=ndjson)).status_code == 422
    text = await client.post("/v1/events", content=lines[0], headers={"Content-Type": "text/plain"})
    assert text.status_code == 422
    assert len(await _kept(contacts_db, workspace_id)) == 3


async def test_events_of_unknown_contacts_wait_and_join_whoever_appears(client, contacts_db, workspace_id, sara):
    """Made by hand, by an import, by a change and by a merge; a second event of one id waits only once."""
    told = [
        _event("api", {"email": "Api@x.example"}), _event("import", {"email": "import@x.example"}),
        _event("changed", {"external_id": "crm-9"}), _event("api", {"email": "other@x.example"}),
    ]  # fmt: skip
    assert (await client.post("/v1/events", json=told)).json() == taken(parked=3, duplicates=1)
    assert (await client.post("/v1/events", json=told)).json() == taken(duplicates=4)
    assert (await client.get("/v1/events/policy")).json()["parked"] == 3
    made = (await client.post("/v1/contacts", json={"email": "api@x.example"})).json()["id"]
    await client.patch(f"/v1/contacts/{sara}", json={"external_id": "crm-9"})
    await import_file(client, contacts_db, b"Email\nIMPORT@x.example\n", mapping={"Email": "email"})
    await join_parked(contacts_db.worker)
    kept = await _kept(contacts_db, workspace_id)
    assert {str(who) for who, _, _ in kept} >= {made, sara}
    assert len({who for who, _, _ in kept}) == len(kept) == 3
    assert (await client.get("/v1/events/policy")).json()["parked"] == 0
    # the address of somebody merged means whoever they became
    merged = await client.post("/v1/contacts/merges", json={"contact_id": sara, "merged_contact_id": made})
    assert merged.status_code == 201, merged.text
    assert (await client.post("/v1/events", json=_event("late", {"email": "api@x.example"}))).json() == taken(stored=1)


async def test_a_contact_that_was_being_stored_meanwhile_is_found_later(client, contacts_db, workspace_id, sara):
    async with contacts_db.worker.transaction(workspace_id) as tx:
        late = Someone("late@x.example")
        await tx.execute(
            "insert into contacts (workspace_id, id, email, email_normalised, address_hash, domain_hash)"
            " values ($1, $2, $3, $3, '', '')", workspace_id, late.id, late.email,
        )  # fmt: skip
        assert (await client.post("/v1/events", json=_event("e", {"email": late.email}))).json() == taken(parked=1)
    await join_parked(contacts_db.worker)
    assert await _kept(contacts_db, workspace_id) == []
    await tend_parked(contacts_db.worker)
    await join_parked(contacts_db.worker)
    assert [who for who, _, _ in await _kept(contacts_db, workspace_id)] == [late.id]


async def test_the_workspace_decides_about_unknown_contacts(client, contacts_db, workspace_id, sara):
    told = [_event("e1", {"email": "New@x.example"}), _event("e2", {"email": "new@X.example"}),
            _event("e3", {"external_id": "crm-2"})]  # fmt: skip
    await _policy(client, "refuse")
    refused = await client.post("/v1/events", json=told)
    assert [one["where"] for one in refused.json()["errors"]] == [
        "/0/contact/email", "/1/contact/email", "/2/contact/external_id",
    ]  # fmt: skip
    await _policy(client, "create")
    assert (await client.post("/v1/events", json=told)).json() == taken(stored=2, parked=1, contacts_created=1)
    found = (await client.get("/v1/contacts", params={"filter": "email:eq:new@x.example"})).json()["items"]
    assert len(found) == 1
    assert len(await _kept(contacts_db, workspace_id)) == 2
    stale = {"unknown_contacts": "park"}
    assert (await client.put("/v1/events/policy", json=stale, headers={"If-Match": '"r1"'})).status_code == 412


async def test_what_waits_is_bounded_and_expires(client, contacts_db, workspace_id, sara, monkeypatch):
    monkeypatch.setattr("contacts.use_cases.outside_events.MOST_PARKED", 2)
    told = [_event(f"e{n}", {"external_id": f"x{n}"}) for n in range(3)]
    assert (await client.post("/v1/events", json=told[:2])).json() == taken(parked=2)
    full = await client.post("/v1/events", json=told[2:])
    assert (full.status_code, full.json()["code"]) == (409, "too_many_parked")
    async with contacts_db.worker.transaction(workspace_id) as tx:
        await tx.execute("update parked_events set expires_at = now() - interval '1 s' where external_id = 'x0'")
    await tend_parked(contacts_db.worker)
    assert (await client.get("/v1/events/policy")).json()["parked"] == 1


async def test_an_erased_address_is_neither_parked_nor_made_again(client, contacts_db, workspace_id, sara):
    await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": sara})
    for unknown in ("park", "create"):
        await _policy(client, unknown)
        answer = await client.post("/v1/events", json=_event("e", {"email": "sara@x.example"}))
        assert answer.json() == taken(ignored=1)
    assert (await client.get("/v1/events/policy")).json()["parked"] == 0


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
