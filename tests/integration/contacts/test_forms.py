"""Forms: what is taken, what is refused, and what nobody learns or changes by posting somebody else's address."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from common.contracts.leads import LeadCreatedV1
from common.ids import new_id
from common.testing.deliver import outbox_events
from contacts.domain.forms import TRAP

from tests.integration.contacts.public import Shop, asked, link, open_shop

EMAIL = "sara@example.com"
SITE = "https://www.caravan.example"


@pytest.fixture
async def shop(contacts_db, workspace_id) -> Shop:
    return await open_shop(contacts_db.worker, workspace_id)


def definition(shop, **more) -> dict:
    texts = {
        "en": {"title": "Our letter", "intro": "Every month.", "button": "Sign me up"},
        "fa": {"title": "نامهٔ ما", "thanks": "ممنون!"},
    }
    fields = [
        {"name": "first_name", "label": {"en": "First name", "fa": "نام"}, "required": True},
        {"name": "attributes.city", "label": {"en": "City", "fa": "شهر"}},
        {"name": "attributes.source", "hidden": True, "value": "expo", "from_query": "utm_source"},
    ]
    return {
        "name": "Letter", "languages": ["en", "fa"], "texts": texts, "fields": fields, "tags": ["letter"],
        "sender_id": str(shop.sender_id), **more,
    }  # fmt: skip


async def make(client, shop, **more) -> dict:
    for name in ("city", "source"):
        await client.post("/v1/attributes", json={"name": name, "type": "text"})
    answer = await client.post("/v1/forms", json=definition(shop, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()


def path_of(form) -> str:
    return form["url"].removeprefix("http://127.0.0.1:8080")


def stamp(shop, form, ago=10.0) -> str:
    sent_at = datetime.now(UTC) - timedelta(seconds=ago)
    return link("f", shop.id, None, kind="single", message_id=UUID(form["id"]), sent_at=sent_at)


async def send(client, shop, form, email=EMAIL, ip="198.51.100.9", **fields) -> httpx.Response:
    data = {"t": stamp(shop, form), "email": email, "first_name": "Sara", **fields}
    return await client.post(path_of(form), data=data, headers={"x-forwarded-for": ip})


async def contact_of(client, email=EMAIL) -> dict | None:
    found = (await client.get("/v1/contacts", params={"email": email})).json()["items"]
    return (await client.get(f"/v1/contacts/{found[0]['id']}")).json() if found else None


async def sent_with(client, form) -> list[dict]:
    return (await client.get(f"/v1/forms/{form['id']}/submissions")).json()["items"]


async def confirm(client, db) -> None:
    text = (await asked(db))[-1].content["variants"][0]["text"]["segments"][0]
    path = re.search(r"(/p/confirm/[\w-]+)", text)[1]
    assert (await client.post(path)).status_code == 200


async def test_a_form_is_made_read_changed_and_deleted(client, shop):
    form = await make(client, shop)
    got = await client.get(f"/v1/forms/{form['id']}")
    assert got.json() == form
    assert [one["id"] for one in (await client.get("/v1/forms")).json()["items"]] == [form["id"]]
    stale = await client.patch(f"/v1/forms/{form['id']}", json={"name": "x"}, headers={"If-Match": '"r9"'})
    assert stale.status_code == 412
    changed = await client.patch(
        f"/v1/forms/{form['id']}", json={"tags": []}, headers={"If-Match": got.headers["etag"]}
    )
    assert (changed.json()["tags"], changed.json()["revision"], changed.json()["name"]) == ([], 2, "Letter")
    assert (await client.delete(f"/v1/forms/{form['id']}")).status_code == 204
    assert (await client.get(path_of(form))).status_code == 404
    assert (await send(client, shop, form)).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"sender_id": None}, "invalid"),
        ({"redirect_url": "https://evil.example/x", "allowed_origins": [SITE]}, "invalid"),
        ({"redirect_url": "javascript:alert(1)", "allowed_origins": [SITE]}, "invalid"),
        ({"allowed_origins": ["*"]}, "invalid"),
        ({"fields": [{"name": "email", "label": {"en": "x", "fa": "x"}}]}, "invalid"),
        ({"fields": [{"name": "first_name", "label": {"en": "x"}}]}, "invalid"),
        ({"languages": ["en"]}, "invalid"),
        ({"purpose": "nothing"}, "unknown_purpose"),
        ({"fields": [{"name": "attributes.nothing", "hidden": True}]}, "unknown_attribute"),
        ({"list_ids": [str(new_id())]}, "list_not_found"),
        ({"sender_id": str(new_id())}, "sender_not_found"),
    ],
    ids=[
        "no sender",
        "redirect",
        "script",
        "star",
        "email",
        "label",
        "texts",
        "purpose",
        "attribute",
        "list",
        "sender",
    ],
)
async def test_a_form_that_could_not_work_is_refused(client, shop, wrong, code):
    answer = await client.post("/v1/forms", json=definition(shop, fields=[]) | wrong)
    assert answer.status_code in (404, 422)
    assert answer.json()["code"] == code, answer.text
    form = await make(client, shop)
    changed = await client.patch(f"/v1/forms/{form['id']}", json=wrong)
    assert changed.status_code in (404, 422), changed.text


@pytest.mark.parametrize(("language", "direction", "word"), [("en", "ltr", "First name"), ("fa", "rtl", "شهر")])
async def test_the_page_speaks_a_language_of_the_form(client, shop, language, direction, word):
    form = await make(client, shop)
    page = await client.get(f"{path_of(form)}?utm_source=a%22b", headers={"accept-language": f"ar,{language};q=0.5"})
    assert page.status_code == 200
    assert f'<html lang="{language}" dir="{direction}">' in page.text
    assert word in page.text
    assert 'value="a&quot;b"' in page.text
    assert (await client.head(path_of(form))).status_code == 200
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


async def test_a_new_person_is_asked_and_only_then_subscribed(client, shop, contacts_db):
    form = await make(client, shop)
    answer = await send(client, shop, form, **{"attributes.city": "اصفهان", "attributes.source": "fair"})
    assert answer.status_code == 200
    assert "Please look into your mailbox" in answer.text
    contact = await contact_of(client)
    assert (contact["first_name"], contact["tags"]) == ("Sara", ["letter"])
    assert contact["attributes"] == {"city": "اصفهان", "source": "fair"}
    assert [one["status"] for one in contact["consents"]] == ["pending"]
    (sent,) = await sent_with(client, form)
    assert (sent["outcome"], sent["contact_id"], sent["ip"]) == ("asked", contact["id"], "198.51.100.9")
    await confirm(client, contacts_db.worker)
    assert [one["status"] for one in (await contact_of(client))["consents"]] == ["subscribed"]
    assert [one["outcome"] for one in await sent_with(client, form)] == ["confirmed"]


async def test_the_answer_is_the_same_whoever_has_the_address(client, shop):
    form = await make(client, shop)
    for email, status in (("a@example.com", "subscribed"), ("b@example.com", "unsubscribed")):
        consent = {"status": status, "source": "expo"}
        await client.post("/v1/contacts", json={"email": email, "consent": consent})
    await client.post("/v1/suppressions", json={"email": "c@example.com"})
    answers = [await send(client, shop, form, f"{one}@example.com") for one in "abcde"]
    answers.append(await send(client, shop, form, "d@example.com"))
    assert {(one.status_code, one.text) for one in answers} == {(200, answers[0].text)}
    outcomes = {one["outcome"] for one in await sent_with(client, form)}
    assert outcomes == {"already_subscribed", "asked", "suppressed", "not_asked"}


async def test_a_stranger_changes_nothing_of_somebody_known(client, shop, contacts_db):
    form = await make(client, shop, ask_tracking=True)
    body = {"email": EMAIL, "first_name": "سارا", "consent": {"status": "unsubscribed", "source": "letter"}}
    await client.post("/v1/contacts", json=body)
    before = await contact_of(client)
    assert (await send(client, shop, form, tracking="1", first_name="Stranger")).status_code == 200
    assert await contact_of(client) == before
    await confirm(client, contacts_db.worker)
    after = await contact_of(client)
    assert (after["first_name"], after["tracking"], after["tags"]) == ("Stranger", "individual", ["letter"])
    assert [one["status"] for one in after["consents"]] == ["subscribed"]


async def test_without_double_opt_in_who_left_is_still_asked_and_blanks_alone_are_filled(client, shop, contacts_db):
    form = await make(client, shop, double_opt_in=False)
    await client.post("/v1/contacts", json={"email": "new@example.com", "first_name": "Reza"})
    for email in ("new@example.com", "newer@example.com"):
        assert (await send(client, shop, form, email, **{"attributes.city": "Yazd"})).status_code == 200
        assert [one["status"] for one in (await contact_of(client, email))["consents"]] == ["subscribed"]
    kept = await contact_of(client, "new@example.com")
    assert (kept["first_name"], kept["attributes"]["city"]) == ("Reza", "Yazd")
    assert await asked(contacts_db.worker) == []
    body = {"email": EMAIL, "consent": {"status": "unsubscribed", "source": "letter"}}
    await client.post("/v1/contacts", json=body)
    await send(client, shop, form)
    assert [one["status"] for one in (await contact_of(client))["consents"]] == ["unsubscribed"]
    assert len(await asked(contacts_db.worker)) == 1


async def test_what_is_missing_or_wrong_is_said_beside_the_field(client, shop):
    await client.post("/v1/attributes", json={"name": "age", "type": "number"})
    fields = [
        {"name": "first_name", "label": {"en": "First name", "fa": "نام"}, "required": True},
        {"name": "attributes.age", "label": {"en": "Age", "fa": "سن"}},
        {"name": "country", "label": {"en": "Country", "fa": "کشور"}, "options": [{"value": "IR"}, {"value": "IQ"}]},
    ]
    form = await make(client, shop, fields=fields)
    wrong = {"email": "no address", "first_name": "", "attributes.age": "old", "country": "XX"}
    answer = await send(client, shop, form, **wrong)
    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 4
    assert 'value="no address"' in answer.text
    as_json = await client.post(path_of(form), json={"t": stamp(shop, form), **wrong})
    assert (as_json.status_code, as_json.json()["code"]) == (422, "form_rejected")
    assert {one["where"] for one in as_json.json()["errors"]} == {
        "/email", "/first_name", "/attributes.age", "/country",
    }  # fmt: skip
    good = await send(client, shop, form, **{"attributes.age": "۴۲", "country": "IR"})
    assert good.status_code == 200
    assert (await contact_of(client))["attributes"] == {"age": 42}


async def test_bots_are_thanked_and_forgotten(client, shop, contacts_db):
    form = await make(client, shop)
    before = await outbox_events(contacts_db.worker)
    answer = await send(client, shop, form, **{TRAP: "https://spam.example"})
    assert answer.status_code == 200
    assert await sent_with(client, form) == []
    assert await outbox_events(contacts_db.worker) == before


async def test_too_fast_and_too_old_a_page_asks_once_more(client, shop):
    form = await make(client, shop)
    other = await make(client, shop)
    for token, word in (
        (stamp(shop, form, ago=0.1), "very quick"),
        (stamp(shop, form, ago=13 * 3600), "open for long"),
        (stamp(shop, other), "open for long"),
        ("x", "open for long"),
    ):
        answer = await client.post(path_of(form), data={"t": token, "email": EMAIL, "first_name": "S"})
        assert answer.status_code == 422
        assert word in answer.text
        assert f'value="{EMAIL}"' in answer.text
    assert await sent_with(client, form) == []


async def test_one_place_may_send_thirty_an_hour_and_one_address_five_a_day(client, shop):
    form = await make(client, shop)
    answers = [await send(client, shop, form, ip=f"2001:db8::{n}") for n in range(7)]
    assert {(one.status_code, one.text) for one in answers} == {(200, answers[0].text)}
    assert len(await sent_with(client, form)) == 5
    statuses = [(await send(client, shop, form, f"p{n}@example.com", ip="2001:db8::1")).status_code for n in range(25)]
    assert statuses == [200] * 23 + [429] * 2
    refused = await send(client, shop, form, "p99@example.com", ip="2001:db8::9")
    assert refused.headers["retry-after"] == "3600"
    assert (await send(client, shop, form, "p99@example.com", ip="2001:db8:1::1")).status_code == 200


async def test_many_at_once_are_counted_and_made_once(client, shop, contacts_db):
    form = await make(client, shop)
    answers = await asyncio.gather(*(send(client, shop, form, ip=f"192.0.2.{n}") for n in range(8)))
    assert {one.status_code for one in answers} == {200}
    created = [e for e in await outbox_events(contacts_db.worker) if isinstance(e.data, LeadCreatedV1)]
    assert len(created) == 1
    assert len(await sent_with(client, form)) == 5
    assert len(await asked(contacts_db.worker)) == 1


async def test_an_own_thank_you_page_and_web_sites_that_may_show_the_form(client, shop):
    form = await make(client, shop, redirect_url=f"{SITE}/thanks", allowed_origins=[SITE])
    page = await client.get(path_of(form))
    policy = page.headers["content-security-policy"]
    assert f"form-action 'self' {SITE};" in policy
    assert f"frame-ancestors 'self' {SITE}" in policy
    answer = await send(client, shop, form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{SITE}/thanks")


async def test_web_sites_that_the_form_names_may_post_and_others_may_not_read(client, shop):
    form = await make(client, shop, allowed_origins=[SITE])
    path = path_of(form)
    for origin, allowed in ((SITE, SITE), ("https://evil.example", None)):
        headers = {"origin": origin, "access-control-request-method": "POST"}
        preflight = await client.options(path, headers=headers)
        assert (preflight.status_code, preflight.headers.get("access-control-allow-origin")) == (204, allowed)
        embed = await client.get(f"{path}/embed?lang=fa", headers={"origin": origin})
        assert embed.headers.get("access-control-allow-origin") == allowed
        for body in ({"t": stamp(shop, form), "email": EMAIL, "first_name": "S"}, {"t": "x"}):
            answer = await client.post(path, json=body, headers={"origin": origin})
            assert answer.headers.get("access-control-allow-origin") == allowed
    found = embed.json()
    assert (found["language"], found["title"]) == ("fa", "نامهٔ ما")
    assert [one["label"] for one in found["fields"]] == ["نام", "شهر"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"t": {"a": 1}}', b"\xff", b'{"email": "\\u0000"}'])
async def test_strange_json_is_refused(client, shop, body):
    form = await make(client, shop)
    answer = await client.post(path_of(form), content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_another_address_of_the_form_is_no_form(client, shop):
    form = await make(client, shop)
    key = path_of(form)[3:]
    for wrong in (key[:-4], "x", key + "AA", "A" * 43):
        assert (await client.get(f"/f/{wrong}")).status_code == 404
        assert (await client.post(f"/f/{wrong}", data={"email": EMAIL})).status_code == 404
        assert (await client.get(f"/f/{wrong}/embed")).status_code == 404


async def test_an_erased_persons_submissions_go(client, shop):
    form = await make(client, shop)
    await send(client, shop, form)
    contact = await contact_of(client)
    await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": contact["id"]})
    assert await sent_with(client, form) == []
