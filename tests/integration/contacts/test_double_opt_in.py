"""Double opt-in: who is asked and how often, what confirms, and what proves it."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from common.contracts.leads import ConsentChangedV1
from common.ids import new_id
from common.testing.deliver import outbox_events
from content.model import CompiledMail
from content.render import RenderContext, render

from tests.integration.contacts.public import WORDINGS, Shop, asked, link, open_shop

EMAIL = "sara@example.com"
AGENT = {"user-agent": "Mozilla/5.0 Firefox/140.0", "x-forwarded-for": "198.51.100.9"}


@pytest.fixture
async def shop(contacts_db, workspace_id) -> Shop:
    return await open_shop(contacts_db.worker, workspace_id)


async def create(client, email=EMAIL) -> str:
    return (await client.post("/v1/contacts", json={"email": email})).json()["id"]


async def ask(client, shop, contact_id, **more):
    body = {"contact_id": contact_id, "sender_id": str(shop.sender_id), "source": "expo 2026", **more}
    return await client.post("/v1/consents/confirmations", json=body)


async def state(client, contact_id, purpose="newsletter") -> str:
    found = (await client.get(f"/v1/contacts/{contact_id}/consents", params={"purpose": purpose})).json()
    return found["purposes"][0]["reason"]


async def path_in(db) -> str:
    """The link of the last mail asked for."""
    mail = (await asked(db))[-1]
    return re.search(r"http://127.0.0.1:8080(/p/confirm/[\w-]+)", mail.content["variants"][0]["text"]["segments"][0])[1]


@pytest.mark.parametrize("language", ["en", "ar", "fa"])
async def test_the_mail_says_what_for_in_the_language_asked_for(client, shop, contacts_db, language):
    contact_id = await create(client)
    answer = await ask(client, shop, contact_id, language=language)
    assert (answer.status_code, answer.json()) == (202, {"outcome": "sent"})
    assert await state(client, contact_id) == "unconfirmed"
    (mail,) = await asked(contacts_db.worker)
    assert (mail.kind, mail.purpose_id, mail.sender.email) == ("single", None, "news@caravan.example")
    assert [(one.email, str(one.contact_id)) for one in mail.recipients] == [(EMAIL, contact_id)]
    compiled = CompiledMail.model_validate(mail.content)
    rendered = render(compiled, language, RenderContext(fields={}))
    for text in (rendered.html, rendered.text):
        assert WORDINGS["newsletter"][language] in text
        assert "/p/confirm/" in text
        assert "12 Silk Road" in text
    assert f'lang="{language}" dir="{"ltr" if language == "en" else "rtl"}"' in rendered.html


async def test_reading_confirms_nothing_and_the_button_does_with_its_proof(client, shop, contacts_db):
    contact_id = await create(client)
    await ask(client, shop, contact_id, language="fa")
    path = await path_in(contacts_db.worker)
    for method in ("GET", "HEAD"):
        page = await client.request(method, path, headers=AGENT)
        assert page.status_code == 200
    page = await client.get(path)
    assert 'lang="fa" dir="rtl"' in page.text
    assert WORDINGS["newsletter"]["fa"] in page.text
    assert await state(client, contact_id) == "unconfirmed"
    for _ in range(2):  # twice is once
        assert (await client.post(path, headers=AGENT)).status_code == 200
    assert await state(client, contact_id) == "subscribed"
    lines = (await client.get("/v1/consents", params={"contact_id": contact_id})).json()["items"]
    assert [line["status"] for line in lines] == ["subscribed", "pending"]
    proof = lines[0]
    assert (proof["ip"], proof["agent"]) == ("198.51.100.9", AGENT["user-agent"])
    assert (proof["wording_version"], proof["wording_language"], proof["express"]) == (2, "fa", True)
    assert proof["source"] == "double opt-in: expo 2026"
    assert "asked at 20" in proof["evidence"]
    told = [e.data for e in await outbox_events(contacts_db.worker) if isinstance(e.data, ConsentChangedV1)]
    assert [one.status for one in told] == ["pending", "subscribed"]


async def test_an_address_is_asked_once_a_day_whoever_asks(client, shop, contacts_db):
    contact_id = await create(client)
    wishes = [("newsletter", "en"), ("offers", "fa"), ("newsletter", "ar"), ("offers", "en")]
    answers = await asyncio.gather(
        *(ask(client, shop, contact_id, purpose=purpose, language=language) for purpose, language in wishes)
    )
    outcomes = sorted(answer.json()["outcome"] for answer in answers)
    assert outcomes == ["already_asked_today"] * 3 + ["sent"]
    assert len(await asked(contacts_db.worker)) == 1
    async with contacts_db.worker.connection() as tx:
        await tx.execute("update confirmation_mails set last_at = now() - interval '23 hours 59 minutes'")
    assert (await ask(client, shop, contact_id)).json()["outcome"] == "already_asked_today"
    async with contacts_db.worker.connection() as tx:
        await tx.execute("update confirmation_mails set last_at = now() - interval '24 hours'")
    assert (await ask(client, shop, contact_id)).json()["outcome"] == "sent"


async def test_who_is_subscribed_or_suppressed_is_not_asked(client, shop, contacts_db):
    contact_id = await create(client)
    body = {"contact_id": contact_id, "status": "subscribed", "source": "expo"}
    await client.post("/v1/consents", json=body)
    assert (await ask(client, shop, contact_id)).json()["outcome"] == "already_subscribed"
    other = await create(client, "reza@example.org")
    await client.post("/v1/suppressions", json={"email": "reza@example.org"})
    assert (await ask(client, shop, other)).json()["outcome"] == "suppressed"
    assert await asked(contacts_db.worker) == []


async def test_asking_somebody_who_left_changes_nothing_until_they_confirm(client, shop, contacts_db):
    contact_id = await create(client)
    body = {"contact_id": contact_id, "status": "unsubscribed", "source": "letter"}
    await client.post("/v1/consents", json=body)
    assert (await ask(client, shop, contact_id)).json()["outcome"] == "sent"
    assert await state(client, contact_id) == "unsubscribed"
    assert (await client.post(await path_in(contacts_db.worker))).status_code == 200
    assert await state(client, contact_id) == "subscribed"


async def test_who_leaves_after_asking_is_not_brought_back_by_the_older_link(client, shop, contacts_db):
    contact_id = await create(client)
    await ask(client, shop, contact_id)
    body = {"contact_id": contact_id, "status": "unsubscribed", "source": "telephone"}
    await client.post("/v1/consents", json=body)
    assert (await client.post(await path_in(contacts_db.worker))).status_code == 410
    assert await state(client, contact_id) == "unsubscribed"


async def test_an_old_link_offers_a_new_one_once_a_day(client, shop, contacts_db):
    contact_id = await create(client)
    await ask(client, shop, contact_id)
    async with contacts_db.worker.connection() as tx:
        question = await tx.fetchrow("select * from confirmations")
    old = "/p/confirm/" + link(
        "d", shop.id, contact_id, kind="single", message_id=question["id"], purpose_id=question["purpose_id"],
        sent_at=datetime.now(UTC) - timedelta(days=7, minutes=1),
    )  # fmt: skip
    assert (await client.get(old)).status_code == 410
    assert (await client.post(old)).status_code == 410
    assert await state(client, contact_id) == "unconfirmed"
    same = await client.post(old, data={"again": "1"})
    assert same.status_code == 200
    assert len(await asked(contacts_db.worker)) == 1
    async with contacts_db.worker.connection() as tx:
        await tx.execute("update confirmation_mails set last_at = now() - interval '2 days'")
    assert (await client.post(old, data={"again": "1"})).text == same.text
    assert len(await asked(contacts_db.worker)) == 2
    assert (await client.post(await path_in(contacts_db.worker))).status_code == 200
    assert await state(client, contact_id) == "subscribed"


async def test_an_unknown_sender_contact_or_link_is_told(client, shop, contacts_db):
    contact_id = await create(client)
    assert (await ask(client, shop, contact_id, sender_id=str(new_id()))).json()["code"] == "sender_not_found"
    assert (await ask(client, shop, str(new_id()))).json()["code"] == "contact_not_found"
    for text in (link("p", shop.id, contact_id), link("d", shop.id, contact_id), "x"):
        for method in ("GET", "POST"):
            assert (await client.request(method, f"/p/confirm/{text}")).status_code == 404
    assert await asked(contacts_db.worker) == []


async def test_an_erased_persons_link_is_worth_nothing(client, shop, contacts_db):
    contact_id = await create(client)
    await ask(client, shop, contact_id)
    path = await path_in(contacts_db.worker)
    await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": contact_id})
    assert (await client.post(path)).status_code == 404
    async with contacts_db.worker.connection() as tx:
        assert await tx.fetchval("select count(*) from confirmations") == 0
