"""A partner's own JSON at an address of its own: signed, kept, mapped, mended and replayed."""

import json

import pytest
import pytest_asyncio
from contacts.use_cases import sources as use_cases

from tests.unit.contacts.test_sources import HMAC, MAPPING, PAYLOAD, signed

ORDER = {"total": "number", "paid": "boolean", "shop": "text", "coupon": "text", "day": "date"}


@pytest_asyncio.fixture
async def source(client):
    assert (
        await client.post("/v1/events/definitions", json={"name": "order.placed", "properties": ORDER})
    ).status_code == 201
    made = await client.post("/v1/sources", json={"name": "shop", "signature": HMAC, "mapping": MAPPING})
    assert made.status_code == 201, made.text
    return made.json()


def path_of(source):
    return "/in/" + source["url"].rpartition("/in/")[2]


async def post(client, source, payload, scheme=HMAC, **headers):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    given = {"Content-Type": "application/json", **(signed(scheme, body) if scheme else {}), **headers}
    return await client.post(path_of(source), content=body, headers={**given, "Authorization": ""} | given)


async def outcomes(client, source, **query):
    page = (await client.get(f"/v1/sources/{source['id']}/deliveries", params=query)).json()
    return [(one["outcome"], (one["reason"] or {}).get("where"), one["mapping_version"]) for one in page["items"]]


async def activity(contacts_db):
    async with contacts_db.worker.connection() as connection:
        rows = await connection.fetch("select type, properties from activity order by properties->>'total'")
        return [(row["type"], row["properties"]["total"]) for row in rows]


async def test_a_signed_payload_becomes_activity_once(client, contacts_db, source):
    await client.post("/v1/contacts", json={"email": "sara@x.example"})
    assert "secret" not in json.dumps(source["signature"])
    for _ in range(2):
        answer = await post(client, source, PAYLOAD)
        assert (answer.status_code, answer.json()["outcome"]) == (202, "taken")
    skipped = await post(client, source, {**PAYLOAD, "event": {"kind": "refunded"}})
    assert skipped.json()["outcome"] == "skipped"
    assert await activity(contacts_db) == [("order.placed", 12.5)]
    assert await outcomes(client, source) == [("skipped", None, 1), ("taken", None, 1), ("taken", None, 1)]
    async with contacts_db.worker.connection() as connection:
        assert HMAC["secret"].encode() not in await connection.fetchval("select secret from sources")


async def test_what_is_not_the_partners_or_no_json_is_refused_and_not_kept(client, contacts_db, source):
    forged = await post(client, source, PAYLOAD, {**HMAC, "secret": "another one"})
    unsigned = await post(client, source, PAYLOAD, None)
    assert {forged.status_code, unsigned.status_code} == {401}
    for bad in (b"{", b"", b'{"a":"\xff"}', b"[" * 5000, b'{"a":"\\ud800"}', b"NaN"):
        assert (await post(client, source, bad)).status_code == 400, bad[:20]
    assert (await post(client, source, b'{"a":"' + b"x" * (256 * 1024) + b'"}')).status_code == 413
    assert (await client.post("/in/unknown", json={})).status_code == 404
    assert await outcomes(client, source) == []
    await client.patch(f"/v1/sources/{source['id']}", json={"active": False})
    assert (await post(client, source, PAYLOAD)).status_code == 404


async def test_a_payload_that_changed_its_shape_is_kept_and_replayed_after_mending(client, contacts_db, source):
    await client.post("/v1/contacts", json={"email": "sara@x.example"})
    renamed = {**PAYLOAD, "id": 8, "lines": None, "total": "99"}
    wrong = {**PAYLOAD, "id": 9, "total": "1", "customer": {"email": "not an address"}}
    for payload in (renamed, {"surprise": "\0"}, wrong):
        answer = await post(client, source, payload)
        assert (answer.status_code, answer.json()["outcome"]) == (202, "failed")
    assert await outcomes(client, source, outcome="failed") == [
        ("failed", "event: contact/email", 1), ("failed", "event.kind", 1), ("failed", "lines.0.total", 1),
    ]  # fmt: skip

    mended = {**MAPPING, "properties": {"total": {"path": "total"}}}
    tried = (await client.post(f"/v1/sources/{source['id']}/test", json={"mapping": mended})).json()["items"]
    assert sorted(one["outcome"] for one in tried) == ["failed", "failed", "taken"]
    given = await client.post(f"/v1/sources/{source['id']}/test", json={"mapping": mended, "payload": renamed})
    assert given.json()["items"][0]["event"]["properties"] == {"total": 99}
    assert await activity(contacts_db) == [], "a test has no effect"

    stale = await client.put(f"/v1/sources/{source['id']}/mapping", json=mended, headers={"If-Match": '"r9"'})
    assert stale.status_code == 412
    assert (await client.put(f"/v1/sources/{source['id']}/mapping", json=mended)).json()["mapping_version"] == 2
    for _ in range(2):
        replayed = await client.post(f"/v1/sources/{source['id']}/replay", json={"failed": True})
        assert replayed.status_code == 200, replayed.text
    assert await activity(contacts_db) == [("order.placed", 99)]
    assert [one[0] for one in await outcomes(client, source)] == ["failed", "failed", "taken"]
    everything = [one["id"] for one in (await client.get(f"/v1/sources/{source['id']}/deliveries")).json()["items"]]
    await client.post(f"/v1/sources/{source['id']}/replay", json={"delivery_ids": everything})
    assert await activity(contacts_db) == [("order.placed", 99)]
    unknown = await client.post(f"/v1/sources/{source['id']}/replay", json={"delivery_ids": [source["id"]]})
    assert unknown.status_code == 404
    versions = (await client.get(f"/v1/sources/{source['id']}/mappings")).json()["items"]
    assert [one["version"] for one in versions] == [2, 1]
    odd = await client.get(f"/v1/sources/{source['id']}/mappings", params={"cursor": "W251bGxd"})  # [null]
    assert odd.status_code in (200, 400)


async def test_an_erasure_finds_every_payload_that_names_the_address(client, contacts_db, source):
    sara = (await client.post("/v1/contacts", json={"email": "sara@x.example"})).json()["id"]
    await post(client, source, PAYLOAD)
    await post(client, source, {"changed": {"note": "mail to Sara <SARA@x.example>"}})
    await post(client, source, {**PAYLOAD, "customer": {"email": "ali@x.example"}})
    await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": sara})
    assert (await post(client, source, PAYLOAD)).json()["outcome"] == "taken"  # and ignored: nobody is made again
    async with contacts_db.worker.connection() as connection:
        bodies = [row["body"] for row in await connection.fetch("select body from source_deliveries")]
    assert len(bodies) == 1
    assert b"ali@x.example" in bodies[0]
    assert await activity(contacts_db) == []


async def test_what_is_kept_and_how_often_partners_may_come_is_bounded(client, contacts_db, source, monkeypatch):
    monkeypatch.setattr(use_cases, "KEPT", 2)
    monkeypatch.setattr(use_cases, "PER_MINUTE", 4)
    for n in range(4):
        assert (await post(client, source, {**PAYLOAD, "id": n})).status_code == 202
    limited = await post(client, source, PAYLOAD)
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "60")
    await use_cases.forget_deliveries(contacts_db.worker)
    assert len(await outcomes(client, source)) == 2
    async with contacts_db.worker.connection() as connection:
        await connection.execute("update source_deliveries set received_at = now() - interval '31 days'")
    await use_cases.forget_deliveries(contacts_db.worker)
    assert await outcomes(client, source) == []


@pytest.mark.parametrize(
    "mapping",
    [
        {**MAPPING, "id": {}},
        {**MAPPING, "id": {"path": "a", "const": "b"}},
        {**MAPPING, "contact": {}},
        {**MAPPING, "properties": {"A b": {"path": "x"}}},
        {**MAPPING, "surprise": 1},
        {**MAPPING, "properties": {"total": {"const": 10**400}}},
    ],
    ids=["no path", "path and constant", "nobody", "a name that no property has", "unknown", "huge"],
)
async def test_a_mapping_that_makes_no_sense_is_refused(client, source, mapping):
    assert (await client.put(f"/v1/sources/{source['id']}/mapping", json=mapping)).status_code == 422
