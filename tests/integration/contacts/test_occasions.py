"""Webinars and events: who registered, attended and missed them."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from contacts.use_cases.occasions import close_over
from contacts.use_cases.parked_events import join_parked

from tests.integration.contacts.test_live_segments import build, caught_up

OVER = {"starts_at": "2026-01-05T10:00:00Z", "ends_at": "2026-01-05T11:00:00Z"}
NEW = {"kind": "webinar", "title": "وبینار راه ابریشم", "timezone": "asia/tehran", "missed_after_hours": 0, **OVER}


@pytest_asyncio.fixture
async def people(client):
    """By first name, in the order of their ids."""
    found = {}
    for name in ("ali", "mina", "sara"):
        made = await client.post("/v1/contacts", json={"email": f"{name}@x.example", "external_id": name})
        found[name] = made.json()["id"]
    return found


async def make(client, **changed):
    made = await client.post("/v1/occasions", json={**NEW, **changed})
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def tell(client, occasion, status, *contacts, code=200):
    body = {"status": status, "attendees": [{"contact": one} for one in contacts]}
    answer = await client.post(f"/v1/occasions/{occasion}/attendees", json=body)
    assert answer.status_code == code, answer.text
    return {name: count for name, count in answer.json().items() if count} if code == 200 else answer.json()


async def standing(client, occasion):
    """First name → status."""
    found = (await client.get(f"/v1/occasions/{occasion}/attendees")).json()["items"]
    return {one["email"].partition("@")[0]: one["status"] for one in found}


async def counted(client, **rule):
    answer = await client.post("/v1/segments/preview", json={"rule": {"op": "at_least", "value": 1, **rule}})
    assert answer.status_code == 200, answer.text
    return answer.json()["count"]


async def test_registered_people_attend_or_miss_and_a_late_list_corrects_it(client, contacts_db, people):
    occasion, other = await make(client), await make(client, kind="event")
    everybody = [{"email": "ALI@x.example"}, {"external_id": "mina"}, {"id": people["sara"]}]
    assert await tell(client, occasion, "registered", *everybody, {"email": "late@x.example"}) == {
        "changed": 3, "parked": 1,
    }  # fmt: skip
    # by another of their names, twice in one call, and the whole call again
    assert await tell(client, occasion, "registered", {"id": people["ali"]}, *everybody, everybody[1]) == {
        "unchanged": 5
    }
    await tell(client, other, "registered", {"id": people["mina"]})
    assert await tell(client, occasion, "missed", {"id": people["sara"]}) == {"changed": 1}
    assert await tell(client, occasion, "attended", {"id": people["ali"]}) == {"changed": 1}
    assert await tell(client, occasion, "missed", {"id": people["ali"]}) == {"unchanged": 1}
    assert await standing(client, occasion) == {"ali": "attended", "mina": "registered", "sara": "missed"}

    await close_over(contacts_db.worker)
    assert (await standing(client, occasion))["mina"] == "missed"
    found = (await client.get(f"/v1/occasions/{occasion}")).json()
    assert (found["people"], found["timezone"]) == ({"registered": 0, "attended": 1, "missed": 2}, "Asia/Tehran")
    assert found["closed_at"] is not None
    missed = {"event": "occasion.missed"}
    where = [{"property": "occasion_id", "op": "eq", "value": occasion}]
    assert await counted(client, **missed) == 2  # Mina has missed both
    assert await counted(client, **missed, where=where) == 2

    assert await tell(client, occasion, "attended", {"id": people["mina"]}) == {"changed": 1}
    assert await counted(client, **missed, where=where) == 1
    assert await counted(client, event="occasion.attended") == 2
    told = (await client.get(f"/v1/contacts/{people['mina']}/timeline", params={"type": "occasion.attended"})).json()
    (attended,) = [one["data"]["properties"] for one in told["items"]]
    assert attended == {"occasion_id": occasion, "kind": "webinar", "title": NEW["title"], "before": "missed"}

    # whoever waited appears after the end, and has missed it too
    await client.post("/v1/contacts", json={"email": "late@x.example"})
    await join_parked(contacts_db.worker)
    assert (await standing(client, occasion))["late"] == "registered"
    await close_over(contacts_db.worker)
    assert await standing(client, occasion) == {
        "ali": "attended", "mina": "attended", "sara": "missed", "late": "missed",
    }  # fmt: skip
    first = (await client.get(f"/v1/occasions/{occasion}/attendees", params={"limit": 1, "status": "missed"})).json()
    assert [one["email"] for one in first["items"]] == ["sara@x.example"]
    assert first["items"][0]["missed_at"] == "2026-01-05T11:00:00Z"
    rest = {"status": "missed", "cursor": first["next_cursor"]}
    after = (await client.get(f"/v1/occasions/{occasion}/attendees", params=rest)).json()
    assert [one["email"] for one in after["items"]] == ["late@x.example"]


async def test_live_members_follow_who_attended_after_all(client, contacts_db, people):
    occasion = await make(client)
    rule = {"event": "occasion.missed", "op": "at_least", "value": 1}
    segment = (await client.post("/v1/segments", json={"name": "missed", "rule": rule})).json()["id"]
    await build(contacts_db.worker)

    async def members():
        await caught_up(contacts_db.worker)
        return len((await client.get(f"/v1/segments/{segment}/members")).json()["items"])

    await tell(client, occasion, "registered", {"id": people["ali"]})
    await close_over(contacts_db.worker)
    assert await members() == 1
    await tell(client, occasion, "attended", {"id": people["ali"]})
    assert await members() == 0


async def test_two_who_are_one_person_attend_once_and_the_erased_never_did(client, contacts_db, people):
    occasion = await make(client)
    await tell(client, occasion, "registered", {"external_id": "ali"}, {"external_id": "mina"})
    await tell(client, occasion, "attended", {"external_id": "mina"})
    merged = {"contact_id": people["ali"], "merged_contact_id": people["mina"]}
    assert (await client.post("/v1/contacts/merges", json=merged)).status_code == 201
    assert await standing(client, occasion) == {"ali": "attended"}
    assert await tell(client, occasion, "attended", {"id": people["mina"]}) == {"unchanged": 1}
    await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": people["ali"]})
    assert await standing(client, occasion) == {}
    assert await tell(client, occasion, "registered", {"email": "ali@x.example"}) == {"ignored": 1}


async def test_nobody_misses_what_is_put_off_or_does_not_take_place(client, contacts_db, people):
    occasion, cancelled = await make(client), await make(client)
    for one in (occasion, cancelled):
        await tell(client, one, "registered", {"external_id": "ali"})
    tomorrow = datetime.now(UTC) + timedelta(days=3)
    later = {"starts_at": tomorrow.isoformat(), "ends_at": (tomorrow + timedelta(hours=1)).isoformat()}
    stale = await client.patch(f"/v1/occasions/{occasion}", json=later, headers={"If-Match": '"r7"'})
    assert stale.status_code == 412
    assert (await client.patch(f"/v1/occasions/{occasion}", json={**later, "title": "دوباره"})).status_code == 200
    assert (await client.delete(f"/v1/occasions/{cancelled}")).status_code == 204
    await close_over(contacts_db.worker)
    assert await standing(client, occasion) == {"ali": "registered"}
    for status in ("attended", "missed"):
        refused = await tell(client, occasion, status, {"external_id": "ali"}, code=409)
        assert refused["code"] == "occasion_too_early"
    await tell(client, cancelled, "registered", {"external_id": "mina"}, code=404)
    assert [one["title"] for one in (await client.get("/v1/occasions")).json()["items"]] == ["دوباره"]


async def test_what_is_wrong_is_named_and_nothing_is_stored(client, people):
    occasion = await make(client)
    refused = await tell(
        client, occasion, "registered", {"external_id": "ali"}, {"email": "nobody"},
        {"id": "00000000-0000-7000-8000-000000000000"}, code=422,
    )  # fmt: skip
    assert [(one["where"], one["code"]) for one in refused["errors"]] == [
        ("/attendees/1/contact/email", "invalid_email"), ("/attendees/2/contact/id", "contact_not_found"),
    ]  # fmt: skip
    assert await standing(client, occasion) == {}
    body = {"status": "registered", "attendees": [{"contact": {"external_id": str(n)}} for n in range(1001)]}
    assert (await client.post(f"/v1/occasions/{occasion}/attendees", json=body)).status_code == 422
    for wrong, where in (({"ends_at": NEW["starts_at"]}, "/ends_at"), ({"timezone": "Tehran"}, "/timezone")):
        answer = await client.post("/v1/occasions", json={**NEW, **wrong})
        assert (answer.status_code, answer.json()["params"]["where"]) == (422, where), answer.text
    told = {"id": "1", "type": "occasion.attended", "contact": {"external_id": "ali"}, "occurred_at": OVER["ends_at"]}
    assert (await client.post("/v1/events", json=told)).json()["errors"][0]["code"] == "unknown_event"
    defined = await client.post("/v1/events/definitions", json={"name": "occasion.left"})
    assert defined.status_code == 422


@pytest.mark.parametrize("policy", ["create", "refuse"])
async def test_the_policy_of_events_decides_about_unknown_people(client, policy):
    occasion = await make(client)
    await client.put("/v1/events/policy", json={"unknown_contacts": policy})
    new = {"email": "new@x.example"}
    if policy == "refuse":
        refused = await tell(client, occasion, "registered", new, code=422)
        assert refused["errors"][0]["where"] == "/attendees/0/contact/email"
    else:
        assert await tell(client, occasion, "registered", new) == {"changed": 1, "contacts_created": 1}
        assert await standing(client, occasion) == {"new": "registered"}
