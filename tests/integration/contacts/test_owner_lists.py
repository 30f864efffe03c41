"""Lists that one member keeps: who sees them, how many they hold, and how many they bring into an audience."""

from dataclasses import replace
from uuid import uuid4

import httpx
import pytest_asyncio
from contacts.use_cases.audiences import step
from contacts.use_cases.bulk import BULK_CHANGE

from tests.fixtures.access import TestKeys
from tests.integration.contacts import people
from tests.integration.contacts.people import Someone
from tests.integration.contacts.service import csv_of, finished, jobs_running, upload
from tests.integration.contacts.test_live_segments import run_until_done

MEMBER = uuid4()


@pytest_asyncio.fixture
async def contributor(client, keys: TestKeys, workspace_id):
    token = replace(keys, subject_id=MEMBER).token(workspace_id, role="contributor")
    async with httpx.AsyncClient(
        transport=client._transport, base_url=client.base_url, headers={"Authorization": f"Bearer {token}"}
    ) as connected:
        yield connected


async def _list(client, **fields):
    answer = await client.post("/v1/lists", json={"name": "people I know", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_contributor_sees_and_changes_the_own_lists_only(client, contributor, contacts_db, workspace_id):
    one = Someone("a@x.example")
    await people.store(contacts_db.worker, workspace_id, [one])
    shared = await _list(client, name="newsletter")
    given = await _list(client, name="given", owner=str(MEMBER), member_limit=2)
    own = await _list(contributor, name="mine")
    assert (own["owner"], given["owner"], shared["owner"]) == (str(MEMBER), str(MEMBER), None)
    seen = (await contributor.get("/v1/lists")).json()["items"]
    assert {one["name"] for one in seen} == {"mine", "given"}
    assert len((await client.get("/v1/lists")).json()["items"]) == 3
    for path in (f"/v1/lists/{shared['id']}", f"/v1/lists/{shared['id']}/members"):
        assert (await contributor.get(path)).status_code == 404
    assert (await contributor.get("/v1/contacts", params={"list_id": shared["id"]})).status_code == 404
    ids = {"contact_ids": [str(one.id)]}
    assert (await contributor.post(f"/v1/lists/{shared['id']}/members", json=ids)).status_code == 403
    assert (await contributor.post(f"/v1/lists/{given['id']}/members", json=ids)).json() == {"changed": 1}
    bulk = {"rule": {"all": []}, "add_to_list": shared["id"]}
    assert (await contributor.post("/v1/contacts/bulk", json=bulk)).status_code == 403
    path = f"/v1/lists/{own['id']}"
    assert (await contributor.patch(path, json={"name": "still mine"})).json()["name"] == "still mine"
    assert (await contributor.patch(path, json={"owner": str(uuid4())})).status_code == 403
    assert (await contributor.patch(f"/v1/lists/{given['id']}", json={"member_limit": 99})).status_code == 403
    assert (await client.patch(path, json={"owner": str(uuid4())})).status_code == 200
    assert (await contributor.get(path)).status_code == 404


async def test_a_full_list_takes_nobody_and_keeps_whom_it_has(client, contacts_db, workspace_id):
    crowd = [Someone(f"{n}@x.example") for n in range(3)]
    await people.store(contacts_db.worker, workspace_id, crowd)
    made = await _list(client, owner="m-1", member_limit=2)
    members = f"/v1/lists/{made['id']}/members"
    assert (await client.post(members, json={"contact_ids": [str(crowd[0].id)]})).status_code == 200
    full = await client.post(members, json={"contact_ids": [str(one.id) for one in crowd]})
    assert (full.status_code, full.json()["code"], full.json()["params"]["limit"]) == (409, "list_full", 2)
    assert len((await client.get(members)).json()["items"]) == 1
    assert (await client.post(members, json={"contact_ids": [str(crowd[0].id), str(crowd[1].id)]})).json() == {
        "changed": 1
    }
    fallen = await client.patch(f"/v1/lists/{made['id']}", json={"member_limit": 1})
    assert (fallen.json()["member_limit"], len((await client.get(members)).json()["items"])) == (1, 2)
    free = await client.patch(f"/v1/lists/{made['id']}", json={"member_limit": None, "owner": None})
    assert (free.json()["member_limit"], free.json()["owner"]) == (None, None)


async def test_imports_and_bulk_changes_keep_to_a_lists_limit_and_to_the_own_lists(
    client, contributor, contacts_db, workspace_id
):
    shared = await _list(client, name="newsletter")
    given = await _list(client, name="given", owner=str(MEMBER), member_limit=2)
    rows = [f"{n}@x.example" for n in range(3)]

    async def send(who, addresses, made):
        return await upload(
            who, csv_of(*addresses, header="Email"), mapping={"Email": "email"}, consent=None, create_attributes=False,
            list_ids=[made["id"]],
        )  # fmt: skip

    async def on_it():
        items = (await client.get(f"/v1/lists/{given['id']}/members")).json()["items"]
        return sorted(one["email"] for one in items)

    foreign = await send(contributor, rows, shared)
    assert (foreign.status_code, foreign.json()["code"]) == (404, "list_not_found")
    full = await send(contributor, rows, given)
    assert (full.status_code, full.json()["code"], full.json()["params"]["limit"]) == (409, "list_full", 2)
    assert (await client.get("/v1/contacts")).json()["items"] == [], "nothing stays of what is refused"
    # Both fit when they are sent, together they do not.
    both = [await send(contributor, one, given) for one in ([rows[0], rows[0], rows[1]], [rows[1], rows[2]])]
    assert [one.status_code for one in both] == [202, 202]
    async with jobs_running(contacts_db):
        assert {(await finished(client, one.json()["id"]))["status"] for one in both} == {"completed"}
    assert len(await on_it()) == 2
    assert len((await client.get("/v1/contacts")).json()["items"]) == 3

    everybody = {"rule": {"all": []}, "add_to_list": given["id"]}
    full = await contributor.post("/v1/contacts/bulk", json=everybody)
    assert (full.status_code, full.json()["code"]) == (409, "list_full")
    raised = await client.patch(f"/v1/lists/{given['id']}", json={"member_limit": 3})
    assert raised.status_code == 200
    assert (await contributor.post("/v1/contacts/bulk", json=everybody)).status_code == 202
    # By the time the job runs there is less room.
    assert (await client.patch(f"/v1/lists/{given['id']}", json={"member_limit": 2})).status_code == 200
    await run_until_done(contacts_db.worker, BULK_CHANGE)
    assert len(await on_it()) == 2
    for rule in ({"list": shared["id"]}, {"not": {"any": [{"list": shared["id"]}]}}):
        for path in ("/v1/segments/preview", "/v1/contacts/bulk"):
            body = {"rule": rule, **({"add_tags": ["x"]} if path.endswith("bulk") else {})}
            assert (await contributor.post(path, json=body)).status_code == 404
    preview = await contributor.post("/v1/segments/preview", json={"rule": {"list": given["id"]}})
    assert preview.json()["count"] == 2


async def test_an_audience_takes_those_added_first_and_says_why_the_others_are_not_in_it(contacts_db, workspace_id):
    crowd = [Someone(f"{n}@x.example", tags=["vip"] if n == 4 else []) for n in range(6)]
    await people.store(contacts_db.worker, workspace_id, crowd)
    owned = await people.make_list(contacts_db.worker, workspace_id, [])
    async with contacts_db.worker.transaction(workspace_id) as tx:
        await tx.execute("update lists set member_limit = 2 where id = $1", owned)
        await tx.executemany(
            "insert into list_members (workspace_id, list_id, contact_id, added_at)"
            " values ($1, $2, $3, '2026-01-01'::timestamptz + make_interval(days => $4))",
            [(workspace_id, owned, one.id, 10 - n) for n, one in enumerate(crowd)],
        )
    vip = await people.make_segment(
        contacts_db.worker, workspace_id, {"field": "tags", "op": "contains", "value": "vip"}
    )
    other = await people.make_list(contacts_db.worker, workspace_id, [crowd[0].id])
    both = await _frozen(contacts_db, workspace_id, segment_ids=[vip], list_ids=[owned, other])
    # The last two were added first; the first one is on a list without limit.
    assert {one for one, reason in both.items() if reason is None} == {crowd[5].id, crowd[4].id, crowd[0].id}
    assert {both[one.id] for one in crowd[1:4]} == {"owner_limit"}
    alone = await _frozen(contacts_db, workspace_id, list_ids=[owned])
    assert sorted(reason or "" for reason in alone.values()) == ["", "", *["owner_limit"] * 4]


async def _frozen(database, workspace_id, **audience):
    campaign_id = uuid4()
    rule = {"segment_ids": [], "list_ids": [], "exclude_segment_ids": []}
    rule |= {name: [str(one) for one in ids] for name, ids in audience.items()}
    async with database.worker.transaction(workspace_id) as tx:
        await tx.execute(
            "insert into campaigns (workspace_id, campaign_id, status, purpose_id, rule)"
            " values ($1, $2, 'freezing', $3, $4)",
            workspace_id, campaign_id, people.purpose_id(workspace_id, people.NEWSLETTER), rule,
        )  # fmt: skip
        await step(tx, workspace_id, campaign_id)
        rows = await tx.fetch("select contact_id, reason from audience_members where campaign_id = $1", campaign_id)
    return {row["contact_id"]: row["reason"] for row in rows}
