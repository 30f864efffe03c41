"""Segments, lists and audiences over HTTP."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from common.ids import new_id
from common.testing import deliver, outbox_events
from contacts.main import create_app
from contacts.settings import Settings
from contacts.use_cases import segments as use_cases

from tests.integration.contacts.people import Someone, define, happened, make_list, make_segment, store
from tests.integration.contacts.test_audiences import MAIN, attempt, crowd, started

VIP = {"field": "tags", "op": "contains", "value": "vip"}


@pytest.fixture
def app(service_env, contacts_db):
    service_env("contacts", contacts_db)
    return create_app(Settings())


@pytest_asyncio.fixture
async def client(app, http_client, keys, workspace_id):
    async with http_client(app, keys.token(workspace_id)) as connected:
        yield connected


@pytest.mark.asyncio
async def test_segment_is_stored_changed_listed_and_deleted(client, contacts_db):
    made = await client.post("/v1/segments", json={"name": "مهم", "rule": VIP})
    assert made.status_code == 201, made.text
    segment = made.json()
    path = f"/v1/segments/{segment['id']}"
    assert segment["rule"] == VIP
    first = made.headers["etag"]

    read = await client.get(path)
    assert (read.json(), read.headers["etag"]) == (segment, first)

    rule = {"all": [VIP, {"field": "score", "op": "gte", "value": 10}]}
    changed = await client.patch(path, json={"rule": rule}, headers={"If-Match": first})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["name"], changed.json()["rule"]) == ("مهم", rule)
    stale = await client.patch(path, json={"name": "x"}, headers={"If-Match": first})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    same = await client.patch(path, json={"name": "مهم"}, headers={"If-Match": changed.headers["etag"]})
    assert same.headers["etag"] == changed.headers["etag"]

    assert (await client.delete(path, headers={"If-Match": first})).status_code == 412
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).json()["code"] == "segment_not_found"
    assert (await client.delete(path)).status_code == 404
    assert (await client.get("/v1/segments")).json()["items"] == []
    told = [
        (event.data.revision, event.data.name, event.data.deleted)
        for event in await outbox_events(contacts_db.worker, "segment.changed")
    ]
    assert told == [(1, "مهم", False), (2, "مهم", False), (3, "مهم", True)]


@pytest.mark.asyncio
async def test_segments_are_paged(client):
    for n in range(5):
        await client.post("/v1/segments", json={"name": f"s{n}", "rule": VIP})
    first = (await client.get("/v1/segments", params={"limit": 3})).json()
    second = (await client.get("/v1/segments", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [s["name"] for s in first["items"] + second["items"]] == ["s4", "s3", "s2", "s1", "s0"]
    assert second["next_cursor"] is None
    assert (await client.get("/v1/segments", params={"cursor": "x"})).json()["code"] == "bad_cursor"


@pytest.mark.parametrize(
    ("rule", "pointer"),
    [
        ({"field": "shoe", "op": "eq", "value": 1}, "/rule/field"),
        ({"all": [{"field": "score", "op": "~", "value": 1}]}, "/rule/all/0/op"),
        ({"any": [VIP, {"field": "score", "op": "eq", "value": "1"}]}, "/rule/any/1/value"),
        ({"sql": "select 1"}, "/rule"),
        (None, "/rule"),
    ],
)
@pytest.mark.asyncio
async def test_a_bad_rule_is_refused_with_its_place_and_changes_nothing(client, contacts_db, rule, pointer):
    good = (await client.post("/v1/segments", json={"name": "good", "rule": VIP})).json()
    before = await outbox_events(contacts_db.worker)
    for method, path, body in (
        ("POST", "/v1/segments", {"name": "x", "rule": rule}),
        ("POST", "/v1/segments/preview", {"rule": rule}),
        ("PATCH", f"/v1/segments/{good['id']}", {"rule": rule}),
    ):
        answer = await client.request(method, path, json=body)
        assert answer.status_code == 422, answer.text
        problem = answer.json()
        assert problem["code"] == "invalid_rule"
        assert problem["params"]["pointer"] == pointer
        assert problem["errors"][0]["where"] == pointer
        assert problem["mend"]
    assert (await client.get(f"/v1/segments/{good['id']}")).json() == good
    assert await outbox_events(contacts_db.worker) == before


@pytest.mark.asyncio
async def test_preview_counts_and_shows_some(client, contacts_db, workspace_id):
    await define(contacts_db.worker, workspace_id, "city", "text", indexed=True)
    people = [Someone(f"p{n}@example.com", attributes={"city": "تهران"}, tags=["vip"]) for n in range(12)]
    await store(contacts_db.worker, workspace_id, [*people, Someone("q@example.com", attributes={"city": "دبي"})])
    await store(contacts_db.worker, new_id(), [Someone("z@example.com", tags=["vip"])])
    await happened(contacts_db.worker, workspace_id, people[0].id, "email.opened", timedelta(days=1))
    await happened(contacts_db.worker, workspace_id, people[0].id, "email.opened", timedelta(days=40))
    await happened(contacts_db.worker, workspace_id, people[1].id, "email.opened", timedelta(days=1), machine=True)

    async def count(rule):
        answer = await client.post("/v1/segments/preview", json={"rule": rule})
        assert answer.status_code == 200, answer.text
        return answer.json()

    tehran = await count({"field": "attributes.city", "op": "eq", "value": "تهران"})
    assert tehran["count"] == 12
    assert len(tehran["sample"]) == 10
    assert tehran["sample"][0].keys() >= {"id", "email", "first_name"}
    assert (await count(VIP))["count"] == 12
    assert (await count({"all": []}))["count"] == 13
    opened = {"event": "email.opened", "op": "at_least", "value": 1}
    assert [one["email"] for one in (await count(opened))["sample"]] == ["p0@example.com"]
    assert (await count({**opened, "value": 2}))["count"] == 1
    assert (await count({**opened, "value": 2, "within": "30d"}))["count"] == 0
    assert (await count({**opened, "machine": True}))["count"] == 2
    assert (await count({"event": "email.opened", "op": "never"}))["count"] == 12


@pytest.mark.asyncio
async def test_a_slow_preview_is_stopped(contacts_db, workspace_id):
    await store(contacts_db.worker, workspace_id, [Someone(f"p{n}@example.com") for n in range(3)])

    async def slow():
        async with contacts_db.api.transaction(workspace_id) as tx:
            await tx.execute("set local search_path = pg_temp, public")
            await tx.execute("create temp view contacts as select c.* from public.contacts c, pg_sleep(2)")
            await use_cases.preview(tx, workspace_id, {"all": []}, datetime.now(UTC), 0.2)

    with pytest.raises(use_cases.PreviewTooSlow):
        await slow()


@pytest.mark.asyncio
async def test_lists_and_their_members(client, contacts_db, workspace_id):
    people = [Someone(f"p{n}@example.com") for n in range(3)]
    await store(contacts_db.worker, workspace_id, people)
    foreign = Someone("f@example.com")
    await store(contacts_db.worker, new_id(), [foreign])
    made = await client.post("/v1/lists", json={"name": "expo"})
    assert made.status_code == 201
    path = f"/v1/lists/{made.json()['id']}"
    ids = [str(one.id) for one in people]

    assert (await client.post(f"{path}/members", json={"contact_ids": ids[:2]})).json() == {"changed": 2}
    assert (await client.post(f"{path}/members", json={"contact_ids": [*ids, ids[0]]})).json() == {"changed": 1}
    for stranger in (foreign.id, uuid4()):
        refused = await client.post(f"{path}/members", json={"contact_ids": [*ids, str(stranger)]})
        assert refused.status_code == 404
        assert refused.json()["params"]["ids"] == [str(stranger)]
        kept = await client.post(f"{path}/members/remove", json={"contact_ids": [ids[0], str(stranger)]})
        assert kept.status_code == 404
    for changed in (1, 0):
        removed = await client.post(f"{path}/members/remove", json={"contact_ids": [ids[0]]})
        assert removed.json() == {"changed": changed}
    page = (await client.get(f"{path}/members", params={"limit": 1})).json()
    rest = (await client.get(f"{path}/members", params={"cursor": page["next_cursor"]})).json()
    assert sorted(m["contact_id"] for m in page["items"] + rest["items"]) == sorted(ids[1:])

    on_it = (await client.post("/v1/segments/preview", json={"rule": {"list": made.json()["id"]}})).json()
    assert on_it["count"] == 2
    renamed = await client.patch(path, json={"name": "expo 2026"}, headers={"If-Match": made.headers["etag"]})
    assert renamed.json()["name"] == "expo 2026"
    assert (await client.patch(path, json={"name": "x"}, headers={"If-Match": made.headers["etag"]})).status_code == 412

    segment = (
        await client.post("/v1/segments", json={"name": "s", "rule": {"not": {"list": made.json()["id"]}}})
    ).json()
    used = await client.delete(path)
    assert (used.status_code, used.json()["code"]) == (409, "list_in_use")
    assert used.json()["params"]["segment_ids"] == [segment["id"]]
    await client.delete(f"/v1/segments/{segment['id']}")
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.post(f"{path}/members", json={"contact_ids": ids})).status_code == 404
    told = [(e.data.revision, e.data.deleted) for e in await outbox_events(contacts_db.worker, "list.changed")]
    assert told == [(1, False), (2, False), (3, True)]


@pytest.mark.asyncio
async def test_nothing_of_another_workspace_is_there(client, contacts_db, keys, http_client, app):
    elsewhere = new_id()
    their_list = await make_list(contacts_db.worker, elsewhere, [])
    their_segment = await make_segment(contacts_db.worker, elsewhere, {"all": []})
    for method, path, body in (
        ("GET", f"/v1/lists/{their_list}", None),
        ("PATCH", f"/v1/lists/{their_list}", {"name": "x"}),
        ("DELETE", f"/v1/lists/{their_list}", None),
        ("GET", f"/v1/lists/{their_list}/members", None),
        ("POST", f"/v1/lists/{their_list}/members", {"contact_ids": [str(uuid4())]}),
        ("POST", f"/v1/lists/{their_list}/members/remove", {"contact_ids": [str(uuid4())]}),
        ("GET", f"/v1/segments/{their_segment}", None),
        ("PATCH", f"/v1/segments/{their_segment}", {"name": "x"}),
        ("DELETE", f"/v1/segments/{their_segment}", None),
        ("POST", "/v1/segments", {"name": "x", "rule": {"list": str(their_list)}}),
        ("POST", "/v1/segments/preview", {"rule": {"any": [{"list": str(their_list)}]}}),
        ("GET", f"/v1/audiences/{uuid4()}", None),
    ):
        answer = await client.request(method, path, json=body)
        assert answer.status_code == 404, (method, path, answer.text)
    assert (await client.get("/v1/lists")).json()["items"] == []
    assert (await client.get("/v1/segments")).json()["items"] == []


@pytest.mark.asyncio
async def test_a_contributor_changes_the_own_lists_only(app, http_client, keys, contacts_db, workspace_id):
    theirs = await make_list(contacts_db.worker, workspace_id, [])
    async with http_client(app, keys.token(workspace_id, "contributor")) as client:
        mine = (await client.post("/v1/lists", json={"name": "mine"})).json()["id"]
        assert (await client.patch(f"/v1/lists/{mine}", json={"name": "still mine"})).status_code == 200
        for method, path, body in (
            ("PATCH", "", {"name": "x"}), ("DELETE", "", None),
            ("POST", "/members", {"contact_ids": [str(uuid4())]}),
            ("POST", "/members/remove", {"contact_ids": [str(uuid4())]}),
        ):  # fmt: skip
            refused = await client.request(method, f"/v1/lists/{theirs}{path}", json=body)
            assert refused.status_code == 403, refused.text
        assert (await client.post("/v1/segments", json={"name": "x", "rule": VIP})).status_code == 403
    async with http_client(app, keys.token(workspace_id, "viewer")) as client:
        assert (await client.get("/v1/lists")).status_code == 200
        assert (await client.post("/v1/lists", json={"name": "x"})).status_code == 403


@pytest.mark.asyncio
async def test_audience_says_who_was_left_out_and_why(client, contacts_db, workspace_id):
    campaign_id = uuid4()
    path = f"/v1/audiences/{campaign_id}"
    people = await crowd(contacts_db.worker, workspace_id)
    segment = await make_segment(contacts_db.worker, workspace_id, {"all": []})
    without = await make_segment(contacts_db.worker, workspace_id, {"field": "tags", "op": "contains", "value": "no"})
    await deliver(contacts_db.worker, MAIN, [started(workspace_id, campaign_id, segments=[segment], without=[without])])
    waiting = (await client.get(path)).json()
    assert (waiting["status"], waiting["audience"], waiting["items"]) == ("freezing", None, [])
    await attempt(contacts_db.worker)

    async def everybody(**params):
        found, cursor = [], None
        while True:
            asked = params | {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await client.get(path, params=asked)).json()
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return page, found

    whole, left_out = await everybody()
    assert (whole["status"], whole["audience"], whole["eligible"], whole["published"]) == ("closed", 13, 4, 4)
    assert sum(whole["excluded"].values()) == 9
    assert len({one["contact_id"] for one in left_out}) == len(left_out) == 9
    _, suppressed = await everybody(reason="suppressed")
    assert {one["email"] for one in suppressed} == {"d@example.com", "e@blocked.example", "f@example.com"}
    _, eligible = await everybody(reason="eligible")
    assert {one["contact_id"] for one in eligible} == {
        str(people[name].id) for name in ("eligible", "also", "lifted", "expired")
    }
    assert {one["decision"] for one in eligible} == {"eligible"}
    assert (await client.get(path, params={"reason": "boredom"})).status_code == 400


@pytest.mark.asyncio
async def test_the_rule_tree_is_in_the_api_description(client):
    described = (await client.get("/v1/openapi.json")).json()
    text = str(described["components"]["schemas"])
    for shape in ("AllOf", "AnyOf", "Not", "FieldCondition", "ListCondition", "EventCondition"):
        assert shape in described["components"]["schemas"], shape
    assert "email.clicked" in text


@pytest.mark.asyncio
async def test_segments_that_name_each_other_are_refused_with_the_path(client, workspace_id):
    async def make(name, rule):
        made = await client.post("/v1/segments", json={"name": name, "rule": rule})
        assert made.status_code == 201, made.text
        return made.json()["id"]

    first = await make("first", VIP)
    second = await make("second", {"not": {"segment": first}})
    third = await make("third", {"any": [{"segment": second}, VIP]})
    circle = await client.patch(f"/v1/segments/{first}", json={"rule": {"segment": third, "op": "not_member"}})
    assert (circle.status_code, circle.json()["code"]) == (422, "invalid_rule")
    assert circle.json()["params"]["path"] == [first, third, second, first]
    assert "first → third → second → first" in circle.json()["detail"]
    itself = await client.patch(f"/v1/segments/{first}", json={"rule": {"segment": first}})
    assert itself.json()["params"]["path"] == [first, first]
    strange = await client.post("/v1/segments/preview", json={"rule": {"segment": str(uuid4())}})
    assert (strange.status_code, strange.json()["code"]) == (404, "segment_not_found")
    used = await client.delete(f"/v1/segments/{first}")
    assert (used.status_code, used.json()["code"]) == (409, "segment_in_use")
    assert set(used.json()["params"]["segment_ids"]) == {second, third}


@pytest.mark.asyncio
async def test_segments_that_stand_on_many_others_are_bounded(client):
    """Each names the one before twice: a rule of 2^n conditions, were it not refused."""
    rule = VIP
    for n in range(12):
        made = await client.post("/v1/segments", json={"name": f"s{n}", "rule": rule})
        if made.status_code != 201:
            break
        rule = {"any": [{"segment": made.json()["id"]}, {"not": {"segment": made.json()["id"]}}]}
    assert (made.status_code, n) == (422, 9)
    assert "500 conditions" in made.json()["detail"]
