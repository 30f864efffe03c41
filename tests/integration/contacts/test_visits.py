"""What web pages tell of their visitors, over HTTP."""

import hmac
from uuid import uuid4

import pytest_asyncio
from common.ids import new_id
from contacts.api import collector
from contacts.api.paces import Pace
from contacts.use_cases.visits import forget_old

from tests.integration.contacts.public import link

ORIGIN = "https://shop.example"
SITE = {"name": "فروشگاه", "origins": [ORIGIN], "keep_days": 30}
TRACKED = {"status": "subscribed", "source": "form", "tracking": "individual"}
BROWSER = {
    "Origin": ORIGIN,
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
    "Content-Type": "text/plain",
}


@pytest_asyncio.fixture
async def site(client):
    made = await client.post("/v1/sites", json=SITE)
    assert made.status_code == 201, made.text
    return made.json()


@pytest_asyncio.fixture
async def sara(client):
    made = await client.post("/v1/contacts", json={"email": "sara@x.example", "consent": TRACKED})
    return made.json()["id"]


def hit(kind="page.viewed", path="/", **more):
    properties = {"url": f"{ORIGIN}{path}?secret=1#x", "title": "خانه", **more.pop("p", {})}
    return {"i": str(uuid4()), "t": kind, "a": 10, "p": properties, **more}


async def tell(client, site, visitor, *hits, code=200, headers=None, **more):
    body = {"v": visitor, "c": "given", "e": list(hits), **more}
    answer = await client.post(f"/t/{site['key']}", json=body, headers={**BROWSER, **(headers or {})})
    assert answer.status_code == code, answer.text
    return answer.json() if answer.content else None


async def signed(client, site, email):
    secret = (await client.get(f"/v1/sites/{site['id']}/identity-secret")).json()["identity_secret"]
    return {"email": email, "signature": hmac.new(secret.encode(), email.encode(), "sha256").hexdigest()}


async def seen(client, contact_id):
    items = (await client.get(f"/v1/contacts/{contact_id}/timeline")).json()["items"]
    return [(one["type"], one["data"]["properties"]) for one in items if "properties" in one["data"]]


async def waiting(contacts_db):
    async with contacts_db.worker.connection() as connection:
        return tuple(
            await connection.fetchrow("select (select count(*) from visitors), (select count(*) from visitor_events)")
        )


async def test_a_visit_waits_for_nobody_and_joins_who_proves_to_be_there(client, contacts_db, workspace_id, site, sara):
    visitor = str(uuid4())
    first, read = hit(path="/one", p={"utm_source": "mail", "referrer": "https://a.example/x?q=1"}), hit("page.read")
    assert await tell(client, site, visitor, first, {**read, "p": {"url": ORIGIN, "seconds": 4}}) == {"stop": False}
    await tell(client, site, visitor, first, {**read, "p": {"url": ORIGIN, "seconds": 9}})
    await tell(client, site, visitor, {**read, "p": {"url": ORIGIN, "seconds": 7}})
    assert await waiting(contacts_db) == (1, 2)
    assert await seen(client, sara) == []

    proof = {"token": link("i", workspace_id, sara)}
    assert await tell(client, site, visitor, id=proof) == {"stop": False}
    assert await waiting(contacts_db) == (1, 0)
    await tell(client, site, visitor, hit("file.downloaded", "/a.pdf"), {**read, "p": {"url": ORIGIN, "seconds": 12}})
    found = dict(await seen(client, sara))
    assert found["page.viewed"] == {
        "site": "فروشگاه", "url": f"{ORIGIN}/one", "path": "/one", "title": "خانه", "utm_source": "mail",
        "referrer": "https://a.example/x",
    }  # fmt: skip
    assert found["page.read"]["seconds"] == 12
    assert found["file.downloaded"]["path"] == "/a.pdf"
    rule = {"event": "page.read", "op": "at_least", "value": 1,
            "where": [{"property": "seconds", "op": "gte", "value": 10}]}  # fmt: skip
    assert (await client.post("/v1/segments/preview", json={"rule": rule})).json()["count"] == 1

    # by the site's server; the person merged into is who is there from then on; and erased, nothing is left
    other = str(uuid4())
    await tell(client, site, other, hit(path="/two"), id=await signed(client, site, "Sara@x.example"))
    assert len(await seen(client, sara)) == 4
    kept = (await client.post("/v1/contacts", json={"email": "kept@x.example", "consent": TRACKED})).json()["id"]
    merged = await client.post("/v1/contacts/merges", json={"contact_id": kept, "merged_contact_id": sara})
    assert merged.status_code == 201, merged.text
    await tell(client, site, other, hit(path="/three"))
    assert len(await seen(client, kept)) == 5
    await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": kept})
    assert await waiting(contacts_db) == (0, 0)


async def test_nobody_is_joined_without_proof(client, contacts_db, workspace_id, site, sara):
    visitor = str(uuid4())
    await tell(client, site, visitor, hit())
    good = await signed(client, site, "sara@x.example")
    old = await client.post(f"/v1/sites/{site['id']}/identity-secret")
    assert old.status_code == 200
    for proof in (
        {"email": "sara@x.example"},
        good,  # signed with the secret before
        {"token": link("p", workspace_id, sara)},
        {"token": link("i", new_id(), sara)},
        {"token": link("i", workspace_id, sara, kind="test")},
    ):
        refused = await tell(client, site, visitor, id=proof, code=403)
        assert refused["code"] == "identity_not_proven", proof
    assert await seen(client, sara) == []
    assert await waiting(contacts_db) == (1, 1)
    await tell(client, site, visitor, id=await signed(client, site, "nobody@x.example"))
    assert await waiting(contacts_db) == (1, 1)


async def test_who_will_not_be_tracked_is_forgotten_and_the_script_stops(client, contacts_db, site):
    made = await client.post("/v1/contacts", json={"email": "ali@x.example"})
    visitor = str(uuid4())
    await tell(client, site, visitor, hit())
    assert await tell(client, site, visitor, hit(), id=await signed(client, site, "ali@x.example")) == {"stop": True}
    assert await waiting(contacts_db) == (0, 0)
    assert await seen(client, made.json()["id"]) == []
    for header in ({"DNT": "1"}, {"Sec-GPC": "1"}):
        assert await tell(client, site, visitor, hit(), headers=header, code=204) is None
    refused = await tell(client, site, visitor, hit(), c="assumed", code=403)
    assert refused["code"] == "consent_needed"
    assert await waiting(contacts_db) == (0, 0)


async def test_only_the_sites_pages_may_tell_and_not_without_bounds(client, contacts_db, site, monkeypatch):
    visitor = str(uuid4())
    foreign = await tell(client, site, visitor, hit(), headers={"Origin": "https://evil.example"}, code=403)
    assert foreign["code"] == "origin_not_allowed"
    answer = await client.post(f"/t/{site['key']}", content=b"{", headers=BROWSER)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (422, ORIGIN)
    asked = await client.options(f"/t/{site['key']}", headers=BROWSER)
    assert asked.headers["Access-Control-Allow-Methods"] == "POST"
    await tell(client, site, visitor, *[hit()] * 26, code=422)
    await tell(client, site, visitor, hit(t="email.opened"), code=422)
    await tell(client, site, visitor, hit("page.read", p={"seconds": 1e99, "title": "a\x00b"}))
    large = await client.post(f"/t/{site['key']}", content=b"x" * 40_000, headers=BROWSER)
    assert large.status_code == 413
    bot = {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
    await tell(client, site, visitor, hit(), headers=bot)
    async with contacts_db.worker.connection() as connection:
        rows = await connection.fetch("select machine, properties from visitor_events order by machine")
    assert [row["machine"] for row in rows] == [False, True]
    assert (rows[0]["properties"]["seconds"], rows[1]["properties"]["bot"]) == (86400, "Googlebot")

    monkeypatch.setattr("contacts.use_cases.visits.MOST_WAITING", 2)
    await tell(client, site, visitor, hit(), hit())
    assert await waiting(contacts_db) == (1, 2)
    async with contacts_db.worker.connection() as connection:
        await connection.execute("update visitors set expires_at = now() - interval '1 s'")
        await connection.execute("update visitor_events set expires_at = now() - interval '1 s'")
    await forget_old(contacts_db.worker)
    assert await waiting(contacts_db) == (0, 0)
    monkeypatch.setattr(collector, "PACE_OF_SITES", Pace(1))
    await tell(client, site, visitor)
    slow = await client.post(f"/t/{site['key']}", json={"v": visitor, "c": "given"}, headers=BROWSER)
    assert (slow.status_code, slow.headers["Retry-After"]) == (429, "60")
    path = f"/v1/sites/{site['id']}"
    assert (await client.patch(path, json={"active": False}, headers={"If-Match": '"r9"'})).status_code == 412
    assert (await client.patch(path, json={"active": False})).json()["origins"] == [ORIGIN]
    await tell(client, site, visitor, hit(), code=404)
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_the_script_is_small_and_cached(client):
    found = await client.get("/t/1.js")
    assert found.headers["Content-Type"].startswith("text/javascript")
    assert "public, max-age=3600" in found.headers["Cache-Control"]
    assert len(found.content) < 6 * 1024
    again = await client.get("/t/1.js", headers={"If-None-Match": found.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
