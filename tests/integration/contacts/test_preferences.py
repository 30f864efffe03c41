"""The preference centre: what it shows, what a choice does, and what it never does."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from common.contracts.leads import ConsentChangedV1, LeadUpdatedV1, SuppressionChangedV1
from common.ids import new_id
from common.testing.deliver import outbox_events

from tests.integration.contacts.public import WORDINGS, Shop, link, open_shop

EMAIL = "sara@example.com"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


@pytest.fixture
async def shop(contacts_db, workspace_id) -> Shop:
    return await open_shop(contacts_db.worker, workspace_id)


async def create(client, *, language=None, purposes=("newsletter",), email=EMAIL) -> str:
    body = {"email": email, "language": language}
    contact_id = (await client.post("/v1/contacts", json=body)).json()["id"]
    for key in purposes:
        line = {"contact_id": contact_id, "status": "subscribed", "source": "expo", "purpose": key}
        assert (await client.post("/v1/consents", json=line)).status_code == 201
    return contact_id


async def states(client, contact_id) -> dict[str, str]:
    found = (await client.get(f"/v1/contacts/{contact_id}/consents")).json()
    return {one["purpose"]: one["reason"] for one in found["purposes"]}


async def choose(client, path, shop, wanted, **more) -> httpx.Response:
    fields = {"shown": [str(shop.purpose(key)) for key in WORDINGS], "purpose": [str(shop.purpose(k)) for k in wanted]}
    headers = {"user-agent": AGENT, "x-forwarded-for": "198.51.100.9"}
    return await client.post(path, data={**fields, "action": "save", **more}, headers=headers)


async def told(db, kind) -> list:
    return [event.data for event in await outbox_events(db) if isinstance(event.data, kind)]


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("ar-EG", "rtl"), ("fa", "rtl")])
async def test_it_speaks_the_persons_language_and_masks_the_address(client, shop, language, direction):
    contact_id = await create(client, language=language)
    answer = await client.get(f"/p/{link('p', shop.id, contact_id)}", headers={"accept-language": "de"})
    assert answer.status_code == 200
    assert f'<html lang="{language[:2]}" dir="{direction}">' in answer.text
    assert all(wording[language[:2]] in answer.text for wording in WORDINGS.values())
    assert EMAIL not in answer.text
    assert "s•••@example.com" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "<script" not in answer.text


async def test_get_and_head_change_nothing(client, shop, contacts_db):
    contact_id = await create(client)
    before = await outbox_events(contacts_db.worker)
    path = f"/p/{link('p', shop.id, contact_id)}?action=leave_all&purpose="
    assert (await client.get(path)).status_code == 200
    head = await client.head(path)
    assert head.status_code == 200
    assert await outbox_events(contacts_db.worker) == before
    assert await states(client, contact_id) == {"newsletter": "subscribed", "offers": "no_consent"}


async def test_leaving_one_and_joining_another_is_written_down_with_its_proof(client, shop, contacts_db):
    contact_id = await create(client, language="fa")
    answer = await choose(client, f"/p/{link('p', shop.id, contact_id)}", shop, ["offers"])
    assert answer.status_code == 200
    assert 'role="status"' in answer.text
    assert await states(client, contact_id) == {"newsletter": "unsubscribed", "offers": "subscribed"}
    lines = (await client.get("/v1/consents", params={"contact_id": contact_id})).json()["items"]
    joined = next(line for line in lines if line["purpose_id"] == str(shop.purpose("offers")))
    assert (joined["ip"], joined["agent"], joined["actor"]) == ("198.51.100.9", AGENT, "recipient")
    assert (joined["wording_version"], joined["wording_language"]) == (2, "fa")
    assert (joined["basis"], joined["express"], joined["source"]) == ("consent", True, "preference centre")
    changes = await told(contacts_db.worker, ConsentChangedV1)
    assert {one.purpose_id: one.status for one in changes[-2:]} == {
        shop.purpose("newsletter"): "unsubscribed", shop.purpose("offers"): "subscribed",
    }  # fmt: skip


async def test_saving_the_same_twice_writes_one_line(client, shop):
    contact_id = await create(client)
    path = f"/p/{link('p', shop.id, contact_id)}"
    for _ in range(2):
        assert (await choose(client, path, shop, [])).status_code == 200
    lines = (await client.get("/v1/consents", params={"contact_id": contact_id})).json()["items"]
    assert [line["status"] for line in lines] == ["unsubscribed", "subscribed"]


async def test_what_the_page_did_not_show_is_not_touched(client, shop):
    contact_id = await create(client, purposes=("newsletter", "offers"))
    path = f"/p/{link('p', shop.id, contact_id)}"
    only = {"shown": [str(shop.purpose("offers"))], "action": "save"}
    assert (await client.post(path, data=only)).status_code == 200
    assert await states(client, contact_id) == {"newsletter": "subscribed", "offers": "unsubscribed"}


async def test_leaving_everything_suppresses_and_coming_back_lifts_that_alone(client, shop, contacts_db):
    contact_id = await create(client)
    path = f"/p/{link('p', shop.id, contact_id)}"
    left = await client.post(path, data={"action": "leave_all"})
    assert "unsubscribed from everything" in left.text
    assert await states(client, contact_id) == {"newsletter": "suppressed", "offers": "suppressed"}
    (suppressed,) = await told(contacts_db.worker, SuppressionChangedV1)
    assert (suppressed.reason, suppressed.active) == ("unsubscribed_all", True)
    await choose(client, path, shop, ["newsletter"])
    assert await states(client, contact_id) == {"newsletter": "subscribed", "offers": "unsubscribed"}
    assert [one.active for one in await told(contacts_db.worker, SuppressionChangedV1)] == [True, False]


async def test_nobody_lifts_what_others_stopped(client, shop):
    contact_id = await create(client)
    body = {"email": EMAIL, "reason": "complaint"}
    assert (await client.post("/v1/suppressions", json=body)).status_code == 201
    path = f"/p/{link('p', shop.id, contact_id)}"
    answer = await choose(client, path, shop, ["newsletter", "offers"])
    assert "The sender has stopped all mail to this address" in answer.text
    await client.post(path, data={"action": "leave_all"})
    await choose(client, path, shop, ["newsletter"])
    assert set((await states(client, contact_id)).values()) == {"suppressed"}


async def test_a_pause_keeps_the_subscription_and_ends_by_itself(client, shop, contacts_db):
    contact_id = await create(client)
    path = f"/p/{link('p', shop.id, contact_id)}"
    paused = await choose(client, path, shop, ["newsletter"], pause="30")
    assert "Days left of your break: 30" in paused.text
    assert (await states(client, contact_id))["newsletter"] == "paused"
    change = (await told(contacts_db.worker, ConsentChangedV1))[-1]
    assert change.status == "none"
    assert timedelta(days=29) < change.paused_until - datetime.now(UTC) < timedelta(days=31)
    kept = await choose(client, path, shop, ["newsletter"], pause="keep")
    assert "Days left of your break: 30" in kept.text
    assert (await told(contacts_db.worker, ConsentChangedV1))[-1] == change
    await choose(client, path, shop, ["newsletter"], pause="0")
    assert (await states(client, contact_id))["newsletter"] == "subscribed"
    assert (await told(contacts_db.worker, ConsentChangedV1))[-1].status == "subscribed"


async def test_tracking_consent_is_apart(client, shop, contacts_db):
    contact_id = await create(client)
    path = f"/p/{link('p', shop.id, contact_id)}"
    await choose(client, path, shop, ["newsletter"], tracking="1")
    found = (await client.get(f"/v1/contacts/{contact_id}/consents")).json()
    assert found["tracking"]["may_track"]
    assert found["tracking"]["record"]["ip"] == "198.51.100.9"
    (updated,) = await told(contacts_db.worker, LeadUpdatedV1)
    assert updated.tracking == "individual"
    assert (await states(client, contact_id))["newsletter"] == "subscribed"
    await choose(client, path, shop, ["newsletter"])
    assert (await client.get(f"/v1/contacts/{contact_id}")).json()["tracking"] == "none"


async def test_other_links_lead_nowhere_and_all_alike(client, shop, contacts_db):
    contact_id = await create(client)
    good = link("p", shop.id, contact_id)
    gone = link("p", shop.id, str(new_id()))
    elsewhere = link("p", new_id(), contact_id)
    before = await outbox_events(contacts_db.worker)
    texts = set()
    for text in (good[:-1] + ("A" if good[-1] != "A" else "B"), "x", link("u", shop.id, contact_id), gone, elsewhere):
        for method in ("GET", "POST"):
            answer = await client.request(
                method, f"/p/{text}", content=b"action=leave_all" if method == "POST" else None
            )
            assert answer.status_code == 404
            texts.add(answer.text)
    assert len(texts) == 1
    assert await outbox_events(contacts_db.worker) == before


async def test_the_link_of_a_test_mail_changes_nothing(client, shop, contacts_db):
    path = f"/p/{link('p', shop.id, None, kind='test')}"
    for answer in (await client.get(path), await client.post(path, data={"action": "leave_all"})):
        assert answer.status_code == 200
        assert "test mail" in answer.text
    assert await outbox_events(contacts_db.worker) == []


@pytest.mark.parametrize(
    "body",
    [b"\xff\x00%00=%ff&shown=x&purpose='--&pause=-1&action=save", b"pause=1e9&pause=\xd9\xa3", b"a&" * 100, b""],
)
async def test_strange_forms_change_nothing(client, shop, body):
    contact_id = await create(client)
    answer = await client.post(f"/p/{link('p', shop.id, contact_id)}", content=body)
    assert answer.status_code == 200
    assert (await states(client, contact_id))["newsletter"] == "subscribed"


async def test_too_large_a_form_is_refused(client, shop):
    contact_id = await create(client)
    for body in (b"x" * 70_000, b"a=1&" * 300):
        answer = await client.post(f"/p/{link('p', shop.id, contact_id)}", content=body)
        assert answer.status_code == 413
