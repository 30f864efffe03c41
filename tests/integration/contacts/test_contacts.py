from uuid import uuid4

import pytest
from common.contracts.leads import ConsentChangedV1, LeadCreatedV1, LeadUpdatedV1
from common.ids import purpose_id
from common.testing.deliver import outbox_events

CONSENT = {"status": "subscribed", "source": "form", "evidence": "ticked the box"}


async def _create(client, email="Person@Example.com", **fields):
    answer = await client.post("/v1/contacts", json={"email": email, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def _kinds(database):
    return [type(event.data) for event in await outbox_events(database.worker)]


async def test_a_new_contact_is_stored_with_its_first_consent_and_announced(client, contacts_db, workspace_id):
    await client.post("/v1/attributes", json={"name": "شهر", "type": "text"})
    made = await _create(
        client, " علی@شرکت.example ", first_name="علی", language="FA", country="ir", timezone="asia/tehran",
        attributes={"شهر": "تهران"}, tags=["vip"], external_id="crm-1", consent={**CONSENT, "tracking": "individual"},
    )  # fmt: skip
    assert (made["email"], made["language"], made["country"], made["timezone"]) == (
        "علی@شرکت.example", "fa", "IR", "Asia/Tehran",
    )  # fmt: skip
    assert (made["score"], made["stage"], made["tracking"], made["suppressed"]) == (0, "lead", "individual", False)
    assert [(c["purpose"], c["status"]) for c in made["consents"]] == [("newsletter", "subscribed")]
    (event,) = await outbox_events(contacts_db.worker)
    assert isinstance(event.data, LeadCreatedV1)
    assert event.data.consents[0].purpose_id == purpose_id(workspace_id, "newsletter")
    assert (event.data.revision, event.data.attributes) == (1, {"شهر": "تهران"})
    lines = (await client.get("/v1/consents", params={"contact_id": made["id"]})).json()["items"]
    line, tracking = sorted(lines, key=lambda one: one["channel"])
    assert (tracking["channel"], tracking["status"]) == ("tracking", "subscribed")
    assert (line["source"], line["evidence"], line["wording_version"]) == ("form", "ticked the box", 1)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": "a@x.example\r\nBcc: b@x.example"}, 422, "invalid_email"),
        ({"email": "nobody"}, 422, "invalid_email"),
        ({"email": "a@x.example", "language": "Persian language"}, 422, "invalid_field"),
        ({"email": "a@x.example", "country": "Iran"}, 422, "invalid_field"),
        ({"email": "a@x.example", "timezone": "Mars/Base"}, 422, "invalid_field"),
        ({"email": "a@x.example", "attributes": {"nope": 1}}, 422, "unknown_attribute"),
        ({"email": "a@x.example", "attributes": {"age": "old"}}, 422, "invalid_field"),
        ({"email": "a@x.example", "consent": {**CONSENT, "purpose": "nope"}}, 422, "unknown_purpose"),
        ({"email": "a@x.example", "consent": {"status": "subscribed"}}, 422, "invalid"),
        ({"email": "a@x.example", "surprise": 1}, 422, "invalid"),
        ({}, 422, "invalid"),
    ],
)
async def test_a_contact_that_is_not_right_is_refused_and_changes_nothing(client, contacts_db, body, status, code):
    await client.post("/v1/attributes", json={"name": "age", "type": "number"})
    answer = await client.post("/v1/contacts", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["detail"] or problem["errors"]
    assert (await client.get("/v1/contacts")).json()["items"] == []
    assert await outbox_events(contacts_db.worker) == []


async def test_the_same_address_in_another_spelling_is_the_same_person(client):
    made = await _create(client)
    answer = await client.post("/v1/contacts", json={"email": "\u200bPERSON@example.COM "})
    assert (answer.status_code, answer.json()["code"]) == (409, "contact_exists")
    assert answer.json()["params"]["contact_id"] == made["id"]
    found = await client.get("/v1/contacts", params={"email": " person@EXAMPLE.com"})
    assert [one["id"] for one in found.json()["items"]] == [made["id"]]


async def test_put_finds_a_person_by_address_or_external_id_and_refuses_to_mix_two(client, contacts_db):
    first = await client.put("/v1/contacts", json={"email": "a@x.example", "external_id": "1", "first_name": "A"})
    assert first.status_code == 201
    same = await client.put("/v1/contacts", json={"external_id": "1", "email": "moved@x.example"})
    assert (same.status_code, same.json()["id"], same.json()["email"]) == (200, first.json()["id"], "moved@x.example")
    assert same.json()["first_name"] == "A", "omitted is not empty"
    again = await client.put("/v1/contacts", json={"external_id": "1", "email": "moved@x.example"})
    assert again.json()["revision"] == same.json()["revision"]
    await _create(client, "b@x.example", external_id="2")
    mixed = await client.put("/v1/contacts", json={"email": "b@x.example", "external_id": "1"})
    assert (mixed.status_code, mixed.json()["code"]) == (409, "two_people")
    assert (await client.put("/v1/contacts", json={"external_id": "3"})).status_code == 422
    assert (await client.put("/v1/contacts", json={"first_name": "x"})).status_code == 422
    assert await _kinds(contacts_db) == [LeadCreatedV1, LeadUpdatedV1, LeadCreatedV1]


async def test_patch_merges_and_a_stale_etag_changes_nothing(client, contacts_db):
    for name in ("city", "plan"):
        await client.post("/v1/attributes", json={"name": name})
    made = await _create(
        client, first_name="A", last_name="B", attributes={"city": "Tehran", "plan": "free"}, tags=["x"]
    )
    url = f"/v1/contacts/{made['id']}"
    tag = (await client.get(url)).headers["etag"]
    body = {"first_name": None, "attributes": {"plan": None, "city": "Shiraz"}}
    changed = await client.patch(url, json=body, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    now = changed.json()
    assert (now["first_name"], now["last_name"], now["attributes"], now["tags"]) == (
        None,
        "B",
        {"city": "Shiraz"},
        ["x"],
    )
    assert (now["revision"], changed.headers["etag"] != tag) == (2, True)
    stale = await client.patch(url, json={"last_name": "C"}, headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert (await client.get(url)).json()["last_name"] == "B"
    assert (await client.patch(url, json={"email": None})).status_code == 422
    assert (await client.patch(f"/v1/contacts/{uuid4()}", json={"last_name": "C"})).status_code == 404
    assert await _kinds(contacts_db) == [LeadCreatedV1, LeadUpdatedV1]


async def test_a_taken_identity_is_a_conflict_in_a_patch(client):
    await _create(client, "a@x.example", external_id="1")
    other = await _create(client, "b@x.example", external_id="2")
    for body, code in (({"email": "A@X.example"}, "contact_exists"), ({"external_id": "1"}, "external_id_taken")):
        answer = await client.patch(f"/v1/contacts/{other['id']}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert (await client.get(f"/v1/contacts/{other['id']}")).json()["email"] == "b@x.example"


async def test_pages_reach_every_contact_once_in_every_order(client):
    made = [await _create(client, f"p{n}@x.example", language="fa" if n % 2 else "en", tags=["odd"] if n % 2 else [])
            for n in range(7)]  # fmt: skip
    for sort in ("id", "-id", "email", "-email", "score", "-score"):
        seen, cursor = [], None
        while True:
            params = {"sort": sort, "limit": 3, **({"cursor": cursor} if cursor else {})}
            page = (await client.get("/v1/contacts", params=params)).json()
            seen += [one["id"] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert sorted(seen) == sorted(one["id"] for one in made), sort
        if sort.endswith("email"):
            order = sorted((one["email"], one["id"]) for one in made)
            assert seen == [id_ for _, id_ in (reversed(order) if sort[0] == "-" else order)]
    odd = (await client.get("/v1/contacts", params={"filter": "language:eq:fa"})).json()["items"]
    assert len(odd) == 3
    assert len((await client.get("/v1/contacts", params={"tag": "odd"})).json()["items"]) == 3
    assert (await client.get("/v1/contacts", params={"filter": "hash:eq:x"})).status_code == 400


async def test_search_does_not_mind_letter_forms_and_digits(client):
    made = await _create(client, "p@x.example", first_name="علي", last_name="كريمي ۱۲")
    for query in ("علی", "کریمی 12", "P@X"):
        assert [one["id"] for one in (await client.get("/v1/contacts", params={"q": query})).json()["items"]] == [
            made["id"]
        ]
    assert (await client.get("/v1/contacts", params={"q": "%"})).json()["items"] == []


async def test_consent_is_a_ledger_and_tells_its_state_with_revisions(client, contacts_db):
    made = await _create(client, consent=CONSENT)
    for status in ("unsubscribed", "unsubscribed", "subscribed"):
        body = {"contact_id": made["id"], "status": status, "source": "phone"}
        answer = await client.post("/v1/consents", json=body)
        assert answer.status_code == 201
        assert answer.json()["consents"][0]["status"] == status
    lines = (await client.get("/v1/consents", params={"contact_id": made["id"]})).json()["items"]
    assert [line["status"] for line in lines] == ["subscribed", "unsubscribed", "unsubscribed", "subscribed"]
    told = [e.data for e in await outbox_events(contacts_db.worker) if isinstance(e.data, ConsentChangedV1)]
    assert [(one.status, one.revision) for one in told] == [("unsubscribed", 2), ("subscribed", 3)]
    async with contacts_db.worker.connection() as connection:
        for statement in ("update consent_records set status = 'subscribed'", "delete from consent_records"):
            with pytest.raises(Exception, match="append-only"):
                await connection.execute(statement)


async def test_another_workspace_sees_nothing(client, http_client, keys):
    made = await _create(client, consent=CONSENT)
    from tests.integration.contacts.service import app

    async with http_client(app(), keys.token(uuid4())) as stranger:
        assert (await stranger.get("/v1/contacts")).json()["items"] == []
        assert (await stranger.get(f"/v1/contacts/{made['id']}")).status_code == 404
        assert (await stranger.patch(f"/v1/contacts/{made['id']}", json={"first_name": "x"})).status_code == 404
        assert (await stranger.get("/v1/consents", params={"contact_id": made["id"]})).status_code == 404
        body = {"contact_id": made["id"], "status": "unsubscribed", "source": "x"}
        assert (await stranger.post("/v1/consents", json=body)).status_code == 404
        body = {"kind": "erase", "contact_id": made["id"]}
        assert (await stranger.post("/v1/privacy-requests", json=body)).status_code == 404
    assert (await client.get(f"/v1/contacts/{made['id']}")).json()["consents"][0]["status"] == "subscribed"
