"""Who is in a segment and why, over HTTP: explanations, members, sizes, snapshots."""

from datetime import timedelta
from uuid import uuid4

import pytest
from contacts.use_cases import live_segments
from contacts.use_cases.segment_snapshots import FREEZE_SNAPSHOT

from tests.integration.contacts.people import Someone, happened, store
from tests.integration.contacts.test_live_segments import build, run_until_done
from tests.integration.contacts.test_segments_api import VIP, app, client

__all__ = ["app", "client"]


@pytest.mark.asyncio
async def test_explain_says_which_condition_holds_and_what_it_saw(client, contacts_db, workspace_id):
    someone = Someone("a@example.com", tags=["new"])
    await store(contacts_db.worker, workspace_id, [someone])
    await happened(contacts_db.worker, workspace_id, someone.id, "email.opened", timedelta(days=2))
    rule = {
        "all": [
            {"event": "email.opened", "op": "at_least", "value": 1, "within": "30d"},
            {"not": VIP},
            {"field": "score", "op": "gte", "value": 10},
        ]
    }
    segment = (await client.post("/v1/segments", json={"name": "s", "rule": rule})).json()["id"]
    path = f"/v1/segments/{segment}/explain"
    answer = await client.post(path, json={"contact_id": str(someone.id)})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    opened, denied, scored = found["parts"]
    assert (found["holds"], opened["holds"], denied["holds"], scored["holds"]) == (False, True, True, False)
    assert (opened["says"], opened["saw"]) == ("opened a mail in the last 30 days", 1)
    assert (denied["parts"][0]["says"], denied["parts"][0]["saw"]) == ("tags contains “vip”", ["new"])
    assert (scored["says"], scored["saw"]) == ("score is at least 10", 0)
    assert (await client.post(path, json={"contact_id": str(uuid4())})).json()["code"] == "contact_not_found"


@pytest.mark.asyncio
async def test_members_and_sizes_are_listed_by_cursor(client, contacts_db, workspace_id):
    people = [Someone(f"p{n}@example.com", tags=["vip"]) for n in range(5)]
    await store(contacts_db.worker, workspace_id, people)
    segment = (await client.post("/v1/segments", json={"name": "s", "rule": VIP})).json()
    path = f"/v1/segments/{segment['id']}"
    assert segment["size"] is None
    assert (await client.get(f"{path}/members")).json()["items"] == []
    await build(contacts_db.worker)
    await live_segments.note_sizes(contacts_db.worker)
    assert (await client.get(path)).json()["size"] == 5
    assert [one["size"] for one in (await client.get("/v1/segments")).json()["items"]] == [5]
    found, cursor = [], None
    while True:
        page = (
            await client.get(f"{path}/members", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [one["id"] for one in found] == sorted(str(one.id) for one in people)
    sizes = (await client.get(f"{path}/sizes", params={"limit": 1})).json()
    assert [one["size"] for one in sizes["items"]] == [5]
    rest = await client.get(f"{path}/sizes", params={"cursor": sizes["next_cursor"]})
    assert [one["size"] for one in rest.json()["items"]] == [5]


@pytest.mark.asyncio
async def test_a_snapshot_keeps_who_was_inside_and_rules_may_name_it(client, contacts_db, workspace_id):
    db = contacts_db.worker
    inside, later = Someone("a@example.com", tags=["vip"]), Someone("b@example.com")
    await store(db, workspace_id, [inside, later])
    segment = (await client.post("/v1/segments", json={"name": "s", "rule": VIP})).json()["id"]
    path = f"/v1/segments/{segment}/snapshots"
    made = await client.post(path, json={"name": "before the sale"})
    assert (made.status_code, made.json()["size"]) == (202, None)
    snapshot = made.json()["id"]
    early = await client.post("/v1/segments/preview", json={"rule": {"snapshot": snapshot}})
    assert (early.status_code, early.json()["code"]) == (409, "snapshot_not_frozen")
    await run_until_done(db, FREEZE_SNAPSHOT)
    async with db.transaction(workspace_id) as tx:
        await tx.execute("update contacts set tags = case when id = $1 then '{}'::text[] else '{vip}' end", inside.id)
    assert [(one["id"], one["size"]) for one in (await client.get(path)).json()["items"]] == [(snapshot, 1)]
    listed = (await client.get(f"{path}/{snapshot}/members")).json()["items"]
    assert [one["id"] for one in listed] == [str(inside.id)]
    left = {"all": [{"snapshot": snapshot}, {"segment": segment, "op": "not_member"}]}
    counted = (await client.post("/v1/segments/preview", json={"rule": left})).json()
    assert (counted["count"], counted["sample"][0]["id"]) == (1, str(inside.id))
    strange = await client.post("/v1/segments/preview", json={"rule": {"snapshot": str(uuid4())}})
    assert (strange.status_code, strange.json()["code"]) == (404, "snapshot_not_found")
    assert (await client.get(f"{path}/{uuid4()}/members")).json()["code"] == "snapshot_not_found"


async def test_a_segment_with_a_description_is_a_persona(client):
    made = await client.post(
        "/v1/segments", json={"name": "buyers", "rule": {"all": []}, "description": "مدیر خرید، ۳۰ تا ۴۵ ساله"}
    )
    assert (made.status_code, made.json()["description"]) == (201, "مدیر خرید، ۳۰ تا ۴۵ ساله")
    path = f"/v1/segments/{made.json()['id']}"
    renamed = await client.patch(path, json={"name": "purchasers"})
    assert (renamed.json()["name"], renamed.json()["description"]) == ("purchasers", "مدیر خرید، ۳۰ تا ۴۵ ساله")
    assert (await client.patch(path, json={"description": ""})).json()["description"] == ""
    assert (await client.patch(path, json={"description": "x" * 10_001})).status_code == 422
